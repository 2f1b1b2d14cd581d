// Policies and calendars at the console: versions, previews, contradictions, and why a follow-up is due when it is. Every answer
// is held against the OpenAPI document by the desk itself.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { atDesk } from './lib/desk.mjs';
import { call, complaint, structured } from './lib/events.mjs';

const w = await world();
const [am1, am3, mm1, s1, admin] = await Promise.all(['am1', 'am3', 'mm1', 's1', 'admin'].map((name) => atDesk(w, name)));

const raised = async (data) => {
  const answer = await w.post(structured(complaint({ text: '到货少一条', ...data })));
  assert.equal(answer.status, 200, answer.text);
  return answer.json.complaint;
};
const made = async (body, desk = s1) => {
  const answer = await desk.post('/policies', body);
  assert.equal(answer.status, 201, answer.text);
  return { ...answer.json, etag: answer.headers.etag, location: answer.headers.location };
};
const hours = (one) => (new Date(one.due_at) - new Date(one.raised_at)) / 3600000;
// Of the policy's ladder; silence has steps of its own.
const ladder = (steps) => steps.filter((s) => s.action !== 'unacknowledged');
const followUp = async (id) => (await s1.get(`/follow-ups/${id}`)).json;
const overdue = { step: 'overdue', action: 'overdue', percent: 100, whom: 'owner' };

