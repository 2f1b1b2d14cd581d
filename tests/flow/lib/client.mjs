// Clients of the gateway listener: whole requests over kept-alive connections, and raw bytes over a socket.
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { signed } from './events.mjs';

export class Client {
  // address: {host, port}. gateway: {name, key} whose key is shown unless a request says otherwise.
  constructor(address, { gateway, sockets = 64, ca } = {}) {
    this.address = address;
    this.gateway = gateway;
    this.ca = ca;
    this.module = ca ? https : http;
    this.agent = new this.module.Agent({ keepAlive: true, maxSockets: sockets });
  }

  close() {
    this.agent.destroy();
  }

  // body: text or bytes, or an array of them for a chunked body. Headers: object or flat array.
  request(method, path, { headers = {}, body, timeout = 30_000 } = {}) {
    return new Promise((done, fail) => {
      const begin = performance.now();
      const chunked = Array.isArray(body);
      const length = !chunked && body !== undefined ? { 'content-length': Buffer.byteLength(body) } : {};
      const req = this.module.request(
        { ...this.address, ca: this.ca, method, path, agent: this.agent, headers: { ...length, ...headers }, timeout },
        (res) => {
          const parts = [];
          res.on('data', (bytes) => parts.push(bytes));
          res.on('error', fail);
          res.on('end', () => done(new Answer(res, Buffer.concat(parts), performance.now() - begin)));
        },
      );
      req.on('timeout', () => req.destroy(new Error(`no answer in ${timeout} ms`)));
      req.on('error', fail);
      for (const part of chunked ? body : []) req.write(part);
      req.end(chunked ? undefined : body);
    });
  }

  get(path, options) {
    return this.request('GET', path, options);
  }

  // What a mode (see events.mjs) made of an event, with a credential: by default Bearer.
  post(message, { auth = 'bearer', gateway = this.gateway, headers = {}, timeout } = {}) {
    return this.request('POST', '/v1/events', {
      headers: { ...message.headers, ...credential(auth, gateway, message.body), ...headers },
      body: message.body,
      timeout,
    });
  }
}

export class Answer {
  constructor(res, bytes, took) {
    this.status = res.statusCode;
    this.headers = res.headers;
    this.raw = res.rawHeaders;
    this.bytes = bytes;
    this.took = took;
  }

  get text() {
    return this.bytes.toString();
  }

  get json() {
    return JSON.parse(this.text);
  }

  // The code of a problem document, and the document's own form checked on the way.
  get code() {
    if (this.headers['content-type'] !== 'application/problem+json')
      throw new Error(`no problem document: ${this.status} ${this.headers['content-type']} ${this.text}`);
    return problemCode(this.json, this.status);
  }

  get errors() {
    return this.json.errors ?? [];
  }
}

export function problemCode(problem, status) {
  const found = /^\/problems\/([a-z0-9-]+)$/.exec(problem.type);
  const texts = ['title', 'detail'].every((key) => typeof problem[key] === 'string' && problem[key].length > 0);
  if (!found || !texts || problem.status !== status)
    throw new Error(`not the form of a problem: ${status} ${JSON.stringify(problem)}`);
  for (const error of problem.errors ?? [])
    if (typeof error.pointer !== 'string' || typeof error.code !== 'string' || typeof error.detail !== 'string')
      throw new Error(`not the form of an error: ${JSON.stringify(error)}`);
  return found[1];
}

export function credential(kind, gateway, body) {
  switch (kind) {
    case 'bearer':
      return { authorization: `Bearer ${gateway.key}` };
    case 'basic':
      return { authorization: `Basic ${Buffer.from(`${gateway.name}:${gateway.key}`).toString('base64')}` };
    case 'webhook':
      return signed(gateway.key, body);
    case 'none':
      return {};
    default:
      throw new Error(`no such credential: ${kind}`);
  }
}

// A socket that the test writes as it likes and that remembers what came.
export class Wire {
  static async open(address, { ca, ...options } = {}) {
    const socket = ca ? tls.connect({ ...address, ca, ...options }) : net.connect({ ...address, ...options });
    const wire = new Wire(socket);
    await new Promise((done, fail) => socket.once(ca ? 'secureConnect' : 'connect', done).once('error', fail));
    return wire;
  }

  constructor(socket) {
    this.socket = socket;
    this.text = '';
    this.closed = new Promise((done) => socket.once('close', done));
    this.ended = false;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => (this.text += bytes.toString('latin1')));
    socket.on('end', () => (this.ended = true));
    socket.on('close', () => (this.ended = true));
    socket.on('error', () => {});
  }

  write(data) {
    return new Promise((done) => this.socket.write(data, () => done()));
  }

  // The status codes that came, in order.
  get statuses() {
    return [...this.text.matchAll(/HTTP\/1\.[01] (\d{3}) /g)].map((found) => Number(found[1]));
  }

  close() {
    this.socket.destroy();
  }
}

// Writes bytes, reads until the other side closes or the time is over; gives back all that came.
export async function exchange(address, bytes, { within = 12_000, end = false } = {}) {
  const wire = await Wire.open(address);
  await wire.write(bytes);
  if (end) wire.socket.end();
  let timer;
  const late = new Promise((done) => (timer = setTimeout(done, within)));
  await Promise.race([wire.closed, late]);
  clearTimeout(timer);
  wire.close();
  return wire;
}
