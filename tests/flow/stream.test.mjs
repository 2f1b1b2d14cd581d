// Live updates: what each role is told, in which order, after which accidents. A ledger of what happened is held against
// what the streams said.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { Desk, atDesk } from './lib/desk.mjs';
import { Wire } from './lib/client.mjs';
import { Database } from './lib/database.mjs';
import { openStream } from './lib/stream.mjs';
import { batched, call, complaint, structured } from './lib/events.mjs';
import { eventually, pause } from './lib/eventually.mjs';

const looks = 1000; // ms in which the feed is read a few times

const w = await world({ proxy: true });
const first = w.daemon;
const second = await w.start({ RINGBACK_DATABASE: w.conninfo }); // does not go through the proxy
const roles = ['op1', 's1', 's2', 'am1', 'am2', 'am3', 'mm1', 'mm2', 'in1', 'dv1', 'admin'];

async function raise(data, over) {
  const answer = await w.post(structured(complaint({ text: '缺货', ...data }, over)));
  assert.equal(answer.status, 200, answer.text);
  return answer.json.complaint.follow_up;
}
async function ring(state, id, data = {}) {
  const answer = await w.post(structured(call(state, { call: id, ...(state === 'ended' && { seconds: 20 }), ...data })));
  assert.equal(answer.status, 200, answer.text);
}
const open = (n) => eventually(async () => (await w.metric('ringback_streams')) === n, { what: `${n} streams are open` });
const onFirst = { daemon: first };

// What RLS lets somebody see, as api_ functions do.
async function visible(name) {
  return w.db.inTurn(async () => {
    const { client } = w.db;
    await client.query('BEGIN');
    await client.query(`SELECT enter_as(branch_id, account_id) FROM accounts WHERE name = $1`, [name]);
    await client.query('SET LOCAL ROLE ringback_console');
    const followUps = await client.query('SELECT follow_up_id AS id FROM follow_ups ORDER BY 1');
    const calls = await client.query('SELECT call AS id FROM calls ORDER BY 1');
    await client.query('ROLLBACK');
    return { followUps: followUps.rows.map((row) => row.id), calls: calls.rows.map((row) => row.id) };
  });
}

const sorted = (values) => [...new Set(values)].sort((a, b) => (a < b ? -1 : 1));
const told = (stream) => ({
  followUps: sorted(stream.of('follow-up').map((data) => data.id)),
  calls: sorted(stream.of('call').map((data) => data.id)),
});

// Until everything that is in the feed by now was read: the owner of a stream is told of a follow-up that is his.
async function settle(...streams) {
  const id = await raise({ retailer: 'R1' });
  for (const stream of streams) await stream.seen('follow-up', { id });
}

