// What the console reads: profiles, lists with their filters and pages, and whose rows they are. Every answer is held against the
// OpenAPI document by the desk itself.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { atDesk } from './lib/desk.mjs';
import { call, complaint, order, structured } from './lib/events.mjs';

const w = await world();
const [am1, am3, mm1, s1, op1, in1] = await Promise.all(['am1', 'am3', 'mm1', 's1', 'op1', 'in1'].map((name) => atDesk(w, name)));

const taken = async (event, kind) => {
  const answer = await w.post(structured(event));
  assert.equal(answer.status, 200, answer.text);
  return answer.json[kind];
};
const raised = (data) => taken(complaint({ text: '到货少一条', ...data }), 'complaint');
const codes = (answer) => answer.json.items.map((one) => one.code);
const ids = (answer) => answer.json.items.map((one) => one.id);

// All pages of a list, and how many there were.
async function through(desk, path) {
  const items = [];
  let pages = 0;
  for (let next = ''; next !== null; pages++) {
    const answer = await desk.get(`${path}${path.includes('?') ? '&' : '?'}limit=2${next && `&cursor=${next}`}`);
    assert.equal(answer.status, 200, answer.text);
    items.push(...answer.json.items);
    next = answer.json.next;
  }
  return { items, pages };
}

describe('the one-breath profile', () => {
  it('says all of a retailer by his number, however it is typed', async () => {
    const placed = await taken(order({ retailer: 'R1', lines: [{ product: 'A1', cartons: 7 }] }), 'order');
    const got = await raised({ retailer: 'R1', severity: 3 });
    for (const phone of ['15400010001', '+86 154 0001 0001', '０１５４-0001-0001', '0416-5550001']) {
      const answer = await op1.get(`/retailers?phone=${encodeURIComponent(phone)}`);
      assert.deepEqual(codes(answer), ['R1'], phone);
    }
    const [profile] = (await op1.get('/retailers?phone=15400010001')).json.items;
    assert.deepEqual(
      [profile.name, profile.address, profile.legal_person, profile.settlement, profile.family, profile.monthly_volume, profile.licence],
      ['东街一号店', '东街 1 号', '店主一号', 'bank_debit', '三口之家', 260, '900000000001'],
    );
    assert.deepEqual(profile.manager, { code: 'AM1', name: '东区经理一号' });
    assert.deepEqual([profile.sales.this_cycle.cartons, profile.sales.this_cycle.amount_fen], [7, 70000]);
    assert.deepEqual([profile.sales.usual_by, profile.sales.change_percent], ['monthly_volume', -100]);
    assert.equal(profile.last_orders[0].reference, placed.reference);
    assert.deepEqual(
      profile.follow_ups.map((one) => [one.id, one.owner, one.severity]),
      [[got.follow_up, 'AM1', 3]],
    );
    assert.deepEqual((await op1.get('/retailers/R1')).json, profile, 'the same by code');
  });

  it('gives all who share a number, and nobody for what is none', async () => {
    assert.deepEqual(codes(await op1.get('/retailers?phone=15400010034')), ['R3', 'R4']);
    assert.deepEqual(codes(await op1.get('/retailers?phone=anonymous')), []);
    assert.deepEqual(codes(await am1.get('/retailers?phone=15400010056')), ['R5'], 'of a shared one his own');
  });

  it('keeps reports from those who may not know of them', async () => {
    const got = await raised({ retailer: 'R2', kind: 'report', text: '举报' });
    assert.deepEqual((await s1.get('/retailers/R2')).json.follow_ups, []);
    assert.equal((await s1.get(`/follow-ups/${got.follow_up}`)).code, 'not-found');
    assert.equal((await in1.get(`/follow-ups/${got.follow_up}`)).json.kind, 'report');
    assert.deepEqual(ids(await in1.get('/follow-ups')), [got.follow_up]);
  });

  it('is for those whose retailer he is', async () => {
    assert.equal((await am3.get('/retailers/R1')).code, 'not-found');
    assert.equal((await mm1.get('/retailers/R1')).status, 200);
    assert.equal((await op1.get('/retailers/NOBODY')).code, 'not-found');
  });
});

