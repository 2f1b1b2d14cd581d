// Called back, by the telephone's word or by somebody's: what the gateway reports shows at the console.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { world } from './lib/world.mjs';
import { atDesk } from './lib/desk.mjs';
import { batched, call, complaint, structured } from './lib/events.mjs';

const w = await world();
const am1 = await atDesk(w, 'am1');
const am3 = await atDesk(w, 'am3');
const s1 = await atDesk(w, 's1');
const op1 = await atDesk(w, 'op1');
const minute = 60_000;
const ago = (minutes) => new Date(Date.now() - minutes * minute).toISOString();

async function raise(data = {}, time) {
  const answer = await w.post(structured(complaint({ text: '没人回电', retailer: 'R1', ...data }, { time })));
  assert.equal(answer.status, 200, answer.text);
  return answer.json.complaint.follow_up;
}
const see = async (id, desk = s1) => (await desk.get(`/follow-ups/${id}`)).json;

// The events of a call by AM1 to R1, unless said otherwise: answered so many minutes ago.
function calls({ minutes = 30, seconds = 60, cause = 'normal', ...over } = {}) {
  const data = { call: randomUUID(), direction: 'outbound', from: '15400000021', to: '15400010001', ...over };
  const answered = Date.now() - minutes * minute;
  const at = (shift) => new Date(answered + shift * 1000).toISOString();
  const begun = [call('ringing', data, { time: at(-5) }), ...(seconds ? [call('answered', data, { time: at(0) })] : [])];
  return { id: data.call, events: [...begun, call('ended', { ...data, seconds, cause }, { time: at(seconds) })] };
}
async function happen(...rounds) {
  for (const events of rounds) {
    const answer = await w.post(batched(events));
    assert.ok(answer.json.every(({ status }) => status === 200), answer.text);
  }
}

describe('a call back', () => {
  it('proves the contact, event by event', async () => {
    const id = await raise({}, ago(60));
    const { id: callId, events } = calls();
    await happen(events.slice(0, 2));
    assert.equal((await see(id)).state, 'open', 'while it goes on it proves nothing');
    await happen(events.slice(2));
    const seen = await see(id, am1);
    assert.deepEqual([seen.state, seen.proof, seen.proof_call, seen.contacted_by], ['contacted', 'proved', callId, 'AM1']);
    assert.equal(Date.parse(seen.contacted_at), Date.parse(events[1].time));
    const line = seen.history.find(({ kind }) => kind === 'contacted');
    assert.deepEqual([line.by, line.details.proof, line.details.seconds], ['AM1', 'proved', 60]);
  });

  it('proves it backwards, and in one batch with the complaint', async () => {
    const { id: callId, events } = calls({ minutes: 20 });
    const raised = complaint({ retailer: 'R1', text: '批量' }, { time: ago(25) });
    await happen([...events].reverse().concat(raised));
    const [listed] = (await s1.get('/follow-ups?proof=proved&retailer=R1&order=-due_at')).json.items;
    assert.equal((await see(listed.id)).proof_call, callId);
  });

  it('proves a complaint that arrives after it', async () => {
    const { id: callId, events } = calls({ minutes: 10 });
    await happen(...events.map((one) => [one]));
    const id = await raise({}, ago(12));
    assert.deepEqual([(await see(id)).proof, (await see(id)).proof_call], ['proved', callId]);
    assert.equal((await see(await raise({}, ago(5)))).proof, null, 'but none that was raised after it');
  });

  it('without times counts as of when it is reported', async () => {
    const id = await raise({ retailer: 'R7' });
    const data = { call: randomUUID(), direction: 'outbound', from: '+86 154-0000-0023', to: '015400010007' };
    for (const one of [call('ringing', data), call('answered', data), call('ended', { ...data, seconds: 12 })])
      assert.equal((await w.post(structured(one))).status, 200);
    assert.equal((await see(id, am3)).proof, 'proved', 'in whatever spelling');
  });

  it('proves nothing when it is somebody else\'s, next door, too short or the retailer\'s own', async () => {
    const id = await raise({ retailer: 'R2' }, ago(60)); // AM2's
    const to = '15400010002';
    await happen(
      calls({ to, from: '15400000023' }).events, // AM3
      calls({ to, from: '15400000031' }).events, // an operator
      calls({ to, from: 'anonymous' }).events,
      calls({ to: '15400010001', from: '15400000022' }).events, // next door
      calls({ to: '15400000022', from: to, direction: 'inbound' }).events,
    );
    const seen = await see(id);
    assert.deepEqual([seen.state, seen.proof, seen.tries, seen.first_try_at], ['open', null, [], null]);
    await happen(calls({ to, from: '15400000022', seconds: 9 }).events);
    assert.deepEqual((await see(id)).tries.map(({ outcome, seconds, by }) => [outcome, seconds, by]), [['short', 9, 'AM2']]);
    await happen(calls({ to, from: '15400000011', minutes: 20 }).events); // his market manager
    assert.equal((await see(id)).contacted_by, 'MM1');
  });

  it('that reached nobody is kept and shown', async () => {
    const id = await raise({ retailer: 'R9' }, ago(60));
    const over = { to: '15400010009', from: '15400000024', seconds: 0 };
    await happen(
      calls({ ...over, minutes: 50, cause: '486 Busy Here' }).events,
      calls({ ...over, minutes: 40, cause: '487 Request Terminated' }).events,
      calls({ ...over, minutes: 30, cause: '404 Not Found' }).events,
    );
    const seen = await see(id);
    assert.deepEqual(seen.tries.map(({ outcome }) => outcome), ['busy', 'no-answer', 'failed']);
    assert.deepEqual([seen.state, seen.first_try_at], ['open', seen.tries[0].at]);
  });
});

