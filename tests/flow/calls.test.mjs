// Call records: one for a call, whatever the order and number of its events, and a state that never goes back.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { callRow, count } from './lib/look.mjs';
import { batched, call, complaint, order, structured } from './lib/events.mjs';

const w = await world();
const rank = { ringing: 1, answered: 2, ended: 3 };

function* permutations(list) {
  if (list.length < 2) yield list;
  for (let i = 0; i < list.length; i++)
    for (const rest of permutations([...list.slice(0, i), ...list.slice(i + 1)])) yield [list[i], ...rest];
}

// The three events of one call, a second apart by their times.
function life(id, over = {}) {
  const data = { call: id, direction: 'inbound', from: '15400010001', to: '12313', ...over };
  const begin = Date.now() - 60_000;
  const at = (n) => ({ time: new Date(begin + n * 1000).toISOString() });
  return {
    ringing: call('ringing', data, at(0)),
    answered: call('answered', data, at(5)),
    ended: call('ended', { ...data, seconds: 42, cause: 'normal', recording: 'rec-1.wav' }, at(47)),
  };
}

function check(got, id, highest, seenEnd) {
  assert.equal(got.id, id);
  assert.equal(rank[got.state], highest, JSON.stringify(got));
  assert.equal(got.seconds, seenEnd ? 42 : null);
  assert.equal(got.retailer, 'R1');
}

describe('a call', () => {
  const shuffles = [
    ...permutations(['ringing', 'answered', 'ended']),
    ...permutations(['ringing', 'answered', 'ended', 'ended']),
    ['ended', 'ringing', 'ended', 'answered', 'ringing', 'ended'],
    ['answered', 'answered', 'ringing', 'ringing', 'ended', 'answered'],
  ];

  it(`is one record in ${shuffles.length} orders of its events, repeats included`, async () => {
    const ends = new Set();
    for (const [n, states] of shuffles.entries()) {
      const id = `shuffled-${n}`;
      const events = life(id);
      let highest = 0;
      for (const [i, state] of states.entries()) {
        highest = Math.max(highest, rank[state]);
        const repeated = states.indexOf(state) < i;
        const answer = await w.post(structured(events[state]));
        assert.equal(answer.status, 200, answer.text);
        if (repeated) assert.equal(answer.headers['ringback-replayed'], 'true');
        else check(answer.json.call, id, highest, states.slice(0, i + 1).includes('ended'));
      }
      const row = await callRow(w.db, id);
      assert.equal(row.state, 3);
      ends.add(
        JSON.stringify([
          row.seconds,
          row.cause,
          row.recording,
          row.direction,
          ...['answered_at', 'ended_at'].map((key) => Date.parse(row[key]) - Date.parse(row.ringing_at)),
        ]),
      );
    }
    assert.deepEqual(
      [...ends],
      [JSON.stringify([42, 'normal', 'rec-1.wav', 'inbound', 5000, 47000])],
      'the same record in the end',
    );
  });

  it('is one record when its events come under new ids', async () => {
    for (let n = 0; n < 3; n++)
      for (const one of Object.values(life('retold'))) assert.equal((await w.post(structured(one))).status, 200);
    assert.equal(await count(w.db, 'calls', "call = 'retold'"), 1);
  });

  it('is one record when all its events come at once', async () => {
    const messages = Array.from({ length: 20 }, () => Object.values(life('crowded')))
      .flat()
      .map((one) => structured(one));
    const answers = await Promise.all(messages.map((message) => w.post(message)));
    assert.ok(
      answers.every((answer) => answer.status === 200),
      answers.find((answer) => answer.status !== 200)?.text,
    );
    assert.equal((await callRow(w.db, 'crowded')).state, 3);
    assert.equal(await count(w.db, 'calls', "call = 'crowded'"), 1);
  });

  it('is one record within a batch, where later items see the earlier ones', async () => {
    const { ringing, answered, ended } = life('batched');
    const items = (await w.post(batched([ended, ringing, answered]))).json;
    assert.deepEqual(
      items.map((item) => item.call.state),
      ['ended', 'ended', 'ended'],
    );
    const second = life('batched-2');
    const forward = (await w.post(batched([second.ringing, second.answered, second.ended]))).json;
    assert.deepEqual(
      forward.map((item) => item.call.state),
      ['ringing', 'answered', 'ended'],
    );
  });

  it('knows the retailer by the far end of either direction', async () => {
    const state = async (data) =>
      (await w.post(structured(call('ringing', { call: crypto.randomUUID(), ...data })))).json.call.retailer;
    assert.equal(await state({ direction: 'inbound', from: '+8615400010002', to: '12313' }), 'R2');
    assert.equal(await state({ direction: 'outbound', from: '12313', to: '0154-0001-0002' }), 'R2');
    assert.equal(await state({ direction: 'inbound', from: '15400010056', to: '12313' }), null, 'two share it');
    assert.equal(await state({ direction: 'inbound', from: 'anonymous', to: '12313' }), null);
    assert.equal(
      await state({ direction: 'inbound', from: '12313', to: '15400010002' }),
      null,
      'the near end does not count',
    );
  });

  it('may be named before it is heard of, and is tied then', async () => {
    const id = 'later-1';
    const placed = await w.post(
      structured(order({ retailer: 'R1', lines: [{ product: 'A1', cartons: 1 }], call: id })),
    );
    const raised = await w.post(structured(complaint({ retailer: 'R1', text: '占线太久', call: id })));
    assert.deepEqual([placed.json.order.call, raised.json.complaint.call], [id, id]);
    await w.post(structured(life(id).ended));
    const tied = await w.db.value(
      'SELECT count(*) FROM calls c JOIN orders o USING (branch_id, call) JOIN complaints p USING (branch_id, call) WHERE call = $1',
      [id],
    );
    assert.equal(tied, 1);
  });

  it('may end unanswered, after no seconds', async () => {
    const answer = await w.post(structured(call('ended', { call: 'missed', seconds: 0, cause: 'no-answer' })));
    assert.deepEqual([answer.json.call.state, answer.json.call.seconds], ['ended', 0]);
  });
});