describe('the list of retailers', () => {
  it('is filtered', async () => {
    const all = (query) => op1.get(`/retailers?${query}`).then(codes);
    assert.deepEqual(await all(''), ['R1', 'R2', 'R3', 'R4', 'R5', 'R6', 'R7', 'R8', 'R9']);
    assert.deepEqual(await all('q=R8'), ['R8']);
    assert.deepEqual(await all(`q=${encodeURIComponent('交界')}`), ['R5', 'R6']);
    assert.deepEqual(await all('manager=AM4'), ['R8', 'R9']);
    assert.deepEqual(await all('area=west&route=W1'), ['R6', 'R7']);
    assert.deepEqual(await all('tier=4&class=key'), ['R1']);
    assert.deepEqual(await all('order_day=3'), ['R9']);
    assert.deepEqual(await all('retired=true'), []);
    assert.deepEqual(await all('manager=NOBODY'), []);
    assert.deepEqual(codes(await am3.get('/retailers')), ['R6', 'R7']);
    assert.deepEqual(codes(await mm1.get('/retailers')), ['R1', 'R2', 'R3', 'R4', 'R5']);
  });

  it('is paged without gaps', async () => {
    const { items, pages } = await through(op1, '/retailers?q=R');
    assert.deepEqual([items.map((one) => one.code).join(''), pages], ['R1R2R3R4R5R6R7R8R9', 5]);
  });

  it('refuses what is no value of a filter', async () => {
    for (const query of ['tier=5', 'class=x', 'order_day=x', 'retired=yes', 'q=', 'cursor=x', 'limit=0', 'colour=red'])
      assert.equal((await op1.get(`/retailers?${query}`)).code, 'bad-request', query);
  });
});

describe('what is learnt on a visit', () => {
  it('is written by the account manager, and kept in the history', async () => {
    const before = await am1.get('/retailers/R3');
    const { etag } = before.headers;
    assert.equal((await am1.patch('/retailers/R3', { family: '四口之家' })).code, 'precondition-required');
    const answer = await am1.patch('/retailers/R3', { family: '四口之家', monthly_volume: 130, phones: ['154 0001 0003', '0416-555 0003'] }, { etag });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual([answer.json.family, answer.json.monthly_volume, answer.json.phones], ['四口之家', 130, ['+8615400010003', '+864165550003']]);
    assert.equal((await am1.patch('/retailers/R3', { family: 'x' }, { etag })).code, 'changed-meanwhile');
    const change = await w.db.row('SELECT changed_by, old_values, new_values FROM retailer_changes');
    assert.deepEqual(change, {
      changed_by: 'am1',
      old_values: { family: null, monthly_volume: 120, phones: ['+8615400010003', '+8615400010034'] },
      new_values: { family: '四口之家', monthly_volume: 130, phones: ['+8615400010003', '+864165550003'] },
    });
    assert.deepEqual(codes(await op1.get('/retailers?phone=04165550003')), ['R3']);
  });

  it('is nothing else, and nobody else’s', async () => {
    const { etag } = (await s1.get('/retailers/R7')).headers;
    assert.equal((await am1.patch('/retailers/R7', { family: 'x' }, { etag })).code, 'not-found');
    assert.equal((await op1.patch('/retailers/R7', { family: 'x' }, { etag })).code, 'forbidden');
    const fault = async (body) => (await s1.patch('/retailers/R7', body, { etag })).json.errors?.[0].pointer;
    assert.equal(await fault({ tier: 4 }), '/tier');
    assert.equal(await fault({ phones: [] }), '/phones');
    assert.equal(await fault({ phones: ['15400010007', 'x'] }), '/phones/1');
    assert.equal(await fault({ monthly_volume: -1 }), '/monthly_volume');
    assert.equal(await fault({ family: 3 }), '/family');
    assert.equal((await s1.patch('/retailers/R7', { family: '' }, { etag })).headers.etag, etag, 'what changes nothing is no change');
  });
});