describe('a stream', () => {
  it('needs a session', async () => {
    assert.equal((await new Desk(w, 'nobody').get('/stream')).status, 401);
    const desk = await atDesk(w, 'op1');
    assert.equal((await desk.get('/stream?nonsense=1')).status, 400);
    assert.equal((await desk.ask('HEAD', '/stream')).headers['content-type'], 'text/event-stream');
  });

  it('begins with the server’s time and a place', async () => {
    const stream = await openStream(await atDesk(w, 'op1'));
    assert.equal(stream.status, 200);
    assert.equal(stream.headers['content-type'], 'text/event-stream');
    assert.equal(stream.headers['cache-control'], 'no-store');
    assert.equal(stream.headers['content-length'], undefined);
    const [hello] = stream.events;
    assert.equal(hello.type, 'hello');
    assert.equal(hello.data.resumed, false);
    assert.ok(Math.abs(Date.parse(hello.data.now) - Date.now()) < 5000, hello.data.now);
    assert.match(hello.id, /^\d+-\d+$/);
    assert.ok(stream.retry >= 1000 && stream.retry <= 5000);
    stream.close();
  });

  it('tells of a complaint and of what becomes of it', async () => {
    const [am1, op1] = await Promise.all(['am1', 'op1'].map(async (name) => openStream(await atDesk(w, name))));
    const id = await raise({ retailer: 'R1' }, { time: new Date(Date.now() - 600_000).toISOString() });
    const opened = await am1.seen('follow-up', { id });
    assert.deepEqual(
      [opened.state, opened.owner, opened.retailer, opened.kind, opened.proof, opened.revision],
      ['open', 'AM1', 'R1', 'complaint', null, 1],
    );
    const row = await w.db.row('SELECT complaint, due_at FROM follow_ups WHERE follow_up_id = $1', [id]);
    assert.deepEqual([Number(opened.complaint), Date.parse(opened.due_at)], [row.complaint, Date.parse(row.due_at)]);
    // He calls back: the telephone proves it.
    await ring('ended', 'back', { direction: 'outbound', from: '15400000021', to: '15400010001', seconds: 60 });
    const proved = await op1.seen('follow-up', { id, proof: 'proved' });
    assert.equal(proved.state, 'contacted');
    await am1.seen('follow-up', { id, revision: proved.revision });
    assert.deepEqual(await op1.seen('call', { id: 'back' }), { id: 'back', state: 'ended', direction: 'outbound', retailer: 'R1', operator: 'AM1' });
    am1.close();
    op1.close();
  });

  it('tells of a call as it rings, is answered and ends', async () => {
    const op1 = await openStream(await atDesk(w, 'op1'));
    for (const state of ['ringing', 'answered', 'ended']) {
      await ring(state, 'c-1', { from: '15400010002', to: '15400000032' });
      const seen = await op1.seen('call', { id: 'c-1', state }, { timeout: 3000 });
      assert.deepEqual([seen.direction, seen.retailer, seen.operator], ['inbound', 'R2', 'OP2']);
    }
    op1.close();
  });

  it('tells whom a notification in his inbox is for, and nobody else', async () => {
    await w.must(['target', 'add', 'AM2', 'console', 'console']);
    const [am2, s1] = await Promise.all(['am2', 's1'].map(async (name) => openStream(await atDesk(w, name))));
    const id = await raise({ retailer: 'R2' });
    const filed = await am2.seen('notification', { follow_up: id });
    assert.equal(filed.type, 'assigned');
    await settle(s1);
    assert.deepEqual(s1.of('notification'), []);
    am2.close();
    s1.close();
  });

  it('tells who loses a follow-up that he does', async () => {
    const [am1, am3, s1] = await Promise.all(['am1', 'am3', 's1'].map(async (name) => openStream(await atDesk(w, name))));
    const id = await raise({ caller: 'anonymous' });
    await s1.seen('follow-up', { id, owner: 'S1' });
    const give = (code) =>
      w.db.rows('UPDATE follow_ups f SET owner_id = p.person_id FROM people p WHERE p.code = $2 AND f.follow_up_id = $1', [id, code]);
    await give('AM1');
    await am1.seen('follow-up', { id, owner: 'AM1' });
    await give('AM3');
    await am1.seen('follow-up-gone', { id });
    await am3.seen('follow-up', { id, owner: 'AM3' });
    await s1.seen('follow-up', { id, owner: 'AM3' });
    assert.deepEqual([am3.of('follow-up-gone'), s1.of('follow-up-gone')], [[], []]);
    for (const stream of [am1, am3, s1]) stream.close();
  });
});

