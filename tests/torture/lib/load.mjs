// Load with a conscience: clients that send events one after the other, each until it is acknowledged, with every
// sending and every acknowledgement in the ledger before anything else happens.
import { randomUUID } from 'node:crypto';
import { Client } from '../../flow/lib/client.mjs';
import { call, complaint, order, structured } from '../../flow/lib/events.mjs';
import { pause } from '../../flow/lib/eventually.mjs';

const source = '/torture';
const retailers = ['R1', 'R2', 'R3', 'R4', 'R7', 'R8', 'R9'];
const any = (list) => list[Math.floor(Math.random() * list.length)];

// The event's id is written into what it causes, so that effects can be counted: an order's note, a complaint's
// text, a call's name. A2 and X5 have caps: their counters are what everybody wants at once.
const kinds = {
  order: (id) =>
    order(
      { retailer: any(retailers), note: id, lines: ['A2', 'X5', 'A1'].map((product) => ({ product, cartons: 1 })) },
      { id, source },
    ),
  complaint: (id) => complaint({ retailer: any(retailers), text: id }, { id, source }),
  call: (id) => call('ended', { call: id, seconds: 12, from: '15400010001' }, { id, source }),
};
const mix = ['order', 'order', 'order', 'complaint', 'call'];

export class Load {
  // world: where to send and with which key. ledger: see ledger.mjs. only: one kind of event.
  static start(world, ledger, { clients = 24, only, timeout = 15_000 } = {}) {
    const load = new Load(world, ledger, only, timeout);
    load.http = new Client(world.daemon.gateway, { gateway: Object.values(world.gateways)[0], sockets: clients });
    load.running = Array.from({ length: clients }, () => load.run());
    return load;
  }

  constructor(world, ledger, only, timeout) {
    Object.assign(this, { world, ledger, timeout, mix: only ? [only] : mix });
    this.stopping = false;
    this.statuses = {}; // how many answers of each
    this.broken = {}; // how many requests that ended without an answer, by reason
    this.wrong = []; // what must never come
    this.answers = new Map(); // reference by event, as acknowledged
    this.took = []; // {at, ms, status} of every answer
    this.acknowledged = 0;
    this.replayed = 0;
    this.hopeful = []; // who waits for the next acknowledgement
  }

  async run() {
    while (!this.stopping) {
      const id = randomUUID();
      const event = kinds[any(this.mix)](id);
      await this.ledger.write('sent', event);
      const message = structured(event);
      while (!(await this.attempt(event, message)) && !this.abandoned) await pause(20 + Math.random() * 30);
    }
  }

  // True when the event needs no further attempt.
  async attempt(event, message) {
    const at = performance.now();
    let answer;
    try {
      answer = await this.http.post(message, { timeout: this.timeout });
    } catch (error) {
      const why = error.code ?? error.message;
      this.broken[why] = (this.broken[why] ?? 0) + 1;
      return false;
    }
    this.statuses[answer.status] = (this.statuses[answer.status] ?? 0) + 1;
    this.took.push({ at, ms: performance.now() - at, status: answer.status });
    if (answer.status === 200) return this.acknowledge(event, answer, at);
    if (answer.status === 503 && answer.code && answer.headers['retry-after']) return false;
    this.wrong.push(`${answer.status} ${answer.text.slice(0, 200)}`);
    return true;
  }

  async acknowledge(event, answer, at) {
    await this.ledger.write('acknowledged', event);
    const body = answer.json;
    if (body.event !== event.id || body.outcome !== 'accepted')
      this.wrong.push(`another event's answer: ${answer.text}`);
    this.answers.set(event.id, (body.order ?? body.complaint)?.reference);
    this.acknowledged++;
    if (answer.headers['ringback-replayed']) this.replayed++;
    this.hopeful = this.hopeful.filter((one) => at < one.since || one.done(performance.now() - one.since));
    return true;
  }

  // Resolves when an event sent from now on is acknowledged: after how many ms that was.
  served(within = 20_000) {
    const since = performance.now();
    return new Promise((done, fail) => {
      const late = setTimeout(() => fail(new Error(`nothing acknowledged within ${within} ms`)), within);
      this.hopeful.push({ since, done: (ms) => (clearTimeout(late), done(ms)) });
    });
  }

  // Lets every client bring its last event home.
  async stop(within = 20_000) {
    this.stopping = true;
    const late = setTimeout(() => (this.abandoned = true), within);
    await Promise.all(this.running);
    clearTimeout(late);
    if (this.abandoned) this.wrong.push(`events that were not acknowledged in ${within} ms`);
    this.http.close();
  }
}

// Percentile of the latencies in load.took of what was answered since a moment.
export function percentile(took, share, since = 0) {
  const sorted = took
    .filter(({ at, ms }) => at + ms >= since)
    .map(({ ms }) => ms)
    .toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