describe('follow-ups', () => {
  it('are listed by deadline, each to those whose they are', async () => {
    const hour = 3_600_000;
    const at = (ago) => new Date(Date.now() - ago * hour).toISOString();
    const late = await taken(complaint({ text: '旧', retailer: 'R6' }, { time: at(30) }), 'complaint');
    const soon = await taken(complaint({ text: '新', retailer: 'R7', category: 'delivery' }, { time: at(20) }), 'complaint');
    assert.deepEqual(ids(await am3.get('/follow-ups')), [late.follow_up, soon.follow_up]);
    assert.deepEqual(ids(await am3.get('/follow-ups?order=-due_at&mine=true')), [soon.follow_up, late.follow_up]);
    assert.deepEqual(ids(await s1.get('/follow-ups?overdue=true')), [late.follow_up]);
    assert.deepEqual(ids(await s1.get('/follow-ups?area=west&category=delivery&state=open,acknowledged')), [soon.follow_up]);
    assert.deepEqual(ids(await s1.get('/follow-ups?owner=AM3&unacknowledged=true&proof=none')), [late.follow_up, soon.follow_up]);
    assert.deepEqual(ids(await s1.get('/follow-ups?manager=AM3&retailer=R6')), [late.follow_up]);
    assert.deepEqual(ids(await s1.get(`/follow-ups?manager=AM3&due_after=${at(0)}`)), [soon.follow_up]);
    assert.deepEqual(ids(await s1.get(`/follow-ups?manager=AM3&due_before=${at(0)}`)), [late.follow_up]);
    assert.deepEqual(ids(await s1.get('/follow-ups?state=closed')), []);
    assert.equal((await s1.get('/follow-ups?state=late')).code, 'bad-request');
    assert.equal((await s1.get('/follow-ups?due_before=soon')).code, 'bad-request');
    assert.equal((await am1.get(`/follow-ups/${late.follow_up}`)).code, 'not-found');
    assert.ok(!ids(await am1.get('/follow-ups')).includes(late.follow_up));
  });

  it('are paged without gaps', async () => {
    for (let n = 0; n < 5; n++) await raised({ retailer: 'R8' });
    const { items } = await through(s1, '/follow-ups?manager=AM4&state=active');
    assert.equal(new Set(items.map((one) => one.id)).size, 5);
    assert.equal(items.length, 5);
  });

  it('are unacknowledged until somebody is at them, and again when they are reopened', async () => {
    const { follow_up: id } = await raised({ retailer: 'R8' });
    const listed = async (flag) => ids(await s1.get(`/follow-ups?retailer=R8&unacknowledged=${flag}`)).includes(id);
    const move = async (name, body) => assert.equal((await s1.post(`/follow-ups/${id}/${name}`, body)).status, 200);
    assert.deepEqual([await listed(true), await listed(false)], [true, false]);
    await move('acknowledge', {});
    assert.deepEqual([await listed(true), await listed(false)], [false, true]);
    await move('contacts', { outcome: 'reached' });
    await move('reopen', { reason: '又来电' });
    assert.deepEqual([await listed(true), await listed(false)], [true, false], 'it is to be acknowledged anew');
    const { body } = await w.db.row("SELECT body FROM notifications WHERE follow_up_id = $1 AND type = 'reopened'", [id]);
    assert.equal(JSON.parse(body).tries, undefined, 'who reached him has not tried in vain');
    const { follow_up: reached } = await raised({ retailer: 'R8' });
    assert.equal((await s1.post(`/follow-ups/${reached}/contacts`, { outcome: 'reached' })).status, 200);
    assert.ok(!ids(await s1.get('/follow-ups?retailer=R8&unacknowledged=true')).includes(reached), 'nobody need acknowledge what he has done');
  });

  it('are shown whole', async () => {
    const got = await raised({ retailer: 'R9', caller: '15400010009', operator: 'OP1', call: 'c-9' });
    const answer = await s1.get(`/follow-ups/${got.follow_up}`);
    const one = answer.json;
    assert.equal(answer.headers.etag, `"${one.revision}"`);
    assert.deepEqual(
      [one.complaint, one.state, one.owner, one.proof, one.due_at, one.retailer.code, one.retailer.manager, one.operator],
      [got.reference, 'open', 'AM4', null, got.due_at, 'R9', 'AM4', 'OP1'],
    );
    const ladder = one.steps.map((step) => step.step).filter((step) => !step.startsWith('unacknowledged'));
    assert.deepEqual(ladder, ['reminder-50', 'reminder-75', 'overdue', 'escalation-1', 'escalation-2']);
    assert.deepEqual(one.history.map((event) => [event.kind, event.by]), [['opened', null]]);
    assert.equal(one.notifications[0].recipient, 'AM4');
    for (const id of ['0', 'x', '99999999', '9'.repeat(30)]) assert.equal((await s1.get(`/follow-ups/${id}`)).code, 'not-found');
  });
});