describe('every role', () => {
  it('is told of what it may read, all of it and nothing else', async () => {
    const desks = await Promise.all(roles.map((name) => atDesk(w, name)));
    const streams = await Promise.all(desks.map((desk) => openStream(desk)));
    const before = Object.fromEntries(await Promise.all(roles.map(async (name) => [name, await visible(name)])));
    const kinds = ['complaint', 'report', 'inquiry'];
    const from = ['R1', 'R2', 'R3', 'R6', 'R7', 'R8', undefined];
    const posts = from.flatMap((retailer, i) =>
      kinds.map((kind) => structured(complaint({ text: 'x', kind, ...(retailer ? { retailer } : { caller: `1540009${i}00` }) }))),
    );
    await Promise.all(posts.map((message) => w.post(message)));
    for (const [n, number] of ['15400010001', '15400010007', '15400010056', '15477777777', 'anonymous'].entries())
      await ring('ringing', `e-${n}`, { from: number });
    // Owners at random, of retailers that are another's.
    await w.db.rows(
      `UPDATE follow_ups f SET owner_id = (SELECT person_id FROM people p WHERE p.role IN ('account_manager', 'market_manager')
           ORDER BY md5(p.code || f.follow_up_id) LIMIT 1) WHERE state = 'open'`,
    );
    await settle(streams[roles.indexOf('op1')]);
    await pause(looks);
    for (const [i, name] of roles.entries()) {
      const now = await visible(name);
      const got = told(streams[i]);
      const changed = await w.db.rows(`SELECT DISTINCT topic, subject FROM feed WHERE (xid, feed_id) > ($1::text::xid8, $2)`, streams[i].events[0].id.split('-'));
      const touched = (topic) => new Set(changed.filter((row) => row.topic === topic).map((row) => row.subject));
      assert.deepEqual(got.followUps, sorted(now.followUps.filter((id) => touched('follow-up').has(String(id)))), `${name}: follow-ups`);
      assert.deepEqual(got.calls, sorted(now.calls.filter((id) => touched('call').has(id))), `${name}: calls`);
      // What he was told before it was given away he has been told to forget.
      const gone = streams[i].of('follow-up-gone').map((data) => data.id);
      for (const id of gone) assert.ok(!now.followUps.includes(id), `${name} is told that ${id} has gone`);
      assert.ok(now.followUps.length >= before[name].followUps.length - gone.length);
      streams[i].close();
    }
    assert.ok(told(streams[roles.indexOf('in1')]).followUps.length >= from.length, 'inspectors hear of reports');
    assert.deepEqual(told(streams[roles.indexOf('dv1')]), { followUps: [], calls: [] });
  });

  it('is told anew when its rights change', async () => {
    const s2 = await openStream(await atDesk(w, 's2'));
    const report = () => raise({ retailer: 'R8', kind: 'report' });
    await report();
    await settle(s2);
    await w.db.rows(`UPDATE people SET sees_reports = true WHERE code = 'S2'`);
    await s2.seen('reload', { reason: 'rights' });
    const id = await report();
    await s2.seen('follow-up', { id });
    assert.equal(s2.of('follow-up').filter((data) => data.kind === 'report').length, 1);
    await w.db.rows(`UPDATE people SET sees_reports = false WHERE code = 'S2'`);
    s2.close();
  });
});

describe('order', () => {
  it('a long transaction holds back what comes behind it, and nothing is lost', async () => {
    const op1 = await openStream(await atDesk(w, 'op1'));
    const held = await raise({ retailer: 'R7' });
    await op1.seen('follow-up', { id: held });
    const other = await Database.open(w.conninfo);
    await other.rows('BEGIN');
    await other.rows('UPDATE follow_ups SET category = $2 WHERE follow_up_id = $1', [held, 'price']);
    const behind = [];
    for (let i = 0; i < 5; i++) behind.push(await raise({ retailer: 'R8' }));
    await pause(looks);
    assert.deepEqual(op1.of('follow-up').filter((data) => behind.includes(data.id)), [], 'they are behind a place that is not known yet');
    const mark = op1.events.length;
    await other.rows('COMMIT');
    await other.close();
    await op1.seen('follow-up', { id: behind.at(-1) });
    assert.deepEqual(op1.events.slice(mark).map((event) => event.data.id), [held, ...behind]);
    const places = op1.events.map((event) => event.id.split('-').map(BigInt));
    for (let i = 1; i < places.length; i++)
      assert.ok(places[i][0] > places[i - 1][0] || (places[i][0] === places[i - 1][0] && places[i][1] > places[i - 1][1]), 'places grow');
    op1.close();
  });

  it('is the same for transactions that commit out of order, at both daemons', async () => {
    const desk = await atDesk(w, 'op1');
    const streams = await Promise.all([first, second].map((daemon) => openStream(desk, { daemon })));
    const ids = [];
    for (let i = 0; i < 20; i++) ids.push(await raise({ retailer: 'R8' }));
    for (const stream of streams) await stream.seen('follow-up', { id: ids.at(-1) });
    const others = await Promise.all(Array.from({ length: 8 }, () => Database.open(w.conninfo)));
    const begun = streams.map((stream) => stream.events.length);
    // Each begins in turn, and ends when it likes.
    for (const [i, other] of others.entries()) {
      await other.rows('BEGIN');
      await other.rows('UPDATE follow_ups SET severity = 1 + severity % 3 WHERE follow_up_id = $1', [ids[i]]);
    }
    for (const i of [5, 2, 7, 0, 6, 1, 4, 3]) {
      await others[i].rows('COMMIT');
      await pause(60);
    }
    for (const stream of streams)
      for (const id of ids.slice(0, 8)) await stream.seen('follow-up', { id, revision: 2 });
    const [a, b] = streams.map((stream, i) =>
      stream.events.slice(begun[i]).filter((event) => event.data.revision === 2).map((event) => event.data.id),
    );
    assert.deepEqual(sorted(a), sorted(ids.slice(0, 8)));
    assert.deepEqual(a, b);
    assert.deepEqual(a, ids.slice(0, 8), 'in the order of their transactions');
    for (const other of others) await other.close();
    for (const stream of streams) stream.close();
  });
});

