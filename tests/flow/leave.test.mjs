// Somebody on leave has a stand-in for the time; somebody who leaves hands everything over while complaints go on coming in.
import { after, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { world } from './lib/world.mjs';
import { atDesk } from './lib/desk.mjs';
import { Sink } from './lib/sink.mjs';
import { eventually } from './lib/eventually.mjs';
import { batched, call, complaint, structured } from './lib/events.mjs';
import { count } from './lib/look.mjs';

const w = await world();
const sink = await Sink.start();
after(() => sink.close());
for (const code of ['AM1', 'AM2', 'AM3', 'AM4']) await w.addTarget(code, sink.url(`/${code}`));
const [am1, am2, am3, mm1, s1, op1] = await Promise.all(['am1', 'am2', 'am3', 'mm1', 's1', 'op1'].map((name) => atDesk(w, name)));
const hours = (n) => new Date(Date.now() + n * 3_600_000).toISOString();

async function raise(retailer) {
  const { json } = await w.post(structured(complaint({ text: '没人回电', retailer })));
  return json.complaint.follow_up;
}
const told = (id) => sink.requests.filter(({ json }) => json?.data?.follow_up === id).map(({ path, json }) => [path.slice(1), json.data.owner, json.data.recipient]);

describe('a leave', () => {
  it('gives everything to the stand-in for the time', async () => {
    const before = await raise('R1');
    assert.equal((await am2.get(`/follow-ups/${before}`)).code, 'not-found');
    const made = await am1.post('/people/AM1/absences', { ends_at: hours(48), reason: '年假' });
    assert.equal(made.status, 201, made.text);
    assert.deepEqual([made.json.person, made.json.deputy, made.json.now, made.json.made_by], ['AM1', null, true, 'am1']);
    assert.equal(made.headers.location, `/api/v1/people/AM1/absences/${made.json.id}`);

    const id = await raise('R1');
    await eventually(() => told(id).length === 1);
    assert.deepEqual(told(id), [['AM2', 'AM1', 'AM2']], 'the usual deputy is told; the owner stays');
    for (const one of [before, id]) assert.equal((await am2.get(`/follow-ups/${one}`)).status, 200, 'he sees what is the other one\'s');
    assert.equal((await am2.get('/retailers/R1')).status, 200);
    const data = { call: randomUUID(), direction: 'outbound', from: '15400000022', to: '15400010001' };
    await w.post(batched([call('answered', data), call('ended', { ...data, seconds: 30 })]));
    assert.deepEqual([(await s1.get(`/follow-ups/${id}`)).json.proof, (await s1.get(`/follow-ups/${id}`)).json.contacted_by], ['proved', 'AM2']);

    assert.equal((await mm1.del(`/people/AM1/absences/${made.json.id}`)).status, 204, 'his superior calls him back');
    assert.equal((await am2.get(`/follow-ups/${id}`)).code, 'not-found', 'and it is over');
    const { items } = (await s1.get('/people/AM1/absences')).json;
    assert.deepEqual(items.map(({ id: one, now }) => [one, now]), [[made.json.id, false]]);
    const again = await raise('R1');
    await eventually(() => told(again).length === 1);
    assert.equal(told(again)[0][2], 'AM1');
  });

  it('is for himself and those above him, and has to make sense', async () => {
    const ask = (desk, body, code = 'AM1') => desk.post(`/people/${code}/absences`, body);
    for (const desk of [am2, am3, op1]) {
      assert.equal((await ask(desk, { ends_at: hours(1) })).code, 'forbidden');
      assert.equal((await desk.get('/people/AM1/absences')).code, 'forbidden');
    }
    assert.equal((await ask(s1, { ends_at: hours(1) }, 'NOBODY')).code, 'not-found');
    for (const [body, pointer] of [
      [{}, '/ends_at'],
      [{ ends_at: hours(-1) }, '/ends_at'],
      [{ ends_at: hours(1), starts_at: hours(2) }, '/ends_at'],
      [{ ends_at: hours(24 * 500) }, '/ends_at'],
      [{ ends_at: hours(1), deputy: 'AM1' }, '/deputy'],
      [{ ends_at: hours(1), deputy: 'NOBODY' }, '/deputy'],
      [{ ends_at: hours(1), until: hours(1) }, '/until'],
    ]) {
      const answer = await ask(am1, body);
      assert.equal(answer.status, 422, answer.text);
      assert.deepEqual(answer.errors.map((one) => one.pointer), [pointer]);
    }
    const made = await ask(mm1, { starts_at: hours(24), ends_at: hours(48), deputy: 'AM3' });
    assert.deepEqual([made.status, made.json.now, made.json.deputy], [201, false, 'AM3']);
    assert.equal((await ask(am1, { starts_at: hours(47), ends_at: hours(50) })).code, 'overlapping');
    assert.equal((await am1.del(`/people/AM1/absences/${made.json.id}`)).status, 204);
    assert.equal((await am1.del(`/people/AM1/absences/${made.json.id}`)).status, 204, 'again');
    assert.equal((await am1.del('/people/AM1/absences/999999')).code, 'not-found');
    assert.ok((await am1.get('/people/AM1/absences')).json.items[0].cancelled_at);
  });
});

describe('who leaves', () => {
  it('hands everything over in one action, while complaints come in', async () => {
    assert.equal((await mm1.post('/people/AM3/hand-over', { to: 'AM4' })).code, 'forbidden');
    for (const body of [{ to: 'NOBODY' }, { to: 'MM2' }, { to: 'AM3' }, {}, { to: 'AM4', retire: 'yes' }])
      assert.equal((await s1.post('/people/AM3/hand-over', body)).status, 422, JSON.stringify(body));
    const many = () => batched(Array.from({ length: 20 }, () => complaint({ retailer: 'R7', text: '催' })));
    for (let i = 0; i < 10; i++) await w.post(many());
    let going = true;
    const answers = [];
    const pour = async () => {
      while (going) answers.push(...(await w.post(many())).json);
    };
    const pouring = Promise.all([pour(), pour(), pour(), pour()]);
    const answer = await s1.post('/people/AM3/hand-over', { to: 'AM4', retire: true, reason: '调离' }, { timeout: 20_000 });
    going = false;
    await pouring;
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.json.follow_ups >= 200 && answer.json.retailers === 2, answer.text);
    assert.ok(answers.every(({ status }) => status === 200), 'nobody is refused meanwhile');
    const left = (table, where) => count(w.db, `${table} x JOIN people p USING (branch_id)`, `p.code = 'AM3' AND ${where}`);
    assert.equal(await left('retailers', 'x.manager_id = p.person_id'), 0);
    assert.equal(await left('follow_ups', 'x.owner_id = p.person_id'), 0, 'nothing stays with who has left, not even what came in at that moment');
    assert.equal((await am3.get('/retailers')).status, 401, 'he logs in no more');
    const [id] = answers.slice(-1).map(({ complaint: { follow_up: one } }) => one);
    assert.equal((await s1.get(`/follow-ups/${id}`)).json.owner, 'AM4');
  });

  it('can be handed over for by the tool', async () => {
    const { stdout } = await w.must(['person', 'hand-over', 'AM4', 'AM2', '--reason', '退休']);
    assert.match(stdout, /^4 retailers, \d+ follow-ups, 0 requests, 0 tasks; deputy of 0, superior of 0\n$/);
    const refused = await w.tool(['person', 'hand-over', 'AM3', 'AM2', '--retire']);
    assert.deepEqual([refused.code, /AM3 is retired already/.test(refused.stderr)], [1, true]);
  });
});