describe('orders', () => {
  it('are listed and shown with what was asked and granted', async () => {
    const x1 = { product: 'X1', cartons: 25 };
    await w.post(structured(call('ended', { call: 'o-1', direction: 'inbound', from: '15400010001', to: '12313', seconds: 40, recording: 'r/1' })));
    const placed = await taken(order({ retailer: 'R1', operator: 'OP1', call: 'o-1', note: '急', lines: [x1, { product: 'A1', cartons: 2 }] }), 'order');
    const other = await taken(order({ retailer: 'R7', operator: 'OP2', lines: [{ product: 'A5', cartons: 1 }] }), 'order');
    const references = async (desk, query) => (await desk.get(`/orders?${query}`)).json.items.map((one) => one.reference);
    assert.deepEqual((await references(s1, '')).slice(0, 2), [other.reference, placed.reference]);
    assert.deepEqual(await references(s1, 'operator=OP1'), [placed.reference]);
    assert.deepEqual(await references(s1, 'call=o-1'), [placed.reference]);
    assert.deepEqual(await references(s1, 'product=X1'), [placed.reference]);
    assert.deepEqual((await references(s1, 'retailer=R7')), [other.reference]);
    assert.deepEqual(await references(am3, ''), [other.reference]);
    assert.deepEqual((await references(am1, ''))[0], placed.reference);
    const today = (await w.db.value("SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date::text"));
    assert.ok((await references(s1, `cycle=${today}&from=${today}`)).includes(placed.reference));
    assert.deepEqual(await references(s1, `to=${today}`), []);
    assert.deepEqual(await references(s1, 'cycle=2001-01-01'), []);
    const { json: one } = await op1.get(`/orders/${placed.reference}`);
    assert.deepEqual([one.operator_name, one.note, one.call.recording, one.call.seconds, one.retailer.manager], ['订货员一号', '急', 'r/1', 40, 'AM1']);
    assert.deepEqual(one.lines[0], {
      line: 1, product: 'X1', name: '紧俏一号（按档）', cartons: 25, granted: 20, reason: 'over-cap', cap: 20, used: 0, price_fen: 50000, amount_fen: 1000000,
    });
    assert.deepEqual([one.asked, one.cartons, one.amount_fen], [27, 22, 1020000]);
    assert.equal((await am3.get(`/orders/${placed.reference}`)).code, 'not-found');
    assert.equal((await in1.get('/orders')).code, 'forbidden');
    for (const reference of ['0', '1234567890', 'x']) assert.equal((await s1.get(`/orders/${reference}`)).code, 'not-found');
  });

  it('are paged without gaps, for the branch and for one manager', async () => {
    for (let n = 0; n < 5; n++) await taken(order({ retailer: 'R9', lines: [{ product: 'A5', cartons: 1 }] }), 'order');
    const count = await w.db.value('SELECT count(*)::integer FROM orders');
    const { items } = await through(s1, '/orders');
    assert.equal(new Set(items.map((one) => one.reference)).size, count);
    const of = (await w.db.value("SELECT count(*)::integer FROM orders o JOIN retailers r USING (branch_id, retailer_id) WHERE r.code IN ('R8', 'R9')"));
    assert.equal((await through(await atDesk(w, 'am4'), '/orders')).items.length, of);
  });
});