describe('policies', () => {
  it('begin with the contract’s one, for what no other fits', async () => {
    const { items } = (await mm1.get('/policies')).json;
    assert.equal(items.length, 1);
    const [one] = items;
    assert.deepEqual([one.name, one.default, one.deadline_minutes, one.work_deadline_minutes, one.version], ['default', true, 1440, null, 1]);
    assert.deepEqual(
      one.steps.map((s) => [s.step, s.percent, s.minutes, s.whom]),
      [
        ['reminder-50', 50, 0, 'owner'],
        ['reminder-75', 75, 0, 'owner'],
        ['overdue', 100, 0, 'owner'],
        ['escalation-1', 100, 60, 'market_manager'],
        ['escalation-2', 100, 120, 'duty_supervisor'],
      ],
    );
    assert.equal((await am1.get('/policies')).status, 403);
    assert.equal((await mm1.post('/policies', { name: 'x', deadline_minutes: 1 })).status, 403, 'a market manager reads them');
  });

  it('hold for what comes from then on; what is open keeps its version', async () => {
    const before = await raised({ retailer: 'R1', category: 'late-delivery', severity: 3 });
    const policy = await made({ name: '送货延误', category: 'late-delivery', severity: 2, deadline_minutes: 240, steps: [overdue] });
    assert.equal(policy.location, `/api/v1/policies/${policy.id}`);
    const after = await raised({ retailer: 'R1', category: 'late-delivery', severity: 3 });
    assert.equal(hours(await followUp(before.follow_up)), 24);
    assert.equal(hours(await followUp(after.follow_up)), 4);
    assert.deepEqual(ladder((await followUp(after.follow_up)).steps).map((s) => s.step), ['overdue']);
    const mild = await raised({ retailer: 'R1', category: 'late-delivery', severity: 1 });
    assert.equal(hours(await followUp(mild.follow_up)), 24, 'a severity is that one and up');

    const change = { deadline_minutes: 120 };
    const preview = await s1.post('/policies/preview', { replaces: policy.id, ...change });
    assert.equal(preview.status, 200, preview.text);
    assert.deepEqual(preview.json, {
      under_old_version: 1, concerned: 1, other_deadline: 1, earlier: 1, later: 0, overdue_at_once: 0, no_longer_overdue: 0, apply_to_open: false,
    });
    assert.equal((await s1.get(`/policies/${policy.id}`)).json.valid_until, null, 'a preview changes nothing');

    assert.equal((await s1.patch(`/policies/${policy.id}`, change)).status, 428);
    assert.equal((await s1.patch(`/policies/${policy.id}`, change, { etag: '"0"' })).status, 412);
    const changed = await s1.patch(`/policies/${policy.id}`, change, { etag: policy.etag });
    assert.equal(changed.status, 200, changed.text);
    assert.deepEqual(
      [changed.json.version, changed.json.replaces, changed.json.deadline_minutes, changed.json.severity, changed.json.applied_to_open],
      [2, policy.id, 120, 2, 0],
    );
    assert.equal(hours(await followUp(after.follow_up)), 4, 'an open follow-up keeps the version it was made under');
    const old = (await s1.get(`/policies/${policy.id}`)).json;
    assert.equal(old.replaced_by, changed.json.id);
    assert.notEqual(old.valid_until, null);
    assert.equal((await s1.patch(`/policies/${policy.id}`, change, { etag: '*' })).code, 'not-in-force');
    assert.deepEqual(
      (await s1.get('/policies?versions=all')).json.items.filter((p) => p.name === '送货延误').map((p) => p.version), [1, 2]);
    const next = await raised({ retailer: 'R1', category: 'late-delivery', severity: 2 });
    assert.equal(hours(await followUp(next.follow_up)), 2);

    const ended = await s1.del(`/policies/${changed.json.id}`, { etag: changed.headers.etag });
    assert.equal(ended.status, 200, ended.text);
    assert.notEqual(ended.json.valid_until, null);
    assert.equal(hours(await followUp((await raised({ retailer: 'R1', category: 'late-delivery', severity: 2 })).follow_up)), 24);
  });

  it('are applied to open follow-ups when that is asked for, and say so before', async () => {
    const long = new Date(Date.now() - 3 * 3600000).toISOString();
    const early = await w.post(structured(complaint({ retailer: 'R1', text: '价签', category: 'price' }, { time: long })));
    const { follow_up: id } = early.json.complaint;
    const body = {
      name: '价格', category: 'price', deadline_minutes: 120, apply_to_open: true,
      steps: [{ ...overdue, channels: ['wecom', 'email'] }, { step: 'early', action: 'reminded', minutes: 30, whom: 'deputy' },
        { step: 'later', action: 'escalated', percent: 200, whom: 'market_manager' }],
    };
    const preview = (await s1.post('/policies/preview', body)).json;
    assert.deepEqual([preview.concerned, preview.overdue_at_once, preview.apply_to_open], [1, 1, true]);
    const policy = await made(body);
    assert.equal(policy.applied_to_open, 1);
    const now = await followUp(id);
    assert.equal(hours(now), 2);
    const steps = Object.fromEntries(now.steps.map((s) => [s.step, s.skipped]));
    assert.equal(steps['reminder-50'], 'replaced');
    assert.equal(steps.early, 'late', 'of what is past only the latest is left');
    assert.equal(steps.later, null);
    const [line] = now.history.filter((h) => h.kind === 'policy-changed');
    assert.deepEqual([line.by, line.details.from.policy, line.details.to.policy], ['S1', 'default', '价格']);
    const why = (await s1.get(`/follow-ups/${id}/why`)).json;
    assert.deepEqual(why.steps.find((s) => s.step === 'overdue').channels.sort(), ['email', 'wecom']);
    assert.equal((await s1.del(`/policies/${policy.id}`, { etag: policy.etag })).status, 200);
    assert.equal((await s1.get(`/follow-ups/${id}/why`)).json.policy.in_force, false);
  });

  it('that could both hold for one complaint and are equally specific are refused, with both named', async () => {
    await made({ name: '咨询', kind: 'inquiry', deadline_minutes: 600 });
    const both = await s1.post('/policies', { name: '重点客户', class: 'key', deadline_minutes: 600 });
    assert.equal(both.code, 'contradiction');
    assert.match(both.json.detail, /重点客户/);
    assert.match(both.json.detail, /咨询/);
    assert.equal((await s1.post('/policies/preview', { name: '重点客户', class: 'key', deadline_minutes: 600 })).code, 'contradiction');
    await made({ name: '重点投诉', class: 'key', kind: 'complaint', deadline_minutes: 600 });
    assert.equal((await s1.post('/policies', { name: '咨询', kind: 'request', deadline_minutes: 600 })).code, 'exists');
  });

  it('without a ladder of their own have that of the one without conditions: no promise is without a deadline that tells', async () => {
    const policy = await made({ name: '意见', kind: 'opinion', severity: 3, deadline_minutes: 240 });
    const [other] = (await s1.get('/policies')).json.items.filter((p) => p.default);
    assert.ok(other.steps.some((s) => s.action === 'overdue'));
    assert.deepEqual(policy.steps, other.steps);
    const { follow_up: id } = await raised({ retailer: 'R1', kind: 'opinion', severity: 3 });
    const { steps, due_at: due } = await followUp(id);
    assert.equal(ladder(steps).find((s) => s.action === 'overdue').due_at, due);
    const none = await s1.patch(`/policies/${policy.id}`, { steps: [] }, { etag: policy.etag });
    assert.deepEqual(none.json.steps, [], 'none is none when it is said');
    const changed = await s1.patch(`/policies/${none.json.id}`, { deadline_minutes: 120 }, { etag: none.headers.etag });
    assert.deepEqual(changed.json.steps, [], 'and stays so');
  });

  it('without conditions there is always one', async () => {
    const [one] = (await admin.get('/policies')).json.items.filter((p) => p.default);
    const etag = `"${one.id}"`;
    assert.equal((await admin.del(`/policies/${one.id}`, { etag })).code, 'no-default');
    assert.equal((await admin.patch(`/policies/${one.id}`, { kind: 'report' }, { etag })).code, 'no-default');
    const same = await admin.patch(`/policies/${one.id}`, { deadline_minutes: 1440 }, { etag });
    assert.deepEqual([same.status, same.json.id], [200, one.id], 'the same again makes no version');
  });

  it('that are not right are refused with all that is wrong', async () => {
    const answer = await s1.post('/policies', {
      name: ' ', severity: 4, deadline_minutes: 0, colour: 'red',
      steps: [{ step: 'A B', action: 'shouted', whom: 'nobody' }, { step: 'o', action: 'overdue', percent: 50, whom: 'owner' },
        { step: 'w', action: 'reminded', percent: 50, clock: 'work', whom: 'owner', channels: ['pigeon'] }, 7],
    });
    assert.equal(answer.status, 422, answer.text);
    const at = new Set(answer.json.errors.map((e) => e.pointer));
    for (const pointer of ['/name', '/severity', '/deadline_minutes', '/colour', '/steps/0/step', '/steps/0/action', '/steps/0/whom',
      '/steps/0/percent', '/steps/2/clock', '/steps/2/channels', '/steps/3'])
      assert.ok(at.has(pointer), `${pointer} in ${[...at]}`);
    const early = await s1.post('/policies', { name: 'x', kind: 'report', deadline_minutes: 60, steps: [{ ...overdue, percent: 99 }, { step: 'a', action: 'reminded', minutes: -1, whom: 'owner' }] });
    assert.deepEqual(early.json.errors.map((e) => e.pointer).sort(), ['/steps/0/action', '/steps/1/minutes']);
    for (const body of ['[]', '"x"', '{"name": 5, "deadline_minutes": "60"}', '{"steps": {}}', '{"name": "x", "deadline_minutes": 60, "apply_to_open": "yes"}'])
      assert.equal((await s1.post('/policies', body, { headers: { 'content-type': 'application/json' } })).status, 422, body);
    assert.equal((await s1.get('/policies/999999999')).status, 404);
    assert.equal((await s1.post('/policies/preview', { replaces: 99999 })).status, 404);
  });
});

