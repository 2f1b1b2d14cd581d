// Real telephone calls: sipp calls through Kamailio, Kamailio reports to ringbackd, and what is in the database
// afterwards is one record a call, whatever was refused, delayed or lost on the way.
import { after, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { world } from '../flow/lib/world.mjs';
import { eventually } from '../flow/lib/eventually.mjs';
import { complaint, structured } from '../flow/lib/events.mjs';
import { callRow, count } from '../flow/lib/look.mjs';
import { Kamailio, ask, freePort } from './lib/kamailio.mjs';
import { Relay } from './lib/relay.mjs';
import { telephone } from './lib/sipp.mjs';

const pbx = { address: '127.0.0.2', port: await freePort('127.0.0.2') };
const trunk = { address: '127.0.0.3', port: await freePort('127.0.0.3') };
const hotline = '12313';
const talk = 2200;

const w = await world({ gateways: ['kamailio-1'] });
const relay = await Relay.start(() => 'pass');
relay.target = w.daemon.gateway;
after(() => relay.close());
const kamailio = await Kamailio.start(
  {
    url: relay.url,
    key: w.gateways['kamailio-1'].key,
    source: '/kamailio/test',
    numbers: '^(12313|4160000000)$',
    pbx,
    trunk,
  },
  join(w.logs, 'kamailio.log'),
);
after(() => kamailio.stop());

const inbound = { from: trunk.address, to: pbx };
const outbound = { from: pbx.address, to: trunk };
const kind = (event) => event.type.split('.').at(-1);

// Lets calls happen under a script for the relay and waits until Kamailio has nothing more to send. Gives the book of
// the relay by the caller's number: {id, row, events}.
async function happen(calls, script, ...rounds) {
  const begin = relay.log.length;
  const before = Date.now();
  relay.script = script;
  for (const round of rounds) await telephone(kamailio, { talk, calls, ...round });
  await eventually(() => relay.finished(begin) === calls.length, {
    timeout: 15_000,
    what: 'every call has ended, as far as Kamailio told',
  });
  assert.equal(await kamailio.waiting(), 0);
  const after = Date.now();
  const seen = relay.log.slice(begin);
  const found = new Map();
  for (const id of new Set(seen.map(({ event }) => event.data.call))) {
    const row = await callRow(w.db, id);
    for (const at of [row.ringing_at, row.ended_at])
      assert.ok(Date.parse(at) >= before - 1 && Date.parse(at) <= after + 1, `${at} is the time of its happening`);
    found.set(row.from_number, { id, row, seen: seen.filter(({ event }) => event.data.call === id) });
  }
  assert.equal(found.size, calls.length, 'one record a call');
  return found;
}

// A conversation of some seconds, by times that agree with each other.
function conversed({ row }) {
  const [ringing, answered, ended] = [row.ringing_at, row.answered_at, row.ended_at].map(Date.parse);
  assert.equal(row.state, 3);
  assert.ok(answered - ringing >= 950 && answered - ringing < 4000, `answered after ${answered - ringing} ms`);
  assert.ok(ended - answered >= talk - 50 && ended - answered < talk + 3000, `talked for ${ended - answered} ms`);
  assert.equal(row.seconds, Math.floor((ended - answered) / 1000));
  assert.equal(row.cause, 'normal');
}

const retailerOf = ({ row }) =>
  w.db
    .rows('SELECT code FROM retailers WHERE retailer_id = $1', [row.retailer_id])
    .then((rows) => rows[0]?.code ?? null);

describe('calls to the branch', () => {
  const numbers = ['15400010001', '+8615400010002', '15400010056', 'anonymous'];

  it('are one record each, though an event meets a 503, one comes out of order and one comes twice', async () => {
    const [refused, late, twice] = numbers;
    const done = new Set();
    const script = (event, tries) => {
      const { from, call } = event.data;
      if (from === refused && kind(event) === 'ringing' && tries === 1) return 'busy';
      if (from === late && kind(event) === 'answered' && !done.has(call)) return 'busy';
      if (from === late && kind(event) === 'ended') done.add(call);
      if (from === twice && kind(event) === 'ended' && tries === 1) return 'deaf';
      return 'pass';
    };
    const calls = await happen(
      numbers.map((number) => [number, hotline]),
      script,
      { caller: 'caller', phone: 'phone', ...inbound },
    );

    for (const call of calls.values()) {
      conversed(call);
      assert.deepEqual([call.row.direction, call.row.to_number], ['inbound', hotline]);
      assert.equal(await count(w.db, 'events', 'event_id LIKE $1', [`${call.id};%`]), 3);
    }
    const retailers = [];
    for (const number of numbers) retailers.push(await retailerOf(calls.get(number)));
    assert.deepEqual(retailers, ['R1', 'R2', null, null]);

    assert.equal(calls.get(refused).seen.find(({ event }) => kind(event) === 'ringing').did, 'busy');
    assert.equal(relay.taken(calls.get(late).id), 'ringing ended answered', 'out of order');
    const again = calls.get(twice).seen.filter(({ event }) => kind(event) === 'ended');
    assert.deepEqual(
      again.map(({ status, replayed }) => [status, replayed]),
      [
        [200, false],
        [200, true],
      ],
      'twice',
    );
    assert.equal(again[0].body, again[1].body, 'the same event, to the byte');
    assert.equal(again[0].answer, again[1].answer);
  });

  it('end unanswered when the line is busy', async () => {
    const calls = await happen([['15400010003', hotline]], () => 'pass', {
      caller: 'caller-refused',
      phone: 'phone-is-busy',
      ...inbound,
    });
    const call = calls.get('15400010003');
    assert.deepEqual(
      [call.row.state, call.row.seconds, call.row.answered_at, call.row.cause],
      [3, 0, null, '486 Busy Here'],
    );
    assert.equal(await retailerOf(call), 'R3');
  });

  it('end unanswered when the caller gives up', async () => {
    const calls = await happen([['15400010003', '4160000000']], () => 'pass', {
      caller: 'caller-gives-up',
      phone: 'phone-is-not-answered',
      ...inbound,
      talk: 600,
    });
    const { row } = calls.get('15400010003');
    assert.deepEqual([row.state, row.seconds, row.answered_at, row.cause], [3, 0, null, '487 Request Terminated']);
  });
});

describe('calls by the branch', () => {
  it('are outbound, and the retailer is the one who was called', async () => {
    const calls = await happen([[hotline, '15400010002']], () => 'pass', {
      caller: 'caller-is-left',
      phone: 'phone-hangs-up',
      ...outbound,
    });
    const call = calls.get(hotline);
    conversed(call);
    assert.deepEqual([call.row.direction, call.row.to_number], ['outbound', '15400010002']);
    assert.equal(await retailerOf(call), 'R2');
  });
});

describe('a call back', () => {
  it('proves the promise: the manager called the retailer, and talked long enough', async () => {
    await w.db.force('UPDATE policies SET proof_seconds = 2');
    const raised = await w.post(structured(complaint({ retailer: 'R3', text: '没人回电' })), { gateway: w.gateways['kamailio-1'] });
    assert.equal(raised.status, 200, raised.text);
    const id = raised.json.complaint.follow_up;
    const state = () => w.db.row('SELECT state, proof, proof_call FROM follow_ups WHERE follow_up_id = $1', [id]);

    await happen([['15400000021', '15400010003']], () => 'pass', { caller: 'caller-refused', phone: 'phone-is-busy', ...outbound });
    assert.equal((await state()).state, 'open', 'busy is no contact');
    assert.equal(await w.db.value('SELECT outcome FROM follow_up_tries WHERE follow_up_id = $1', [id]), 'busy');

    const calls = await happen([['15400000021', '15400010003']], () => 'pass', {
      caller: 'caller-is-left',
      phone: 'phone-hangs-up',
      ...outbound,
    });
    assert.deepEqual(await state(), { state: 'contacted', proof: 'proved', proof_call: calls.get('15400000021').id });
  });
});

describe('the gateway', () => {
  it('keeps its events while ringbackd is away, and calls go on', async () => {
    await w.daemon.stop();
    const numbers = ['15400010004', '15400010005'];
    const back = new Promise((done) => setTimeout(done, 2500))
      .then(() => w.start())
      .then(() => (relay.target = w.daemon.gateway));
    const calls = await happen(
      numbers.map((number) => [number, hotline]),
      () => 'pass',
      { caller: 'caller', phone: 'phone', ...inbound },
    );
    await back;
    for (const call of calls.values()) {
      conversed(call);
      assert.ok(
        call.seen.some(({ did }) => did === 'away'),
        'it was not reached at first',
      );
      assert.equal(await count(w.db, 'events', 'event_id LIKE $1', [`${call.id};%`]), 3);
    }
  });

  it('passes no calls for strangers', async () => {
    const before = relay.log.length;
    assert.equal(await ask('127.0.0.4', kamailio, 'INVITE', '15400010001', 2000), 403);
    assert.equal(relay.log.length, before);
  });

  it('was never told that an event of its is wrong, and lost none', async () => {
    assert.deepEqual(
      relay.log.filter(({ status }) => status !== undefined && status !== 200),
      [],
    );
    assert.deepEqual(kamailio.faults, []);
    const calls = await count(w.db, 'calls');
    assert.equal(calls, new Set(relay.log.map(({ event }) => event.data.call)).size);
    const told = await count(w.db, 'events JOIN sources USING (branch_id, source_id)', "source = '/kamailio/test'");
    assert.equal(told, relay.tries.size, 'what was sent is there, once');
  });
});