describe('complaints', () => {
  it('are listed, newest first', async () => {
    const got = await raised({ retailer: 'R6', category: 'late-delivery', severity: 2, operator: 'OP2', call: 'k-1', kind: 'opinion' });
    const listed = async (desk, query) => (await desk.get(`/complaints?${query}`)).json.items.map((one) => one.reference);
    assert.equal((await listed(s1, ''))[0], got.reference);
    for (const query of ['kind=opinion', 'category=late-delivery', 'operator=OP2', 'call=k-1', 'retailer=R6&severity=2', 'severity=2&state=active'])
      assert.deepEqual(await listed(s1, query), [got.reference], query);
    assert.deepEqual(await listed(s1, 'retailer=R6&state=closed'), []);
    assert.equal((await listed(am3, ''))[0], got.reference);
    assert.ok(!(await listed(mm1, '')).includes(got.reference));
    const { json: one } = await s1.get(`/complaints/${got.reference}`);
    assert.deepEqual([one.text, one.operator_name, one.follow_up.id, one.call], ['到货少一条', '订货员二号', got.follow_up, null]);
    assert.equal((await am1.get(`/complaints/${got.reference}`)).code, 'not-found');
    const { items } = await through(am3, '/complaints');
    assert.equal(new Set(items.map((one) => one.reference)).size, items.length);
  });

  it('are put right by who took them and by supervisors', async () => {
    const placed = await taken(order({ retailer: 'R8', lines: [{ product: 'A5', cartons: 1 }] }), 'order');
    const got = await raised({ retailer: 'R8', operator: 'OP1', category: 'price' });
    const path = `/complaints/${got.reference}`;
    const { etag } = (await op1.get(path)).headers;
    assert.equal((await (await atDesk(w, 'op2')).patch(path, { severity: 1 }, { etag })).code, 'forbidden');
    const changed = await op1.patch(path, { category: 'short-delivery', severity: 3, order: placed.reference }, { etag });
    assert.equal(changed.status, 200, changed.text);
    assert.deepEqual([changed.json.category, changed.json.severity, changed.json.order.reference], ['short-delivery', 3, placed.reference]);
    assert.deepEqual([changed.json.follow_up.category, changed.json.follow_up.due_at], ['short-delivery', got.due_at]);
    assert.equal((await s1.patch(path, { severity: 1 }, { etag })).code, 'changed-meanwhile');
    const fault = async (body) => (await s1.patch(path, body, { etag: changed.headers.etag })).json.errors[0].pointer;
    assert.equal(await fault({ severity: 4 }), '/severity');
    assert.equal(await fault({ category: 'short-delivry' }), '/category', 'what is put right is one of the branch’s');
    assert.equal(await fault({ order: '1000000000' }), '/order');
    assert.equal(await fault({ text: 'x' }), '/text');
    const { history } = (await s1.get(`/follow-ups/${got.follow_up}`)).json;
    const { kind, by, details } = history.at(-1);
    assert.deepEqual([kind, by, details.from.category, details.to.category], ['changed', 'OP1', 'price', 'short-delivery']);
    assert.deepEqual((await s1.get(`/orders/${placed.reference}`)).json.complaints.map((one) => one.reference), [got.reference]);
  });
});

