// Complaints: never refused for who calls, always with an owner and a deadline.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { eventually } from './lib/eventually.mjs';
import { followUp, notifications, steps } from './lib/look.mjs';
import { batched, complaint, structured, validReference } from './lib/events.mjs';

const w = await world();
const hour = 3_600_000;

const raise = (data, over) => w.post(structured(complaint({ text: '到货少一条', ...data }, over)));

async function raised(data, over) {
  const answer = await raise(data, over);
  assert.equal(answer.status, 200, `${JSON.stringify(data)}: ${answer.text}`);
  return answer.json.complaint;
}

const stored = (reference) => w.db.row('SELECT * FROM complaints WHERE reference = $1', [reference]);

describe('a complaint', () => {
  it('makes a follow-up for the retailer’s manager, due in 24 hours', async () => {
    const before = Date.now();
    const got = await raised({ retailer: 'R1', call: 'c-1', category: 'delivery', severity: 2, operator: 'OP1' });
    assert.ok(validReference(got.reference));
    assert.deepEqual([got.manager, got.call], ['AM1', 'c-1']);
    const due = Date.parse(got.due_at) - 24 * hour;
    assert.ok(due >= before - 1500 && due <= Date.now() + 1500, got.due_at);
    const row = await followUp(w.db, got.follow_up);
    assert.deepEqual([row.state, row.owner, row.retailer, row.proof], ['open', 'AM1', 'R1', null]);
    const { kind, text, category, severity } = await stored(got.reference);
    assert.deepEqual(
      { kind, text, category, severity },
      { kind: 'complaint', text: '到货少一条', category: 'delivery', severity: 2 },
    );
  });

  it('has the ladder of the policy, and its notification in the same transaction', async () => {
    const got = await raised({ retailer: 'R1' });
    const ladder = await steps(w.db, got.follow_up);
    assert.deepEqual(
      ladder.map((step) => [step.action, step.whom, step.hours]),
      [
        ['reminded', 'owner', 12],
        ['reminded', 'owner', 18],
        ['overdue', 'owner', 24],
        ['escalated', 'market_manager', 25],
        ['escalated', 'duty_supervisor', 26],
      ],
    );
    const [note, ...more] = await notifications(w.db, got.follow_up);
    assert.equal(more.length, 0);
    assert.deepEqual([note.type, note.addressee], ['assigned', 'AM1']);
    const same = await w.db.value(
      `SELECT count(DISTINCT x) FROM (SELECT xmin::text AS x FROM notifications WHERE follow_up_id = $1
       UNION ALL SELECT xmin::text FROM follow_up_steps WHERE follow_up_id = $1
       UNION ALL SELECT xmin::text FROM complaints WHERE reference = $2) t`,
      [got.follow_up, got.reference],
    );
    assert.equal(same, 1);
  });

  it('may be of every kind, and of no other', async () => {
    for (const kind of ['complaint', 'opinion', 'request', 'suggestion', 'inquiry', 'report'])
      assert.equal((await stored((await raised({ retailer: 'R1', kind })).reference)).kind, kind);
    assert.equal((await raise({ retailer: 'R1', kind: 'Complaint' })).code, 'invalid-data');
  });

  it('may have 1 to 4,000 characters, whatever their bytes', async () => {
    for (const text of [
      'x',
      '慢'.repeat(4000),
      '😀'.repeat(4000),
      `é${'e\u0301'.repeat(1999)}`,
      '"\\\n\t</script>\u2028',
    ]) {
      const got = await raised({ retailer: 'R1', text });
      assert.equal((await stored(got.reference)).text, text);
    }
    for (const text of ['', '慢'.repeat(4001), '😀'.repeat(4001)]) {
      const answer = await raise({ retailer: 'R1', text });
      assert.deepEqual([answer.code, answer.errors[0].pointer], ['invalid-data', '/text']);
    }
  });

  it('may name its order, by a reference that holds', async () => {
    const lines = [{ product: 'A1', cartons: 1 }];
    const placed = await w.post(
      structured({ ...complaint({}), type: 'ringback.order.placed', data: { retailer: 'R1', lines } }),
    );
    const { reference } = placed.json.order;
    const got = await raised({ retailer: 'R1', order: reference });
    assert.equal(String((await stored(got.reference)).order_reference), reference);
    const wrong = reference.slice(0, 9) + ((Number(reference[9]) + 1) % 10);
    for (const order of [wrong, reference.slice(0, 9), `0${reference.slice(1)}`, `${reference} `, 'x', '']) {
      const answer = await raise({ retailer: 'R1', order });
      assert.deepEqual(
        [answer.status, answer.code, answer.errors[0]?.pointer],
        [422, 'bad-reference', '/order'],
        `${order}: ${answer.text}`,
      );
    }
  });

  it('by an operator whom nobody knows is taken', async () => {
    const answer = await raise({ retailer: 'R1', operator: 'OP99' });
    assert.equal(answer.status, 200, answer.text);
    assert.equal((await stored(answer.json.complaint.reference)).operator_code, 'OP99');
  });

  it('shares its numbers with orders', async () => {
    const references = [];
    for (let i = 0; i < 3; i++) {
      references.push((await raised({ retailer: 'R1' })).reference);
      const order = await w.post(
        structured({
          ...complaint({}),
          type: 'ringback.order.placed',
          data: { retailer: 'R1', lines: [{ product: 'A1', cartons: 1 }] },
        }),
      );
      references.push(order.json.order.reference);
    }
    assert.equal(new Set(references).size, 6);
    assert.ok(references.every(validReference), references.join(' '));
  });
});