describe('after an accident', () => {
  it('a browser that comes back with its last id has missed nothing, at whichever daemon', async () => {
    const desk = await atDesk(w, 's1');
    const ledger = [];
    let going = true;
    const work = async () => {
      while (going) {
        const id = await raise({ retailer: ['R1', 'R2', 'R7', 'R8'][ledger.length % 4] });
        ledger.push(id);
        if (ledger.length % 3 === 0) await w.db.rows('UPDATE follow_ups SET severity = 2 WHERE follow_up_id = $1', [id]);
      }
    };
    let stream = await openStream(desk);
    const seen = new Map();
    const places = new Set();
    const collect = () => {
      for (const { type, data, id } of stream.events) {
        assert.notEqual(type, 'reload');
        if (type !== 'follow-up') continue;
        assert.ok(!places.has(`${id} ${data.id}`), 'nothing is told twice');
        places.add(`${id} ${data.id}`);
        assert.ok((seen.get(data.id) ?? 0) <= data.revision);
        seen.set(data.id, data.revision);
      }
    };
    const working = Promise.all([work(), work()]);
    for (let cut = 0; cut < 20; cut++) {
      await pause(40 + Math.random() * 300);
      stream.close();
      collect();
      stream = await openStream(desk, { after: stream.id, daemon: cut % 2 ? first : second });
      assert.equal(stream.of('hello')[0].resumed, true);
    }
    going = false;
    await working;
    await settle(stream);
    collect();
    const rows = await w.db.rows('SELECT follow_up_id AS id, revision FROM follow_ups WHERE follow_up_id = ANY ($1)', [ledger]);
    assert.ok(rows.length > 50, `${rows.length} complaints`);
    for (const { id, revision } of rows) assert.equal(seen.get(id), revision, `follow-up ${id}`);
    stream.close();
  });

  it('one whose place is no longer known loads again', async () => {
    const desk = await atDesk(w, 'op1');
    const stream = await openStream(desk);
    const place = stream.id;
    await settle(stream);
    stream.close();
    const query = await openStream(desk, { query: `?last_event_id=${place}` });
    await query.seen('follow-up');
    query.close();
    await w.db.rows(`UPDATE feed SET at = now() - interval '61 minutes'`);
    await w.db.rows('SELECT forget_feed(100000)');
    assert.equal(await w.db.value('SELECT count(*) FROM feed'), 0);
    for (const after of [place, '99999999999-1']) {
      const late = await openStream(desk, { after });
      await late.seen('reload', { reason: 'gap' });
      await settle(late);
      late.close();
    }
    const strange = await openStream(desk, { after: 'rubbish' });
    assert.equal(strange.of('hello')[0].resumed, false);
    strange.close();
  });

  it('one who missed very much loads again, and goes on', async () => {
    const desk = await atDesk(w, 'op1');
    const stream = await openStream(desk);
    stream.close();
    for (let i = 0; i < 10; i++)
      await w.post(batched(Array.from({ length: 250 }, (_, n) => call('ringing', { call: `many-${i}-${n}` }))));
    const late = await openStream(desk, { after: stream.id });
    await late.seen('reload', { reason: 'gap' });
    await settle(late);
    late.close();
  });

  it('while the database is away the stream stays, and catches up', async () => {
    const op1 = await openStream(await atDesk(w, 'op1'), onFirst);
    await settle(op1);
    await w.proxy.away();
    const ids = [await raise({ retailer: 'R1' }), await raise({ retailer: 'R7' })]; // by the other daemon
    await pause(looks);
    assert.equal(op1.ended, false);
    await w.proxy.back();
    for (const id of ids) await op1.seen('follow-up', { id });
    assert.deepEqual(op1.of('reload'), []);
    op1.close();
    await eventually(async () => (await fetch(`http://${first.gateway.host}:${first.gateway.port}/readyz`)).ok);
  });

  it('a reader that takes nothing is cut off, and others wait for nobody', async () => {
    const desk = await atDesk(w, 'op1');
    const deaf = await Wire.open(second.console, { highWaterMark: 1024 });
    deaf.socket.pause();
    await deaf.write(`GET /api/v1/stream HTTP/1.1\r\nHost: a\r\nCookie: ${desk.cookie}\r\n\r\n`);
    const good = await openStream(desk);
    const slow = () => w.metric('ringback_streams_ended_total', { reason: 'slow' });
    const begin = await slow();
    let n = 0;
    await eventually(
      async () => {
        const events = Array.from({ length: 250 }, (_, i) => call('ringing', { call: `deaf-${n}-${i}-${'x'.repeat(200)}` }));
        n++;
        await w.post(batched(events));
        return (await slow()) > begin;
      },
      { timeout: 60_000, every: 300, what: 'the reader is cut off' },
    );
    await eventually(() => new Set(good.of('call').map((data) => data.id)).size === n * 250 || good.of('reload').length > 0);
    assert.deepEqual(good.of('reload'), []);
    await open(1);
    deaf.close();
    good.close();
  });
});