describe('calls', () => {
  const ended = (id, over) => w.post(structured(call('ended', { call: id, direction: 'inbound', from: '15400010002', to: '8001', seconds: 9, ...over })));
  const listed = async (desk, query) => (await desk.get(`/calls?${query}`)).json.items.map((one) => one.id);

  it('are listed', async () => {
    await ended('k@1/a');
    await ended('k-out', { direction: 'outbound', from: '15400000023', to: '15400010007' });
    assert.deepEqual((await listed(s1, '')).slice(0, 2), ['k-out', 'k@1/a']);
    assert.deepEqual(await listed(s1, 'retailer=R2'), ['k@1/a']);
    assert.deepEqual(await listed(s1, 'phone=154-0001-0002'), ['k@1/a']);
    assert.deepEqual(await listed(s1, 'direction=outbound&state=ended'), ['k-out']);
    assert.deepEqual(await listed(s1, 'phone=15400010007'), ['k-out']);
    assert.deepEqual(await listed(s1, 'state=ringing'), []);
    assert.deepEqual(await listed(am3, ''), ['k-out']);
    assert.equal((await am3.get(`/calls/${encodeURIComponent('k@1/a')}`)).code, 'not-found');
    const { items } = await through(s1, '/calls');
    assert.equal(items.length, await w.db.value('SELECT count(*)::integer FROM calls'));
  });

  it('without order and complaint are given a reason, and the former is kept', async () => {
    const path = `/calls/${encodeURIComponent('k@1/a')}`;
    assert.ok((await listed(s1, 'without=reason')).includes('k@1/a'));
    assert.ok(!(await listed(s1, 'without=reason')).includes('o-1'), 'that one led to an order');
    assert.equal((await op1.put(`${path}/reason`, { reason: 'nothing' })).json.errors[0].pointer, '/reason');
    const first = await op1.put(`${path}/reason`, { reason: 'policy-question', note: '星级怎么评' });
    assert.equal(first.status, 200, first.text);
    assert.deepEqual([first.json.reason.zh, first.json.reason.note, first.json.reason.by], ['咨询政策', '星级怎么评', 'OP1']);
    await op1.put(`${path}/reason`, { reason: 'policy-question', note: '星级怎么评' });
    assert.equal((await s1.put(`${path}/reason`, { reason: 'wrong-number' })).json.reason.code, 'wrong-number');
    assert.deepEqual(await w.db.value('SELECT array_agg(by_account ORDER BY entry_id) FROM call_reason_entries'), ['op1', 's1']);
    assert.ok(!(await listed(s1, 'without=reason')).includes('k@1/a'));
    assert.equal((await op1.put('/calls/o-1/reason', { reason: 'test' })).code, 'has-record');
    assert.equal((await am3.put(`${path}/reason`, { reason: 'test' })).code, 'not-found');
  });

  it('tell nobody of a report by what is missing in a list', async () => {
    for (const kind of ['report', 'complaint']) {
      await ended(`k-${kind}`);
      await w.post(structured(complaint({ retailer: 'R2', kind, text: 'x', call: `k-${kind}` })));
    }
    const seen = (await op1.get('/calls/k-report')).json;
    assert.deepEqual([seen.complaints, seen.reason], [[], null]);
    const without = await listed(op1, 'without=reason');
    assert.ok(without.includes('k-report'), 'to him it has no record');
    assert.ok(!without.includes('k-complaint'));
  });

  it('have reasons that those in charge add and retire', async () => {
    const all = async () => (await op1.get('/call-reasons')).json.items.map((one) => one.code);
    assert.equal((await all()).length, 12);
    assert.equal((await op1.post('/call-reasons', { code: 'x', zh: 'x', en: 'x' })).code, 'forbidden');
    const added = await s1.post('/call-reasons', { code: 'wedding', zh: '婚宴用烟', en: 'Wants goods for a wedding', position: 5 });
    assert.equal(added.status, 201, added.text);
    assert.equal(added.headers.location, '/api/v1/call-reasons/wedding');
    assert.equal((await all())[0], 'wedding');
    assert.equal((await s1.post('/call-reasons', { code: 'wedding', zh: 'x', en: 'x' })).code, 'exists');
    assert.equal((await s1.post('/call-reasons', { code: 'A B', zh: 'x', en: 'x' })).json.errors[0].pointer, '/code');
    const retired = await s1.patch('/call-reasons/wedding', { retired: true }, { etag: added.headers.etag });
    assert.equal(retired.status, 200, retired.text);
    assert.ok(!(await all()).includes('wedding'));
    assert.equal((await s1.patch('/call-reasons/wedding', { zh: 'x' }, { etag: added.headers.etag })).code, 'changed-meanwhile');
    assert.equal((await s1.get('/call-reasons/nothing')).code, 'not-found');
  });
});

