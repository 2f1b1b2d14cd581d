// The promise clock: reminders, overdue, escalations, each once and to the right person. Follow-ups are moved
// through time in the database; the clock itself runs as always.
import { after, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { Sink } from './lib/sink.mjs';
import { eventually, pause } from './lib/eventually.mjs';
import { batched, complaint, structured } from './lib/events.mjs';
import { bringDue, notifications, steps } from './lib/look.mjs';

const w = await world();
const hour = 3_600_000;
const sink = await Sink.start();
after(() => sink.close());
for (const code of ['AM1', 'AM3', 'MM1', 'MM2', 'S1', 'S2']) await w.addTarget(code, sink.url(`/${code}`));

async function raise(data, over) {
  const answer = await w.post(structured(complaint({ text: '没人回电', ...data }, over)));
  assert.equal(answer.status, 200, answer.text);
  return answer.json.complaint.follow_up;
}

// What the sink heard of a follow-up: "AM1 reminded" and so on, in the order it came.
const heard = (id) =>
  sink.requests
    .filter((request) => request.json?.data?.follow_up === id)
    .map((request) => `${request.path.slice(1)} ${request.json.type.replace('ringback.follow-up.', '')}`);

const ladder = async (id) => (await steps(w.db, id)).map((step) => step.step);

describe('the clock', () => {
  it('climbs the ladder: owner, owner, owner, market manager, duty supervisor', async () => {
    const id = await raise({ retailer: 'R1' });
    const wanted = ['AM1 assigned', 'AM1 reminded', 'AM1 reminded', 'AM1 overdue', 'MM1 escalated', 'S1 escalated'];
    await eventually(() => heard(id).length === 1);
    for (const [i, step] of (await ladder(id)).entries()) {
      await bringDue(w.db, id, step);
      await eventually(() => heard(id).length >= i + 2, { what: `${step} is heard` });
      assert.deepEqual(heard(id), wanted.slice(0, i + 2));
    }
    const late = await w.db.value(
      'SELECT max(extract(epoch FROM fired_at - due_at))::float8 FROM follow_up_steps WHERE follow_up_id = $1',
      [id],
    );
    assert.ok(late < 2.5, `${late} s late`);
    assert.equal(
      new Set(sink.requests.filter((one) => one.json.data.follow_up === id).map((one) => one.json.id)).size,
      6,
      'six notifications with ids of their own',
    );
  });

  it('fires a step within a second of its time', async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, () => raise({ retailer: 'R1' })));
    for (const id of ids) await bringDue(w.db, id, (await ladder(id))[0]);
    await eventually(() => ids.every((id) => heard(id).length === 2));
    const late = await w.db.rows(
      'SELECT extract(epoch FROM fired_at - due_at)::float8 AS s FROM follow_up_steps WHERE fired_at IS NOT NULL AND follow_up_id = ANY($1)',
      [ids],
    );
    assert.ok(
      late.every(({ s }) => s >= 0 && s < 1),
      JSON.stringify(late),
    );
  });

  it('fires nothing before its time', async () => {
    const id = await raise({ retailer: 'R1' });
    await eventually(() => heard(id).length === 1);
    await bringDue(w.db, id, (await ladder(id))[0]);
    await eventually(() => heard(id).length === 2);
    await pause(1200);
    assert.deepEqual(heard(id), ['AM1 assigned', 'AM1 reminded']);
    const open = (await steps(w.db, id)).filter((step) => !step.fired_at);
    assert.equal(open.length, 4);
  });

  it('tells the market manager of the owner, not of the branch', async () => {
    const id = await raise({ retailer: 'R6' });
    await eventually(() => heard(id).length === 1);
    await bringDue(w.db, id, (await ladder(id))[3]);
    await eventually(() => heard(id).includes('MM2 escalated'));
    assert.ok(!heard(id).includes('MM1 escalated'));
  });

  it('tells whoever is next when somebody on the ladder has no target', async () => {
    const id = await raise({ retailer: 'R8' }); // AM4 has none: his market manager hears instead
    await eventually(() => heard(id).length === 1);
    assert.deepEqual(heard(id), ['MM2 assigned']);
    await bringDue(w.db, id, (await ladder(id))[2]);
    await eventually(() => heard(id).includes('MM2 overdue'));
  });

  it('is silent about a follow-up that is closed', async () => {
    const id = await raise({ retailer: 'R1' });
    await eventually(() => heard(id).length === 1);
    await w.db.force("UPDATE follow_ups SET state = 'closed', closed_at = now() WHERE follow_up_id = $1", [id]);
    const [first] = await ladder(id);
    await bringDue(w.db, id, first);
    await eventually(async () => (await steps(w.db, id))[0].fired_at);
    assert.deepEqual(heard(id), ['AM1 assigned']);
  });
});

describe('a complaint that arrives late', () => {
  const cases = [
    [1, []],
    [13, ['AM1 reminded']],
    [19, ['AM1 reminded']],
    [24.5, ['AM1 overdue']],
    [25.5, ['MM1 escalated']],
    [26.5, ['S1 escalated']],
    [100, ['S1 escalated']],
  ];
  for (const [hours, then] of cases)
    it(`by ${hours} hours is assigned, then told only ${then[0] ?? 'nothing'}`, async () => {
      const time = new Date(Date.now() - hours * hour).toISOString();
      const id = await raise({ retailer: 'R1' }, { time });
      const wanted = ['AM1 assigned', ...then];
      await eventually(() => heard(id).length >= wanted.length);
      await pause(then.length ? 700 : 1200);
      assert.deepEqual(heard(id).sort(), wanted.sort());
      const past = (await steps(w.db, id)).filter((step) => step.hours <= hours);
      assert.ok(past.every((step) => step.fired_at));
      assert.equal(past.filter((step) => !step.skipped).length, then.length);
      assert.equal((await notifications(w.db, id)).length, wanted.length);
    });
});

describe('two daemons', () => {
  it('fire each of 200 steps once', async () => {
    await w.start();
    const answer = await w.post(batched(Array.from({ length: 200 }, () => complaint({ retailer: 'R6', text: '催' }))));
    const ids = answer.json.map((item) => item.complaint.follow_up);
    const [first] = await ladder(ids[0]);
    await w.db.force(
      `UPDATE follow_up_steps SET due_at = clock_timestamp() + interval '200 milliseconds' WHERE step = $1 AND follow_up_id = ANY($2)`,
      [first, ids],
    );
    await eventually(() => ids.every((id) => heard(id).length >= 2), { timeout: 30_000 });
    for (const id of ids) assert.deepEqual(heard(id).sort(), ['AM3 assigned', 'AM3 reminded']);
    const made = await w.db.value(
      "SELECT count(*) FROM notifications WHERE type = 'reminded' AND follow_up_id = ANY($1)",
      [ids],
    );
    assert.equal(made, 200);
  });
});
