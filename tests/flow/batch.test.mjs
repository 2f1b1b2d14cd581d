// Batches: an outcome for each item in the order sent, and no harm to the neighbours of a bad one.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { problemCode } from './lib/client.mjs';
import { count } from './lib/look.mjs';
import { batched, call, complaint, event, order, structured } from './lib/events.mjs';

const w = await world({ proxy: true });
const anOrder = (over) => order({ retailer: 'R1', lines: [{ product: 'A1', cartons: 1 }] }, over);
const send = async (items) => (await w.post(batched(items))).json;

// What an item came to: the code of its problem, or the noun that was accepted.
const came = (item) =>
  item.problem
    ? problemCode(item.problem, item.status)
    : Object.keys(item).find((key) => ['order', 'complaint', 'call'].includes(key));

describe('a batch', () => {
  it('that is empty has an empty answer', async () => {
    const answer = await w.post(batched([]));
    assert.deepEqual([answer.status, answer.text.replace(/\s/g, '')], [200, '[]']);
  });

  it('of mixed fates answers for each in the order sent', async () => {
    const old = anOrder();
    await w.post(structured(old));
    const items = [
      [anOrder(), 200, 'order'],
      [order({ retailer: 'nobody', lines: [{ product: 'A1', cartons: 1 }] }), 422, 'unknown-retailer'],
      [old, 200, 'order', true],
      [order({ retailer: 'R1', lines: [{ product: 'none', cartons: 1 }] }), 422, 'unknown-product'],
      [complaint({ caller: 'anonymous', text: '线路不通' }), 200, 'complaint'],
      [{ ...old, data: { ...old.data, note: 'x' } }, 409, 'event-conflict'],
      [order({ caller: '15400010034', lines: [{ product: 'A1', cartons: 1 }] }), 422, 'ambiguous-retailer'],
      [call('ringing', { call: 'in-batch' }), 200, 'call'],
      [event('com.example.unknown', {}), 422, 'unknown-type'],
      [order({ retailer: 'R1', lines: [] }), 422, 'invalid-data'],
      [complaint({ retailer: 'R1', text: 'x', order: '1234567890' }), 422, 'bad-reference'],
      [complaint({ retailer: 'R1', text: '最后一件' }), 200, 'complaint'],
    ];
    const got = await send(items.map(([sent]) => sent));
    assert.equal(got.length, items.length);
    for (const [i, [sent, status, what, again = false]] of items.entries()) {
      const item = got[i];
      assert.deepEqual(
        [item.source, item.event, item.status, item.replayed, came(item)],
        [sent.source, sent.id, status, again, what],
        JSON.stringify(item),
      );
      assert.equal(item.outcome, status === 200 ? 'accepted' : undefined);
    }
    assert.equal(got[3].problem.errors[0].pointer, '/lines/0/product');
  });

  it('has null for what cannot be read of an item, and takes the others', async () => {
    const good = anOrder();
    const items = [
      7,
      null,
      'x',
      [],
      {},
      { specversion: '1.0', type: 'ringback.order.placed' },
      anOrder({ id: 5 }),
      anOrder({ source: '' }),
      anOrder({ specversion: '2.0' }),
      anOrder({ id: undefined }),
      good,
    ];
    const got = await send(items);
    assert.equal(got.length, items.length);
    for (const item of got.slice(0, 6))
      assert.deepEqual([item.source, item.event, item.replayed], [null, null, false], JSON.stringify(item));
    assert.deepEqual([got[6].source, got[6].event], ['/test/pbx', null]);
    assert.deepEqual([got[8].source, got[8].event], ['/test/pbx', items[8].id]);
    assert.deepEqual([got[9].source, got[9].event], ['/test/pbx', null]);
    for (const item of got.slice(0, 10)) {
      assert.equal(item.status, 400, JSON.stringify(item));
      assert.ok(came(item));
    }
    assert.deepEqual([got[10].status, got[10].event], [200, good.id]);
  });

  it('with a fault of the text itself is refused whole, and nothing of it is kept', async () => {
    const good = anOrder();
    const text = JSON.stringify(good);
    const faults = [
      `[${text},`,
      `[${text}`,
      `[${text},{"a":1,"a":2}]`,
      `[${text},{"id":"\\ud800"}]`,
      `[${text},{"id":"\\u0000"}]`,
      `[${text},${'['.repeat(40)}${']'.repeat(40)}]`,
      `[${text},1e999]`,
      `[${text}]]`,
      `${text}`,
    ];
    for (const body of faults) {
      const answer = await w.post({ headers: { 'content-type': 'application/cloudevents-batch+json' }, body });
      assert.equal(answer.status, 400, body);
      assert.ok(answer.code);
    }
    assert.equal((await w.post(structured(good))).headers['ringback-replayed'], undefined);
  });

  it('with one poisonous item that the database chokes on harms none of a hundred', async () => {
    await w.db.rows(`CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.text = '毒' THEN RAISE EXCEPTION 'poison'; END IF; RETURN NEW; END $$`);
    await w.db.rows('CREATE TRIGGER poison BEFORE INSERT ON complaints FOR EACH ROW EXECUTE FUNCTION poison()');
    const items = Array.from({ length: 101 }, (_, i) =>
      complaint({ retailer: 'R1', text: i === 37 ? '毒' : `好 ${i}` }),
    );
    const got = await send(items);
    assert.deepEqual(
      got.map((item) => item.event),
      items.map((item) => item.id),
    );
    const bad = got.filter((item) => item.status !== 200);
    assert.deepEqual(
      bad.map((item) => item.event),
      [items[37].id],
    );
    assert.ok(bad[0].status >= 422 && bad[0].problem, JSON.stringify(bad[0]));
    await w.db.rows('DROP TRIGGER poison ON complaints');
    assert.equal(await count(w.db, 'complaints', "text LIKE '好 %'"), 100);
    const again = await send(items);
    assert.equal(again.filter((item) => item.replayed).length, 100);
    assert.deepEqual([again[37].status, again[37].replayed], [200, false], 'nothing of it was remembered');
  });

  it('of which single events come at the same time share their fate with nobody', async () => {
    await w.db.rows('CREATE TRIGGER poison BEFORE INSERT ON complaints FOR EACH ROW EXECUTE FUNCTION poison()');
    const messages = Array.from({ length: 100 }, (_, i) =>
      structured(complaint({ retailer: 'R2', text: i % 33 === 7 ? '毒' : `单 ${i}` })),
    );
    const answers = await Promise.all(messages.map((message) => w.post(message)));
    assert.equal(answers.filter((answer) => answer.status === 200).length, 97);
    assert.equal(await count(w.db, 'complaints', "text LIKE '单 %'"), 97);
    await w.db.rows('DROP TRIGGER poison ON complaints');
  });

  it('of which one item makes the database ask for another try, again and again, does not wait for it', async () => {
    await w.db.rows(`CREATE FUNCTION contend() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.text = '争' THEN RAISE EXCEPTION 'again' USING ERRCODE = 'serialization_failure'; END IF; RETURN NEW; END $$`);
    await w.db.rows('CREATE TRIGGER contend BEFORE INSERT ON complaints FOR EACH ROW EXECUTE FUNCTION contend()');
    const texts = Array.from({ length: 60 }, (_, i) => (i === 37 ? '争' : `让 ${i}`));
    const answers = await Promise.all(texts.map((text) => w.post(structured(complaint({ retailer: 'R2', text })))));
    assert.deepEqual(
      answers.map(({ status }) => status),
      texts.map((text) => (text === '争' ? 503 : 200)),
    );
    const slowest = Math.max(...answers.filter(({ status }) => status === 200).map(({ took }) => took));
    assert.ok(slowest < 3000, `the others waited ${slowest} ms`);
    await w.db.rows('DROP TRIGGER contend ON complaints');
  });

  it('of which nothing could be acknowledged is 503 as a whole', async () => {
    await w.proxy.away();
    const answer = await w.post(batched([anOrder(), complaint({ retailer: 'R1', text: 'x' })]));
    assert.equal(answer.status, 503);
    assert.ok(answer.headers['retry-after']);
    await w.proxy.back();
  });
});
