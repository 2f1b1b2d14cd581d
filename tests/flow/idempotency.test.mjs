// The same event again: one effect and one answer, however often, by whatever way; another content under the
// same id is a conflict.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { count, eventRows, granted, lingering } from './lib/look.mjs';
import { batched, binary, call, complaint, event, modes, order, structured } from './lib/events.mjs';

const w = await world({ gateways: ['pbx', 'second'] });
const anOrder = (over) => order({ retailer: 'R1', lines: [{ product: 'A1', cartons: 3 }], note: '周三' }, over);
const body = (text, sent) => ({ headers: binary(sent).headers, body: text });

async function replayed(answer, first) {
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers['ringback-replayed'], 'true');
  assert.equal(answer.text, first.text, 'byte for byte the first answer');
}

async function conflict(answer) {
  assert.deepEqual([answer.status, answer.code], [409, 'event-conflict'], answer.text);
  assert.equal(answer.headers['ringback-replayed'], undefined);
}

describe('the same event again', () => {
  const samples = {
    order: () => anOrder(),
    complaint: () => complaint({ retailer: 'R1', text: '少送一条' }),
    call: () => call('ringing', { call: crypto.randomUUID() }),
  };
  for (const [kind, make] of Object.entries(samples))
    it(`is answered as the first time, with the header (${kind})`, async () => {
      const sent = make();
      const first = await w.post(structured(sent));
      assert.equal(first.status, 200, first.text);
      assert.equal(first.headers['ringback-replayed'], undefined);
      await replayed(await w.post(structured(sent)), first);
      await replayed(await w.post(binary(sent)), first);
      await replayed(await w.post(binary(sent), { auth: 'webhook' }), first);
      await replayed(await w.post(structured(sent), { gateway: w.gateways.second }), first);
      const [item] = (await w.post(batched([sent]))).json;
      assert.deepEqual(item, { ...item, ...first.json, status: 200, replayed: true });
      assert.equal((await eventRows(w.db, sent)).length, 1);
    });

  it('may be spelled otherwise: mode, spacing, key order, escapes, numbers, time and extensions', async () => {
    const sent = anOrder({ time: '2026-01-01T00:00:00Z' });
    const first = await w.post(structured(sent));
    const { data } = sent;
    const spellings = [
      JSON.stringify(data, null, 4),
      '{"note":"\\u5468\\u4E09","lines":[{"cartons":3.0,"product":"\\u00411"}],"retailer":"R1"}',
      '{"lines": [ {"cartons":30e-1 , "product":"A1"} ],\r\n\t"note":"周三","retailer":"R\\u0031"}',
    ];
    for (const text of spellings) await replayed(await w.post(body(text, sent)), first);
    for (const over of [
      { time: '2027-02-03T04:05:06+08:00' },
      { time: undefined },
      { subject: 'x', traceparent: 'y' },
      { dataschema: 'urn:x' },
    ])
      for (const mode of [binary, structured]) await replayed(await w.post(mode({ ...sent, ...over })), first);
  });

  it('is another event under another source or id', async () => {
    const sent = anOrder();
    const first = await w.post(structured(sent));
    for (const over of [
      { source: '/test/another' },
      { id: `${sent.id}x` },
      { id: sent.id.toUpperCase() },
      { source: `${sent.source}/` },
    ]) {
      const answer = await w.post(structured({ ...sent, ...over }));
      assert.notEqual(answer.json.order.reference, first.json.order.reference);
    }
  });
});