describe('the calendar', () => {
  const week = [1, 2, 3, 4, 5].map((weekday) => ({ weekday, spans: ['08:30-11:30', '13:30-17:30'] }));
  it('is exchanged whole, by who may, and read by everybody', async () => {
    const none = await am1.get('/calendar');
    assert.deepEqual([none.json.calendar, none.json.hours, none.json.closing_minutes], [null, [], 10]);
    const body = {
      hours: week, closing_minutes: 15,
      days: [{ day: '2027-10-01', until: '2027-10-07', what: 'holiday', name: '国庆节' }, { day: '2027-09-26', what: 'workday', follows: 5, name: '国庆节调休' },
        { day: '2027-12-31', what: 'special', spans: ['08:30-12:00'] }],
    };
    assert.equal((await am1.put('/calendar', body, { etag: none.headers.etag })).status, 403);
    assert.equal((await s1.put('/calendar', body)).status, 428);
    const put = await s1.put('/calendar', body, { etag: none.headers.etag });
    assert.equal(put.status, 200, put.text);
    assert.deepEqual([put.json.hours.length, put.json.days.length, put.json.closing_minutes], [5, 9, 15]);
    assert.equal((await s1.put('/calendar', body, { etag: none.headers.etag })).status, 412);
    const some = (await am1.get('/calendar?from=2027-10-06&until=2027-12-31')).json.days;
    assert.deepEqual(some.map((d) => [d.day, d.what]), [['2027-10-06', 'holiday'], ['2027-10-07', 'holiday'], ['2027-12-31', 'special']]);
    assert.equal((await am1.get('/calendar?from=soon')).status, 400);
    const audit = await w.db.rows(`SELECT actor FROM audit_log WHERE action = 'calendar-set'`);
    assert.deepEqual(audit, [{ actor: 's1' }]);
  });
  it('that is not right is refused, and where', async () => {
    const { etag } = (await s1.get('/calendar')).headers;
    for (const [days, pointer] of [
      [[{ day: '2027-02-30', what: 'holiday' }], '/days/0/day'], [[{ day: '2027-02-03', what: 'party' }], '/days/0/what'], [[{ day: '2027-02-03' }], '/days/0/what'],
      [[{ day: '2027-02-03', what: 'special', spans: ['9-10'] }], '/days/0/spans'], [[{ day: '2027-02-03', what: 'holiday', spans: 5 }], '/days/0/spans'],
      [[{ day: '2027-02-03', what: 'holiday' }, { day: '2027-02-01', until: '2027-02-05', what: 'holiday' }], '/days/1/day'],
      [[5], '/days/0'], [[{ day: '2027-02-03', what: 'holiday', colour: 'red' }], '/days/0/colour'],
    ]) {
      const answer = await s1.put('/calendar', { hours: week, days }, { etag });
      assert.equal(answer.status, 422, `${JSON.stringify(days)} ${answer.text}`);
      assert.equal(answer.json.errors[0].pointer, pointer, answer.text);
    }
    assert.equal((await s1.put('/calendar', { hours: week }, { etag })).status, 422);
    assert.equal((await s1.put('/calendar', { hours: [{ weekday: 9, spans: ['08:00-09:00'] }], days: [] }, { etag })).json.errors[0].pointer, '/hours/0/weekday');
  });
});