describe('whoever calls', () => {
  const cases = [
    ['the named retailer', { retailer: 'R6' }, 'AM3', 'R6'],
    ['a retailer by his number', { caller: '+86 154 0001 0002' }, 'AM2', 'R2'],
    ['the named retailer from another’s number', { retailer: 'R6', caller: '15400010001' }, 'AM3', 'R6'],
    ['two retailers of one manager', { caller: '15400010034' }, 'AM1', null],
    ['two retailers of two managers', { caller: '15400010056' }, 'S1', null],
    ['an unknown number', { caller: '15499998888' }, 'S1', null],
    ['a number that is withheld', { caller: 'anonymous' }, 'S1', null],
    ['no number at all', { caller: '' }, 'S1', null],
    ['a number that is none', { caller: '呼叫方未知' }, 'S1', null],
    ['an unknown retailer', { retailer: 'R404' }, 'S1', null],
    ['a retailer without a name', { retailer: '' }, 'S1', null],
    ['a caller with a long address', { caller: `sip:15400010002@${'pbx.'.repeat(60)}test;user=phone` }, 'AM2', 'R2'],
  ];
  for (const [name, data, owner, retailer] of cases)
    it(`is heard: ${name}`, async () => {
      const got = await raised(data);
      assert.equal(got.manager, owner);
      const row = await followUp(w.db, got.follow_up);
      assert.deepEqual([row.owner, row.retailer], [owner, retailer]);
    });

  it('is heard after the duty supervisor was named, by him', async () => {
    await w.must(['branch', 'set', '--duty-supervisor', 'S2']);
    assert.equal((await raised({ caller: 'anonymous' })).manager, 'S2');
    await w.db.rows("UPDATE people SET retired_at = now() WHERE code = 'S2'");
    assert.equal((await raised({ caller: 'anonymous' })).manager, 'S1', 'the first active one by code');
  });

  it('is heard even when there is no supervisor, and a metric says so', async () => {
    await w.db.rows("UPDATE people SET retired_at = now() WHERE role = 'supervisor'");
    const got = await raised({ caller: 'anonymous' });
    assert.equal(got.manager, null);
    assert.equal((await followUp(w.db, got.follow_up)).owner, null);
    const unowned = async () => (await w.metric('ringback_follow_ups_without_owner')) === 1;
    await eventually(unowned, { timeout: 15_000 });
    await w.db.rows("UPDATE people SET retired_at = NULL WHERE role = 'supervisor'");
  });
});

describe('the deadline', () => {
  const at = (ms) => new Date(Date.now() + ms).toISOString();

  it('counts from the event’s time, when that is at most 60 s ahead and 7 days old', async () => {
    for (const off of [-1000, -6 * hour, -3 * 24 * hour, -7 * 24 * hour + 60_000, 50_000]) {
      const time = at(off);
      const got = await raised({ retailer: 'R1' }, { time });
      assert.equal(Date.parse(got.due_at), Date.parse(time) + 24 * hour, time);
    }
  });

  it('counts from now else', async () => {
    for (const off of [-7 * 24 * hour - 60_000, 70_000, -400 * 24 * hour, 365 * 24 * hour]) {
      const got = await raised({ retailer: 'R1' }, { time: at(off) });
      assert.ok(Math.abs(Date.parse(got.due_at) - Date.now() - 24 * hour) < 3000, `${off}: ${got.due_at}`);
    }
  });

  it('is a moment with an offset, of the same instant however the time was written', async () => {
    const now = new Date(Math.floor(Date.now() / 1000) * 1000 - 60_000);
    const local = new Date(now.getTime() + 8 * hour).toISOString().replace('.000Z', '+08:00');
    const utc = now.toISOString().replace('.000Z', 'Z');
    const [a, b] = [await raised({ retailer: 'R1' }, { time: local }), await raised({ retailer: 'R1' }, { time: utc })];
    assert.match(a.due_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/);
    assert.equal(Date.parse(a.due_at), Date.parse(b.due_at));
  });

  it('is the policy’s, by class and kind', async () => {
    await w.db.rows(
      `WITH p AS (INSERT INTO policies (branch_id, name, class, deadline) SELECT branch_id, 'key', 'key', '4 hours' FROM branches RETURNING *)
       INSERT INTO policy_steps (branch_id, policy_id, step, action, share, whom) SELECT branch_id, policy_id, 'overdue', 'overdue', 1, 'owner' FROM p`,
    );
    const time = at(-60_000);
    assert.equal(
      Date.parse((await raised({ retailer: 'R1' }, { time })).due_at),
      Date.parse(time) + 4 * hour,
      'a key retailer',
    );
    assert.equal(
      Date.parse((await raised({ retailer: 'R2' }, { time })).due_at),
      Date.parse(time) + 24 * hour,
      'an ordinary one',
    );
  });
});

describe('a hundred complaints at once', () => {
  it('each have a follow-up of their own', async () => {
    const answer = await w.post(
      batched(Array.from({ length: 100 }, (_, i) => complaint({ retailer: `R${(i % 9) + 1}`, text: `第 ${i} 件` }))),
    );
    const got = answer.json.map((item) => item.complaint);
    assert.equal(new Set(got.map((one) => one.reference)).size, 100);
    assert.equal(new Set(got.map((one) => one.follow_up)).size, 100);
  });
});
