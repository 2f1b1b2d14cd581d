// A TCP relay in front of PostgreSQL for one daemon: while it is away, the database is away for that daemon
// only, and other test files notice nothing.
import net from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { conninfoParts, conninfoText } from './database.mjs';

export class Proxy {
  static async start(conninfo) {
    const proxy = new this(conninfo);
    await proxy.back();
    return proxy;
  }

  constructor(conninfo) {
    const parts = conninfoParts(conninfo);
    this.target = parts.host.startsWith('/')
      ? { path: join(parts.host, `.s.PGSQL.${parts.port ?? 5432}`) }
      : { host: parts.host, port: Number(parts.port ?? 5432) };
    this.parts = parts;
    this.sockets = new Set();
    this.port = 0;
    this.stalled = false;
  }

  get conninfo() {
    return conninfoText({ ...this.parts, host: '127.0.0.1', port: this.port });
  }

  // Takes connections (again), on the same port as before.
  async back() {
    this.stalled = false;
    for (const socket of this.sockets) socket.resume();
    if (this.server) return;
    this.server = net.createServer((client) => this.relay(client));
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = this.server.address().port;
  }

  relay(client) {
    const server = net.connect(this.target);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      this.sockets.add(from);
      from.on('data', (bytes) => to.write(bytes));
      from.on('close', () => (this.sockets.delete(from), to.destroy()));
      from.on('error', () => {});
      if (this.stalled) from.pause();
    }
  }

  // Cuts what is open and refuses what comes.
  async away() {
    const server = this.server;
    this.server = undefined;
    server?.close();
    for (const socket of this.sockets) socket.destroy();
    if (server) await once(server, 'close');
  }

  // Keeps connections, lets nothing through.
  stall() {
    this.stalled = true;
    for (const socket of this.sockets) socket.pause();
  }

  async close() {
    await this.away();
  }
}
