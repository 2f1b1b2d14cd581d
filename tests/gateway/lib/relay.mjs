// A relay between a gateway and ringbackd that lets things go wrong as a test's script says, and keeps a book of
// what it saw.
import http from 'node:http';
import { once } from 'node:events';

export class Relay {
  // script(event, tries, relay): what happens to an attempt to send an event, tries counting from 1: "pass"; "busy":
  // 503, ringbackd never sees it; "deaf": ringbackd takes it, but its answer is lost.
  static async start(script) {
    const relay = new Relay(script);
    relay.server = http.createServer((req, res) => relay.take(req, res));
    relay.server.listen(0, '127.0.0.1');
    await once(relay.server, 'listening');
    relay.url = `http://127.0.0.1:${relay.server.address().port}/v1/events`;
    return relay;
  }

  constructor(script) {
    this.script = script;
    this.tries = new Map();
    this.log = []; // {event, did, status, replayed, answer}, in the order they were dealt with
  }

  async take(req, res) {
    const parts = [];
    for await (const part of req) parts.push(part);
    const body = Buffer.concat(parts);
    const event = JSON.parse(body);
    const tries = (this.tries.get(event.id) ?? 0) + 1;
    this.tries.set(event.id, tries);
    const entry = { event, body: body.toString(), did: this.script(event, tries, this) };
    if (entry.did !== 'busy') await this.forward(req, body, entry).catch(() => (entry.did = 'away'));
    this.log.push(entry);
    if (entry.did === 'busy') return void res.writeHead(503, { 'retry-after': '1' }).end();
    if (entry.did !== 'pass') return void req.socket.destroy();
    res.writeHead(entry.status, { 'content-type': entry.type }).end(entry.answer);
  }

  forward(req, body, entry) {
    const { 'content-type': type, authorization } = req.headers;
    const headers = { 'content-type': type, authorization, 'content-length': body.length };
    return new Promise((done, fail) => {
      const on = http.request(
        { ...this.target, method: req.method, path: req.url, headers, agent: false },
        async (res) => {
          const parts = [];
          for await (const part of res) parts.push(part);
          entry.status = res.statusCode;
          entry.type = res.headers['content-type'];
          entry.replayed = res.headers['ringback-replayed'] === 'true';
          entry.answer = Buffer.concat(parts).toString();
          done();
        },
      );
      on.on('error', fail);
      on.end(body);
    });
  }

  // Kinds of the events that ringbackd took for the first time, by call, in that order: "ringing answered ended".
  taken(call) {
    const first = this.log.filter(
      ({ event, status, replayed }) => event.data.call === call && status === 200 && !replayed,
    );
    return first.map(({ event }) => event.type.split('.').at(-1)).join(' ');
  }

  // Calls since that entry of the book of which every event that came, the last one included, was acknowledged.
  finished(begin) {
    const log = this.log.slice(begin);
    const through = new Set(
      log.filter(({ did, status }) => did === 'pass' && status === 200).map(({ event }) => event.id),
    );
    const calls = new Set(log.map(({ event }) => event.data.call));
    const all = (call) => log.every(({ event }) => event.data.call !== call || through.has(event.id));
    return [...calls].filter((call) => through.has(`${call};ended`) && all(call)).length;
  }

  async close() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
