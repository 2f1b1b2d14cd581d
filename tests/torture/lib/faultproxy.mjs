// A relay to PostgreSQL that understands its protocol just enough to cut a connection between a Sync and its answer:
// the one moment in which nobody but the database knows whether a commit happened.
import net from 'node:net';
import { Proxy } from '../../flow/lib/proxy.mjs';

const negotiations = [80877103, 80877104]; // SSLRequest, GSSENCRequest
const readyForQuery = 6; // bytes of the message that answers a Sync

// Follows what a client sends; tells who it is and counts its Syncs.
class Frontend {
  buffer = Buffer.alloc(0);
  name = '';

  // Gives the number of Syncs that these bytes complete.
  take(bytes) {
    this.buffer = Buffer.concat([this.buffer, bytes]);
    let syncs = 0;
    for (;;) {
      const head = this.started ? 1 : 0;
      if (this.buffer.length < head + 4) return syncs;
      const length = head + this.buffer.readInt32BE(head);
      if (this.buffer.length < length) return syncs;
      const message = this.buffer.subarray(0, length);
      this.buffer = this.buffer.subarray(length);
      if (this.started) syncs += message[0] === 0x53; /* 'S' */
      else if (!negotiations.includes(message.readInt32BE(4))) this.start(message);
    }
  }

  start(message) {
    this.started = true;
    this.name = /application_name\0([^\0]*)\0/.exec(message.toString('latin1'))?.[1] ?? '';
  }
}

// The three ways to lose an answer: never to wait for it; to swallow its first bytes; to swallow only its last ones,
// so that the client has every row and the COMMAND_OK of a commit that it must not believe in.
const ways = ['unheard', 'swallowed', 'unfinished'];

export class FaultProxy extends Proxy {
  left = 0; // cuts to be made
  made = { unheard: 0, swallowed: 0, unfinished: 0 };

  // Cuts so many connections of intake, each Sync with this likelihood.
  arm(cuts, likelihood) {
    this.left = cuts;
    this.likelihood = likelihood;
  }

  relay(client) {
    const server = net.connect(this.target);
    const frontend = new Frontend();
    let way;
    const cut = () => {
      this.made[way]++;
      client.destroy();
      server.destroy();
    };
    client.on('data', (bytes) => {
      server.write(bytes);
      const syncs = frontend.take(bytes);
      if (way || !syncs || !this.left || frontend.name !== 'ringbackd intake') return;
      if (Math.random() > this.likelihood) return;
      this.left--;
      way = ways[Math.floor(Math.random() * ways.length)];
      if (way === 'unheard') setImmediate(cut);
    });
    server.on('data', (bytes) => {
      if (!way) return void client.write(bytes);
      if (way === 'swallowed') return cut();
      if (way === 'unfinished') client.write(bytes.subarray(0, Math.max(0, bytes.length - readyForQuery)), cut);
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ]) {
      this.sockets.add(one);
      one.on('close', () => (this.sockets.delete(one), other.destroy()));
      one.on('error', () => {});
      if (this.stalled) one.pause();
    }
  }
}