describe('the end of a stream', () => {
  it('comes with the end of its session, at every daemon', async () => {
    const desk = await atDesk(w, 'op2');
    const other = await atDesk(w, 'op2');
    const streams = await Promise.all([first, second].map((daemon) => openStream(desk, { daemon })));
    const stays = await openStream(other);
    assert.equal((await desk.del('/session')).status, 204);
    for (const stream of streams) {
      await stream.seen('end', { reason: 'session' }, { timeout: 3000 });
      await stream.isOver();
    }
    assert.equal(stays.ended, false);
    // A session that ends by itself, or whose account is disabled, is found within a minute, sooner with few streams.
    await w.db.rows(`UPDATE accounts SET disabled_at = now() WHERE name = 'op2'`);
    await stays.seen('end', { reason: 'session' }, { timeout: 32_000 });
    await w.db.rows(`UPDATE accounts SET disabled_at = NULL WHERE name = 'op2'`);
  });

  it('comes when the browser opens too many', async () => {
    const desk = await atDesk(w, 'op2');
    const streams = [];
    for (let i = 0; i < 5; i++) streams.push(await openStream(desk));
    await streams[0].seen('end', { reason: 'superseded' });
    await streams[0].isOver();
    await settle(...streams.slice(1));
    for (const stream of streams) stream.close();
  });

  it('leaves nothing behind when the browser goes', async () => {
    await open(0);
    const stream = await openStream(await atDesk(w, 'op1'));
    await open(1);
    stream.close();
    await open(0);
    assert.ok((await w.metric('ringback_stream_events_total')) > 0);
    assert.ok((await w.metric('ringback_stream_lag_seconds_count')) > 0);
  });

  it('comes at once when the daemon stops, with a word when to come back', async () => {
    const stream = await openStream(await atDesk(w, 'op1'), onFirst);
    delete stream.retry;
    const took = await first.stop();
    await stream.isOver();
    assert.ok(stream.retry >= 1000 && stream.retry <= 5000);
    assert.ok(took < 5000, `${took} ms`);
    const again = await openStream(stream.desk, { after: stream.id, daemon: second });
    assert.equal(again.of('hello')[0].resumed, true);
    await settle(again);
    again.close();
  });
});
