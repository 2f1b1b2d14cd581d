// An open stream of the console, as a browser has it: parses events by the rules of the HTML standard and remembers the
// id of the last one.
import http from 'node:http';
import https from 'node:https';
import { Document } from './openapi.mjs';
import { eventually } from './eventually.mjs';

const schemas = {
  hello: 'StreamHello',
  'follow-up': 'StreamFollowUp',
  'follow-up-gone': 'StreamFollowUpGone',
  call: 'StreamCall',
  notification: 'StreamNotification',
  reload: 'StreamReload',
  end: 'StreamEnd',
};

// desk: somebody logged in (desk.mjs). after: the id to go on behind. daemon: which, when there are several. The answer is
// there when the first event is; events are held against the OpenAPI document as they come.
export async function openStream(desk, { after, daemon = desk.world.daemon, query = '', headers = {} } = {}) {
  const stream = new Stream(desk, daemon, await Document.of(desk.world));
  stream.id = after;
  await stream.open(query, { ...(after && { 'last-event-id': after }), ...headers });
  desk.world.clients.push(stream);
  await eventually(() => stream.events.length || stream.ended, { what: 'the stream says hello' });
  if (!stream.events.length) throw new Error(`${desk.name} has no stream: ${stream.status} ${stream.rest}`);
  return stream;
}

export class Stream {
  constructor(desk, daemon, document) {
    Object.assign(this, { desk, daemon, document });
    this.events = [];
    this.comments = 0;
    this.ended = false;
    this.rest = '';
  }

  open(query, headers) {
    const { ca } = this.desk.world.clientOptions ?? {};
    const wanted = { ...this.daemon.console, ca, path: `/api/v1/stream${query}`, agent: false };
    return new Promise((done, fail) => {
      this.request = (ca ? https : http).get({ ...wanted, headers: { cookie: this.desk.cookie, ...headers } }, (res) => {
        this.status = res.statusCode;
        this.headers = res.headers;
        res.setEncoding('utf8');
        res.on('data', (text) => this.take(text));
        res.on('close', () => (this.ended = true));
        res.on('error', () => (this.ended = true));
        this.response = res;
        done();
      });
      this.request.on('error', (fault) => ((this.ended = true), fail(fault)));
    });
  }

  take(text) {
    const blocks = (this.rest + text).split('\n\n');
    this.rest = blocks.pop();
    for (const block of blocks) this.dispatch(block.split('\n'));
  }

  dispatch(lines) {
    const event = { type: 'message' };
    for (const line of lines) {
      const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
      if (!field) this.comments++;
      else if (field === 'id') this.id = value;
      else if (field === 'retry') this.retry = Number(value);
      else if (field === 'event') event.type = value;
      else if (field === 'data') event.data = JSON.parse(value);
      else throw new Error(`no field of an event stream: ${line}`);
    }
    if (event.data === undefined) return;
    this.document.holdValue(schemas[event.type], event.data);
    this.events.push({ ...event, id: this.id, at: performance.now() });
  }

  of(type) {
    return this.events.filter((event) => event.type === type).map((event) => event.data);
  }

  // The first event of this type whose data has these members, now or later.
  seen(type, like = {}, options = {}) {
    const fits = (data) => Object.entries(like).every(([key, value]) => JSON.stringify(data[key]) === JSON.stringify(value));
    return eventually(() => this.of(type).find(fits), {
      what: `${this.desk.name} is told: ${type} ${JSON.stringify(like)}; so far ${JSON.stringify(this.events.slice(-5))}`,
      ...options,
    });
  }

  isOver(options) {
    return eventually(() => this.ended, { what: 'the stream ends', ...options });
  }

  close() {
    this.request.destroy();
  }
}
