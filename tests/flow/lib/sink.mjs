// A receiver of notifications that answers as a test's script says and remembers what it got, with times.
import http from 'node:http';
import { once } from 'node:events';

// answer(request, n): what to do with the n-th request (from 0): a status, or {status, headers, body, delay,
// reset, endless, hang}. Requests: {method, path, headers, raw, body (Buffer), json, at}.
export class Sink {
  static async start(answer = () => 204) {
    const sink = new Sink(answer);
    sink.server.listen(0, '127.0.0.1');
    await once(sink.server, 'listening');
    sink.port = sink.server.address().port;
    return sink;
  }

  constructor(answer) {
    this.answer = answer;
    this.requests = [];
    this.open = 0;
    this.mostOpen = 0;
    this.server = http.createServer((req, res) => this.take(req, res));
    this.server.on('connection', (socket) => {
      this.mostOpen = Math.max(this.mostOpen, ++this.open);
      socket.on('close', () => this.open--);
      socket.on('error', () => {});
    });
  }

  url(path = '/hook') {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  async take(req, res) {
    const parts = [];
    for await (const part of req) parts.push(part);
    const request = new Received(req, Buffer.concat(parts));
    const what = this.answer(request, this.requests.push(request) - 1);
    this.reply(req, res, typeof what === 'number' ? { status: what } : what);
  }

  reply(req, res, { status = 204, headers = {}, body, delay = 0, reset, endless, hang }) {
    res.on('error', () => {});
    if (hang) return;
    setTimeout(() => {
      if (reset) return void req.socket.resetAndDestroy();
      res.writeHead(status, headers);
      if (!endless) return void res.end(body);
      const block = Buffer.alloc(65536, 'x');
      this.streamed ??= 0;
      const pour = () => {
        do this.streamed += block.length;
        while (!res.destroyed && res.write(block));
      };
      res.on('drain', pour);
      pour();
    }, delay);
  }

  // Requests whose event has this type, oldest first.
  of(type, path) {
    return this.requests.filter((one) => one.json?.type === type && (!path || one.path === path));
  }

  async close() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

class Received {
  constructor(req, body) {
    this.method = req.method;
    this.path = req.url;
    this.headers = req.headers;
    this.raw = req.rawHeaders;
    this.body = body;
    this.at = Date.now();
  }

  get json() {
    try {
      return JSON.parse(this.body);
    } catch {
      return undefined;
    }
  }
}