describe('why', () => {
  it('a follow-up is due when it is, by the wall clock', async () => {
    const { follow_up: id, due_at: due, reference } = await raised({ retailer: 'R1', kind: 'opinion' });
    const answer = await am1.get(`/follow-ups/${id}/why`);
    assert.equal(answer.status, 200, answer.text);
    const { deadline, work_deadline: work, policy, steps } = answer.json;
    assert.equal(new Date(deadline.due_at).getTime(), new Date(due).getTime());
    assert.deepEqual(deadline.segments.map((s) => [s.counted, s.reason.code, s.seconds]), [[true, 'wall-clock', 86400]]);
    assert.match(deadline.text.zh, /自然时间.*24小时/);
    assert.match(deadline.text.en, /24 h by the wall clock/);
    assert.equal(work, null);
    assert.deepEqual([policy.name, policy.version, policy.conditions], ['default', 1, []]);
    assert.deepEqual(ladder(steps).map((s) => [s.step, s.whom, s.person?.code, s.state]), [
      ['reminder-50', 'owner', 'AM1', 'waiting'], ['reminder-75', 'owner', 'AM1', 'waiting'], ['overdue', 'owner', 'AM1', 'waiting'],
      ['escalation-1', 'market_manager', 'MM1', 'waiting'], ['escalation-2', 'duty_supervisor', 'S1', 'waiting']]);
    const [silence] = steps.filter((s) => s.action === 'unacknowledged');
    assert.match(silence.how.en, /not acknowledged within 1 h/);
    assert.match(steps[0].how.en, /^50 % of 24 h after \d{4}-\d\d-\d\d \d\d:\d\d$/);
    assert.match(steps.find((s) => s.step === 'escalation-1').how.zh, /24小时的100%再加1小时/);
    assert.equal((await am3.get(`/follow-ups/${id}/why`)).status, 404, 'somebody else’s is not explained to him');
    assert.equal((await s1.get('/follow-ups/999999/why')).status, 404);
    assert.ok(reference);
  });

  it('in working time: stretches that count add up, over a week-end and holidays with make-up days', async () => {
    await made({ name: '建议', kind: 'suggestion', deadline_minutes: 2880, work_deadline_minutes: 480,
      steps: [{ step: 'half', action: 'reminded', percent: 50, clock: 'work', whom: 'owner' }] });
    const { follow_up: id } = await raised({ retailer: 'R1', kind: 'suggestion' });
    const why = (await am1.get(`/follow-ups/${id}/why`)).json;
    const { segments, due_at: due } = why.work_deadline;
    const sum = (counted) => segments.filter((s) => s.counted === counted).reduce((all, s) => all + s.seconds, 0);
    assert.ok(Math.abs(sum(true) - 8 * 3600) < 0.01, JSON.stringify(segments));
    for (let i = 1; i < segments.length; i++) assert.equal(segments[i].from, segments[i - 1].to, 'without a gap');
    assert.equal(segments.at(-1).to, due);
    assert.ok(segments.some((s) => s.reason.code === 'working-hours'));
    assert.deepEqual(why.policy.conditions, [{ condition: 'kind', wants: 'suggestion', has: 'suggestion' }]);
    assert.match(ladder(why.steps)[0].how.zh, /工作时间.*8小时的50%/);
    assert.equal((await followUp(id)).work_due_at, due);
  });

  it('a step that was fired or passed over says so', async () => {
    const long = new Date(Date.now() - 24.5 * 3600000).toISOString();
    const answer = await w.post(structured(complaint({ retailer: 'R1', kind: 'opinion', text: '星级' }, { time: long })));
    const { follow_up: id } = answer.json.complaint;
    const why = (await s1.get(`/follow-ups/${id}/why`)).json;
    assert.deepEqual(ladder(why.steps).slice(0, 2).map((s) => [s.state, s.skipped]), [['skipped', 'late'], ['skipped', 'late']]);
    assert.match(ladder(why.steps)[0].state_text.en, /already past/);
  });

  it('how often he was tried, and that a step ahead will tell nobody', async () => {
    const { follow_up: id } = await raised({ retailer: 'R1', kind: 'opinion' });
    const asked = async () => (await am1.get(`/follow-ups/${id}/why`)).json;
    const tried = async (outcome) => assert.equal((await am1.post(`/follow-ups/${id}/contacts`, { outcome })).status, 200);
    assert.equal((await asked()).tries, null);
    await tried('busy');
    assert.match((await asked()).tries.text.en, /^tried once, /);
    await tried('no-answer');
    await tried('refused');
    const { tries, steps } = await asked();
    assert.equal(tries.count, 3);
    assert.match(tries.text.en, /^tried 3 times, last /);
    assert.match(tries.text.zh, /^已尝试回电3次，最近一次：/);
    assert.deepEqual(new Set(ladder(steps).map((s) => s.state_text.en)), new Set(['waiting']), 'what is for lateness stays');
    await tried('reached');
    const reached = await asked();
    assert.equal(reached.tries.count, 3, 'the one that reached him is no failed one');
    for (const step of reached.steps.filter((s) => s.state === 'waiting')) assert.match(step.state_text.en, /has been reached: nobody will be told/);
  });
});