describe('a contact entered by hand', () => {
  it('is recorded, and proved if the telephone says so after all', async () => {
    const id = await raise({ retailer: 'R3' }, ago(60));
    const answer = await am1.post(`/follow-ups/${id}/contacts`, { outcome: 'reached', at: ago(50), note: '当面说清了' });
    assert.equal(answer.status, 200, answer.text);
    const { json } = answer;
    assert.deepEqual([json.state, json.proof, json.contacted_by, json.tries.length], ['contacted', 'recorded', 'AM1', 1]);
    assert.deepEqual([json.tries[0].outcome, json.tries[0].note, json.tries[0].call], ['recorded', '当面说清了', null]);
    assert.equal(answer.headers.etag, `"${json.revision}"`);
    await happen(calls({ to: '15400010003' }).events);
    assert.equal((await see(id)).proof, 'proved');
    assert.equal((await am1.post(`/follow-ups/${id}/contacts`, { outcome: 'reached' })).json.proof, 'proved', 'which a word does not undo');
  });

  it('that did not reach anybody is a try', async () => {
    const id = await raise({ retailer: 'R4' });
    const { json } = await am1.post(`/follow-ups/${id}/contacts`, { outcome: 'wrong-number', note: '号码已换' });
    assert.deepEqual([json.state, json.proof, json.tries.map(({ outcome }) => outcome)], ['open', null, ['wrong-number']]);
    assert.ok(json.first_try_at);
    assert.equal(json.history.at(-1).kind, 'tried');
  });

  it('is refused from who is not in charge, and when it makes no sense', async () => {
    const id = await raise({ retailer: 'R1' });
    const contact = (desk, body, of = id) => desk.post(`/follow-ups/${of}/contacts`, body);
    assert.equal((await contact(am3, { outcome: 'reached' })).code, 'not-found', 'another manager does not see it');
    assert.equal((await contact(op1, { outcome: 'reached' })).code, 'forbidden', 'an operator has no say');
    assert.equal((await contact(am1, { outcome: 'reached' }, 999999)).code, 'not-found');
    for (const [body, pointer] of [
      [{}, '/outcome'],
      [{ outcome: 'proved' }, '/outcome'],
      [{ outcome: 'reached', at: ago(600) }, '/at'],
      [{ outcome: 'reached', at: ago(-10) }, '/at'],
      [{ outcome: 'reached', at: 'yesterday' }, '/at'],
      [{ outcome: 'reached', at: '2026-02-30T08:00:00Z' }, '/at'],
      [{ outcome: 'reached', proof: 'proved' }, '/proof'],
      [{ outcome: 'reached', note: 5 }, '/note'],
    ]) {
      const answer = await contact(am1, body);
      assert.equal(answer.status, 422, answer.text);
      assert.deepEqual(answer.errors.map((one) => one.pointer), [pointer]);
    }
    assert.equal((await see(id)).state, 'open');
    assert.equal((await contact(s1, { outcome: 'reached' })).json.contacted_by, 'S1', 'a supervisor may');
  });
});