describe('notifications', () => {
  it('are listed, shown with their attempts, and sent again when they failed', async () => {
    const got = await raised({ retailer: 'R7' });
    const list = await s1.get(`/notifications?follow_up=${got.follow_up}`);
    const [note] = list.json.items;
    assert.deepEqual([note.recipient, note.type, note.state, note.complaint], ['AM3', 'assigned', 'stranded', got.reference]);
    assert.deepEqual((await am3.get(`/notifications?follow_up=${got.follow_up}`)).json.items, list.json.items);
    assert.deepEqual((await am1.get(`/notifications?follow_up=${got.follow_up}`)).json.items, []);
    assert.equal((await am1.get(`/notifications/${note.id}`)).code, 'not-found');
    assert.ok(ids(await s1.get('/notifications?state=stranded&recipient=AM3&type=assigned')).includes(note.id));
    assert.ok(ids(await am3.get('/notifications')).includes(note.id));
    assert.equal((await s1.get('/notifications?state=lost')).code, 'bad-request');
    assert.equal((await s1.post(`/notifications/${note.id}/resend`)).code, 'not-failed');
    await w.db.force(`UPDATE notifications SET state = 'failed', finished_at = now(), target_id = 1 WHERE notification_id = '${note.event}'`);
    assert.deepEqual(ids(await s1.get('/notifications?state=failed')), [note.id]);
    assert.equal((await am3.post(`/notifications/${note.id}/resend`)).code, 'forbidden');
    const again = await s1.post(`/notifications/${note.id}/resend`);
    assert.equal(again.status, 200, again.text);
    assert.ok(['waiting', 'sending', 'passed_on'].includes(again.json.state), again.json.state);
    for (const id of ['1', '1.x', note.event]) assert.equal((await s1.get(`/notifications/${id}`)).code, 'not-found');
    const { items } = await through(s1, '/notifications');
    assert.equal(new Set(items.map((one) => one.id)).size, await w.db.value('SELECT count(*)::integer FROM notifications WHERE body IS NOT NULL AND follow_up_id IN (SELECT follow_up_id FROM follow_ups WHERE kind <> $1)', ['report']));
  });
});

describe('people and products', () => {
  it('are listed', async () => {
    assert.deepEqual(codes(await op1.get('/people?role=account_manager&area=east')), ['AM1', 'AM2']);
    assert.deepEqual(codes(await op1.get('/people?reports_to=MM2')), ['AM3', 'AM4']);
    const { json: one } = await s1.get('/people/AM1');
    assert.deepEqual([one.retailers, one.deputy, one.phones, one.reports_to], [4, 'AM2', ['+8615400000021'], 'MM1']);
    assert.equal((await op1.get('/people/AM1')).json.phones, null);
    assert.deepEqual((await am1.get('/people/AM1')).json.phones, ['+8615400000021']);
    assert.equal((await s1.get('/people/NOBODY')).code, 'not-found');
    assert.deepEqual(codes(await op1.get('/products?scarce=true')), ['X1', 'X2', 'X3', 'X4', 'X5']);
    assert.deepEqual(codes(await op1.get('/products?q=A')), ['A1', 'A2', 'A3', 'A4', 'A5']);
    const { json: product } = await op1.get('/products/A4');
    assert.deepEqual(product.caps.map((cap) => [cap.cartons, cap.retailer]), [[3, 'R2'], [30, null], [8, null]]);
    assert.deepEqual((await op1.get('/products/A1')).json.substitutes, ['A2', 'A3']);
    const { items } = await through(op1, '/people');
    assert.equal(items.length, 12);
  });
});
