// The outbox under trouble: targets that are down, the database away between an answer and its record, a daemon that
// is told to go, two daemons at one target. The receiver counts what is under way at a time.
import { after, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { Sink } from './lib/sink.mjs';
import { eventually, pause } from './lib/eventually.mjs';
import { batched, complaint, structured } from './lib/events.mjs';

const w = await world({ proxy: true });
const range = Array.from({ length: 8 }, (_, i) => i + 1);
await w.import('people', ['code,name,role', ...range.map((i) => `D${i},经理${i},account_manager`)].join('\n'));
await w.import(
  'retailers',
  ['code,name,phones,manager', ...range.map((i) => `U${i},小店${i},154020${String(i).padStart(5, '0')},D${i}`)].join(
    '\n',
  ),
);

const sinks = [];
after(() => Promise.all(sinks.map((sink) => sink.close())));

// A manager of the test's own with a target that answers as scripted.
async function target(n, answer) {
  const sink = await Sink.start(answer);
  sinks.push(sink);
  await w.addTarget(`D${n}`, sink.url());
  return sink;
}

// Complaints of his retailer; gives their follow-ups.
async function raise(n, count = 1) {
  const answer = await w.post(
    batched(Array.from({ length: count }, () => complaint({ retailer: `U${n}`, text: '无人回复' }))),
  );
  assert.equal(answer.status, 200, answer.text);
  return answer.json.map((item) => item.complaint.follow_up);
}

const states = async (ids) =>
  Object.fromEntries(
    (
      await w.db.rows('SELECT state, count(*) AS n FROM notifications WHERE follow_up_id = ANY($1) GROUP BY 1', [ids])
    ).map((row) => [row.state, row.n]),
  );
const delivered = (ids, timeout) =>
  eventually(async () => (await states(ids)).delivered === ids.length, {
    timeout,
    what: `${ids.length} are delivered`,
  });
const targetOf = (n) =>
  w.db.row('SELECT t.* FROM targets t JOIN people p USING (branch_id, person_id) WHERE p.code = $1', [`D${n}`]);

describe('a target', () => {
  it('that is down is probed by one at a time, and gets all when it is back', async () => {
    let down = true;
    const sink = await target(1, () => (down ? 500 : 200));
    const ids = await raise(1, 60);
    await eventually(async () => (await targetOf(1)).failures >= 5);
    await eventually(async () => !(await states(ids)).sending); // what was on its way when the breaker opened
    const burst = sink.requests.length;
    assert.ok(burst <= 40, `${burst} requests before the breaker`);
    await pause(2000);
    await eventually(async () => (await w.metric('ringback_outbox_breakers_open')) === 1);
    assert.ok(sink.requests.length - burst <= 6, `${sink.requests.length - burst} probes in a few seconds`);
    down = false;
    await w.db.force("UPDATE notifications SET next_attempt_at = clock_timestamp() WHERE state = 'waiting'");
    await delivered(ids, 40_000);
    assert.equal((await targetOf(1)).failures, 0);
  });

  it('whose follow-ups are closed meanwhile hears no more of them', async () => {
    const sink = await target(2, () => 503);
    const [id] = await raise(2);
    await eventually(() => sink.requests.length === 1);
    await eventually(async () => (await states([id])).waiting === 1);
    await w.db.force("UPDATE follow_ups SET state = 'closed', closed_at = now() WHERE follow_up_id = $1", [id]);
    await w.db.force('UPDATE notifications SET next_attempt_at = clock_timestamp() WHERE follow_up_id = $1', [id]);
    await eventually(async () => (await states([id])).cancelled === 1);
    assert.equal(sink.requests.length, 1);
  });

  it('that refuses one message still gets the others', async () => {
    const sink = await target(3, (request) => (request.json.data.text === '无人回复' ? 200 : 400));
    const bad = [];
    for (let i = 0; i < 7; i++) {
      const answer = await w.post(structured(complaint({ retailer: 'U3', text: `第 ${i} 件` })));
      bad.push(answer.json.complaint.follow_up);
    }
    await eventually(() => sink.requests.length === 7);
    await delivered(await raise(3, 20), 5000);
    assert.deepEqual(await states(bad), { waiting: 7 });
    assert.equal((await targetOf(3)).failures, 0);
  });
});

describe('the database', () => {
  it('away between an answer and its record costs no second delivery', async () => {
    const sink = await target(4, () => ({ status: 200, delay: 700 }));
    const ids = await raise(4, 5);
    await eventually(() => sink.requests.length === 5);
    await w.proxy.away();
    await pause(1500); // the answers come while nobody can write them down
    assert.deepEqual(await states(ids), { sending: 5 });
    await w.proxy.back();
    await delivered(ids, 15_000);
    assert.equal(sink.requests.length, 5);
    await w.ready();
  });
});

describe('the clock', () => {
  it('passes over a step that cannot be fired, and fires the others', async () => {
    const ids = await raise(7, 6);
    const [poison] = ids;
    await w.db.force(`CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poison'; END $$`);
    await w.db.force(`CREATE TRIGGER poison BEFORE INSERT ON notifications FOR EACH ROW WHEN (NEW.follow_up_id = ${poison}) EXECUTE FUNCTION public.refuse()`);
    await w.db.force("UPDATE follow_up_steps SET due_at = clock_timestamp() WHERE step = 'reminder-50' AND follow_up_id = ANY($1)", [ids]);
    const steps = () => w.db.rows("SELECT follow_up_id, skipped FROM follow_up_steps WHERE fired_at IS NOT NULL AND follow_up_id = ANY($1)", [ids]);
    await eventually(async () => (await steps()).length === 6);
    assert.deepEqual((await steps()).filter((step) => step.skipped), [{ follow_up_id: poison, skipped: 'failed' }]);
    assert.equal(await w.db.value("SELECT count(*) FROM notifications WHERE type = 'reminded' AND follow_up_id = ANY($1)", [ids]), 5);
    await w.db.force('DROP TRIGGER poison ON notifications');
  });
});

describe('two daemons', () => {
  it('have at most 32 under way to one target, and send each once', async () => {
    let now = 0;
    let most = 0;
    const sink = await target(5, () => {
      most = Math.max(most, ++now);
      setTimeout(() => now--, 100);
      return { status: 200, delay: 100 };
    });
    await w.start();
    const ids = await raise(5, 200);
    await delivered(ids, 30_000);
    assert.ok(most <= 32, `${most} at a time`);
    assert.equal(sink.requests.length, 200);
    await w.daemon.stop();
    w.daemon = w.daemons[0];
    w.client = w.newClient();
  });
});

describe('a daemon that is told to go', () => {
  it('leaves within ten seconds, blames nobody, and the next one goes on', async () => {
    const sink = await target(6, (_, n) => (n < 32 ? { hang: true } : 200));
    const ids = await raise(6, 40);
    await eventually(() => sink.requests.length === 32);
    const took = await w.daemon.stop();
    assert.ok(took < 10_000, `${took} ms`);
    assert.deepEqual(await states(ids), { waiting: 40 });
    assert.equal((await targetOf(6)).failures, 0);
    const errors = await w.db.rows(
      'SELECT DISTINCT error FROM notification_attempts a JOIN notifications n USING (branch_id, notification_id) WHERE n.follow_up_id = ANY($1)',
      [ids],
    );
    assert.equal(errors.length, 1);
    await w.start();
    await delivered(ids, 30_000);
  });
});