describe('another content under the same id', () => {
  it('is 409, and the first stays', async () => {
    const sent = anOrder();
    const first = await w.post(structured(sent));
    const { data } = sent;
    const others = [
      { ...data, note: '周四' },
      { ...data, note: undefined },
      { ...data, extra: null },
      { ...data, retailer: 'R2' },
      { ...data, lines: [{ product: 'A1', cartons: 4 }] },
      { ...data, lines: [{ product: 'A1', cartons: 3, x: 1 }] },
      { ...data, lines: [...data.lines, { product: 'A2', cartons: 1 }] },
    ];
    for (const other of others)
      for (const mode of [binary, structured]) await conflict(await w.post(mode({ ...sent, data: other })));
    await conflict(await w.post(structured(complaint({ retailer: 'R1', text: 'x' }, { id: sent.id }))));
    await replayed(await w.post(structured(sent)), first);
    assert.ok((await count(w.db, 'audit_log', "action ~ 'conflict'")) >= others.length * 2);
  });

  it('differs by the order of lines, of which content is made', async () => {
    const lines = [
      { product: 'A1', cartons: 1 },
      { product: 'A3', cartons: 1 },
    ];
    const sent = order({ retailer: 'R1', lines });
    await w.post(structured(sent));
    await conflict(await w.post(structured({ ...sent, data: { ...sent.data, lines: lines.toReversed() } })));
  });

  it('differs by type alone', async () => {
    const sent = call('ringing', { call: crypto.randomUUID() });
    await w.post(structured(sent));
    await conflict(await w.post(structured({ ...sent, type: 'ringback.call.answered' })));
  });

  it('comes after faults of form and before look-ups', async () => {
    const sent = anOrder();
    await w.post(structured(sent));
    const invalid = await w.post(structured({ ...sent, data: { retailer: 'R1', lines: [] } }));
    assert.deepEqual([invalid.status, invalid.code], [422, 'invalid-data']);
    assert.equal((await w.post(structured(event('com.example.other', {}, { id: sent.id })))).code, 'unknown-type');
    await conflict(await w.post(structured({ ...sent, data: { ...sent.data, retailer: 'nobody' } })));
    await conflict(
      await w.post(structured({ ...sent, data: { ...sent.data, lines: [{ product: 'nothing', cartons: 1 }] } })),
    );
  });
});

describe('twins', () => {
  it('within a batch are a replay or a conflict', async () => {
    const sent = anOrder();
    const other = { ...sent, data: { ...sent.data, note: '另一个' } };
    const answer = await w.post(batched([sent, sent, other, anOrder(), sent]));
    const items = answer.json;
    assert.deepEqual(
      items.map((item) => [item.status, item.replayed]),
      [
        [200, false],
        [200, true],
        [409, false],
        [200, false],
        [200, true],
      ],
    );
    assert.equal(items[1].order.reference, items[0].order.reference);
    assert.equal(items[2].problem.type, '/problems/event-conflict');
    assert.equal((await eventRows(w.db, sent)).length, 1);
  });

  it('at the same moment in every mode have one effect', async () => {
    const sent = anOrder();
    const messages = Array.from({ length: 30 }, (_, i) => Object.values(modes)[i % 3](sent));
    const answers = await Promise.all(messages.map((message) => w.post(message)));
    const references = new Set(
      answers.map((answer) => (Array.isArray(answer.json) ? answer.json[0] : answer.json).order.reference),
    );
    assert.equal(references.size, 1);
  });

  it('from 100 clients a thousand times: one row, one answer', async () => {
    const sent = order({ retailer: 'R8', lines: [{ product: 'X1', cartons: 7 }] });
    const clients = Array.from({ length: 100 }, () => w.newClient({ sockets: 1 }));
    const answers = (
      await Promise.all(
        clients.map(async (client) => {
          const got = [];
          for (let i = 0; i < 10; i++) got.push(await client.post(structured(sent)));
          return got;
        }),
      )
    ).flat();
    const lost = answers.filter((answer) => answer.status !== 200);
    assert.equal(lost.length, 0, lost[0]?.text);
    assert.equal(new Set(answers.map((answer) => answer.text)).size, 1);
    assert.equal(answers.filter((answer) => answer.headers['ringback-replayed'] !== 'true').length, 1);
    assert.equal((await eventRows(w.db, sent)).length, 1);
    assert.deepEqual(await granted(w.db, 'R8', 'X1'), { lines: 7, counter: 7 });
  });
  it('to two daemons at once have one effect', async () => {
    const here = w.client;
    w.client = undefined;
    await w.start();
    const sent = Array.from({ length: 40 }, (_, i) =>
      i % 2 ? anOrder() : complaint({ retailer: 'R1', text: '双份' }),
    );
    const both = [here, w.client];
    const answers = await lingering(w.db, () =>
      Promise.all(sent.flatMap((one) => both.map((client) => client.post(structured(one))))),
    );
    for (const [i, one] of sent.entries()) {
      const [a, b] = answers.slice(2 * i, 2 * i + 2);
      assert.deepEqual([a.status, b.status], [200, 200], a.text + b.text);
      assert.equal(a.text, b.text);
      assert.equal([a, b].filter((answer) => answer.headers['ringback-replayed'] === 'true').length, 1);
      assert.equal((await eventRows(w.db, one)).length, 1);
    }
    assert.equal(await count(w.db, 'complaints', "text = '双份'"), 20);
  });
});
