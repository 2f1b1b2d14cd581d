// Orders and complaints entered at the console: the way of all events, with the same guarantees.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { atDesk } from './lib/desk.mjs';

const w = await world();
const [am1, mm1, s1, op1, op2] = await Promise.all(['am1', 'mm1', 's1', 'op1', 'op2'].map((name) => atDesk(w, name)));

describe('an order entered at the console', () => {
  const body = (id, over) => ({ id, retailer: 'R1', lines: [{ product: 'X1', cartons: 25 }], note: '“急” 带引号', ...over });

  it('is granted like any other, by who enters it', async () => {
    const answer = await op1.post('/orders', body('e-1'));
    assert.equal(answer.status, 200, answer.text);
    const { order, source, event, outcome } = answer.json;
    assert.deepEqual([outcome, source, event], ['accepted', '/ringback/console', 'e-1']);
    assert.deepEqual(order.lines, [{ product: 'X1', cartons: 25, granted: 20, reason: 'over-cap', cap: 20, used: 0 }]);
    assert.deepEqual(order.warnings, []);
    const { json: one } = await op1.get(`/orders/${order.reference}`);
    assert.deepEqual([one.operator, one.operator_name, one.note], ['OP1', '订货员一号', '“急” 带引号']);
    const { data } = await w.db.row("SELECT data FROM event_bodies WHERE event_id = 'e-1'");
    assert.deepEqual(JSON.parse(data), { operator: 'OP1', entered_by: 'op1', ...body('e-1') });
  });

  it('happens once, however often it is sent', async () => {
    const first = await op1.post('/orders', body('e-2', { retailer: 'R9', lines: [{ product: 'A1', cartons: 3 }] }));
    const again = await op1.post('/orders', '{ "lines":[{"cartons":3.0,"product":"A1"}],  "note": "\\u201c急” 带引号", "retailer":"R9","id":"e-2" }');
    assert.equal(first.headers['ringback-replayed'], undefined);
    assert.equal(again.headers['ringback-replayed'], 'true');
    assert.equal(again.text, first.text);
    assert.equal((await op1.post('/orders', body('e-2', { lines: [{ product: 'A1', cartons: 4 }] }))).code, 'event-conflict');
    assert.equal((await op2.post('/orders', body('e-2', { retailer: 'R9', lines: [{ product: 'A1', cartons: 3 }] }))).code, 'event-conflict', 'nor by another');
    const many = await Promise.all(Array.from({ length: 20 }, () => op1.post('/orders', body('e-3', { lines: [{ product: 'A5', cartons: 1 }] }))));
    assert.equal(new Set(many.map((one) => one.text)).size, 1);
    assert.equal(await w.db.value('SELECT count(*)::integer FROM orders'), 3);
  });

  it('is refused with what is wrong and where, and its id may be used again', async () => {
    const pointer = async (over, desk = op1) => (await desk.post('/orders', body('e-4', over))).json.errors?.[0].pointer;
    assert.equal(await pointer({ id: 7 }), '/id');
    assert.equal(await pointer({ id: '' }), '/id');
    assert.equal(await pointer({ operator: 'OP2' }), '/operator', 'nobody enters it as another');
    assert.equal(await pointer({ lines: [{ product: 'A1', cartons: 0 }] }), '/lines/0/cartons');
    assert.equal(await pointer({ lines: [{ product: 'NO', cartons: 1 }] }), '/lines/0/product');
    assert.equal((await op1.post('/orders', body('e-4', { retailer: 'NOBODY' }))).code, 'unknown-retailer');
    assert.equal((await op1.post('/orders', body('e-4', { retailer: undefined, caller: '15400010034' }))).code, 'ambiguous-retailer');
    assert.equal((await op1.post('/orders', '[]')).code, 'invalid-data');
    assert.equal((await am1.post('/orders', body('e-4'))).code, 'forbidden');
    assert.equal((await op1.post('/orders', body('e-4'), { csrf: false })).code, 'csrf');
    assert.equal((await op1.post('/orders', body('e-4', { retailer: undefined, caller: '0416-5550001' }))).status, 200);
    assert.equal((await op1.get('/orders?call=none')).json.items.length, 0);
  });

  it('by a supervisor has no operator', async () => {
    const { json } = await s1.post('/orders', body('e-5', { lines: [{ product: 'A5', cartons: 1 }] }));
    assert.equal((await s1.get(`/orders/${json.order.reference}`)).json.operator, null);
    assert.deepEqual(json.order.warnings, []);
  });
});

describe('a complaint entered at the console', () => {
  const body = (id, over) => ({ id, retailer: 'R1', text: '少送一条', category: 'short-delivery', severity: 2, ...over });

  it('makes its promise in the same commit', async () => {
    const { json } = await op2.post('/complaints', body('c-1'));
    assert.equal(json.complaint.manager, 'AM1');
    const { json: one } = await s1.get(`/follow-ups/${json.complaint.follow_up}`);
    assert.deepEqual([one.operator, one.severity, one.owner, one.state], ['OP2', 2, 'AM1', 'open']);
    assert.equal((await op2.post('/complaints', body('c-1'))).headers['ringback-replayed'], 'true');
  });

  it('by an account or market manager is about a retailer whom he sees', async () => {
    assert.equal((await am1.post('/complaints', body('c-2'))).status, 200);
    assert.equal((await mm1.post('/complaints', body('c-3', { retailer: 'R2' }))).status, 200);
    for (const over of [{ retailer: 'R7' }, { retailer: undefined, caller: '15400010001' }, { retailer: 'NOBODY' }])
      assert.equal((await am1.post('/complaints', body('c-4', over))).code, 'unknown-retailer', JSON.stringify(over));
    const { json } = await s1.post('/orders', { id: 'c-5', retailer: 'R7', lines: [{ product: 'A1', cartons: 1 }] });
    assert.equal((await am1.post('/complaints', body('c-6', { order: json.order.reference }))).code, 'bad-reference');
    assert.equal((await op1.post('/complaints', body('c-7', { retailer: 'NOBODY' }))).status, 200, 'who takes calls refuses nobody');
  });
});

describe('the console’s own gateway', () => {
  it('authenticates nobody and is not listed', async () => {
    const { name, sealed_key } = await w.db.row('SELECT name, sealed_key FROM gateways WHERE built_in');
    assert.equal(sealed_key, null);
    const send = (headers) =>
      w.client.request('POST', '/v1/events', { headers: { 'content-type': 'application/cloudevents+json', ...headers }, body: '{}' });
    for (const key of ['', 'whsec_'])
      assert.equal((await send({ authorization: `Basic ${Buffer.from(`${name}:${key}`).toString('base64')}` })).status, 401);
    assert.ok(!(await w.must(['gateway', 'list'])).stdout.includes(name));
    await assert.rejects(w.must(['gateway', 'retire', name]));
  });
});