describe('a call after hours', () => {
  it('becomes a follow-up of the caller’s manager', async () => {
    // Nobody works but for one minute in the week, which is not now.
    const { etag } = (await s1.get('/calendar')).headers;
    const weekday = ((new Date().getUTCDay() + 3) % 7) + 1;
    assert.equal((await s1.put('/calendar', { hours: [{ weekday, spans: ['08:00-08:01'] }], days: [] }, { etag })).status, 200);
    for (const data of [{}, {}]) {
      const id = `night-${Math.random()}`;
      for (const [kind, more] of [['ringing', {}], ['ended', { seconds: 0 }]]) {
        const sent = await w.post(structured(call(kind, { call: id, direction: 'inbound', from: '15400010001', to: '4001', ...more, ...data })));
        assert.equal(sent.status, 200, sent.text);
      }
    }
    // At once, some of them twice, over several connections: whoever comes second waits for the first and adds to it.
    const storm = Array.from({ length: 24 }, (_, i) =>
      w.post(structured(call('ended', { call: `storm-${i % 16}`, direction: 'inbound', from: '15400010001', to: '4001', seconds: 0 }))),
    );
    for (const sent of await Promise.all(storm)) assert.equal(sent.status, 200, sent.text);
    const { items } = (await am1.get('/follow-ups?category=missed-call')).json;
    assert.equal(items.length, 1, 'eighteen calls, one follow-up');
    const one = (await am1.get(`/follow-ups/${items[0].id}`)).json;
    assert.deepEqual([one.kind, one.owner, one.retailer.code, one.caller], ['request', 'AM1', 'R1', '+8615400010001']);
    assert.match(one.text, /东街一号店.*非工作时间/);
    assert.doesNotMatch(one.text, /15400010001/);
    assert.deepEqual([one.history[0].kind, one.history.filter((h) => h.kind === 'called-again').length], ['opened', 17]);
  });
});
