// The life of a follow-up at the console, with the telephone and the clock: from raised to closed by two people, reopened
// on the same clock, asked of others, promised, merged; and many at once, of whom one wins.
import { after, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { world } from './lib/world.mjs';
import { Sink } from './lib/sink.mjs';
import { atDesk } from './lib/desk.mjs';
import { eventually } from './lib/eventually.mjs';
import { batched, call, complaint, structured } from './lib/events.mjs';
import { bringDue } from './lib/look.mjs';

const w = await world();
const sink = await Sink.start();
after(() => sink.close());
for (const code of ['AM1', 'AM3', 'MM1', 'S1', 'DV1']) await w.addTarget(code, sink.url(`/${code}`));
const [am1, am3, mm1, s1, s2, op1, dv1, admin] = await Promise.all(
  ['am1', 'am3', 'mm1', 's1', 's2', 'op1', 'dv1', 'admin'].map((name) => atDesk(w, name)),
);

const solved = { resolution: '补送一箱', valid: true, thanks: true };
const visit = (satisfied, over) => ({
  satisfied,
  how: 'phone',
  ...{ reliability: 5, assurance: 4, tangibles: 5, empathy: 4, responsiveness: 5 },
  ...over,
});
const ahead = (hours) => new Date(Date.now() + hours * 3_600_000).toISOString();

async function raise(data = {}, over = {}) {
  const answer = await w.post(structured(complaint({ text: '少送一箱', retailer: 'R1', ...data }, over)));
  assert.equal(answer.status, 200, answer.text);
  return answer.json.complaint.follow_up;
}
// AM1 calls R1 now; proves whatever of R1's is open.
async function callBack(from = '15400000021', to = '15400010001') {
  const data = { call: randomUUID(), direction: 'outbound', from, to };
  const answer = await w.post(batched([call('answered', data), call('ended', { ...data, seconds: 30 })]));
  assert.ok(answer.json.every(({ status }) => status === 200), answer.text);
}
const move = (desk, id, what, body) => desk.post(`/follow-ups/${id}/${what}`, body);
async function moved(desk, id, what, body) {
  const answer = await move(desk, id, what, body);
  assert.equal(answer.status, 200, `${what}: ${answer.text}`);
  return answer.json;
}
async function refused(code, desk, id, what, body) {
  const answer = await move(desk, id, what, body);
  assert.equal(answer.code, code, `${what}: ${answer.status} ${answer.text}`);
  return answer;
}
const see = async (id, desk = s1) => (await desk.get(`/follow-ups/${id}`)).json;
const kinds = async (id) =>
  w.db.rows(
    'SELECT kind, count(*)::integer AS n FROM follow_up_history WHERE follow_up_id = $1 GROUP BY kind',
    [id],
  ).then((rows) => Object.fromEntries(rows.map(({ kind, n }) => [kind, n])));
const heard = (id) =>
  sink.requests
    .filter((request) => request.json?.data?.follow_up === id)
    .map((request) => `${request.path.slice(1)} ${request.json.type.replace('ringback.follow-up.', '')} ${request.json.data.step}`);

// Raised, called back and resolved by AM1.
async function resolvedOne(data, over) {
  const id = await raise(data, over);
  await callBack();
  await moved(am1, id, 'resolve', solved);
  return id;
}

describe('two people', () => {
  it('close what one resolved', async () => {
    const id = await raise();
    assert.equal((await moved(am1, id, 'acknowledge')).state, 'acknowledged');
    assert.equal((await moved(am1, id, 'acknowledge')).state, 'acknowledged', 'twice is once');
    const early = await refused('illegal-move', am1, id, 'resolve', solved);
    assert.match(early.json.detail, /from acknowledged it can become contacted/);
    await callBack();
    const resolved = await moved(am1, id, 'resolve', { ...solved, root_cause: 'picking', corrective_action: '双人复核' });
    assert.deepEqual([resolved.state, resolved.resolved_by, resolved.root_cause, resolved.proof], ['resolved', 'AM1', 'picking', 'proved']);
    await refused('another-person', am1, id, 'visits', visit(true));
    const closed = await moved(op1, id, 'visits', visit(true, { good: '来得快', tangibles: 2 }));
    assert.deepEqual([closed.state, closed.verified_by, closed.satisfied], ['closed', 'OP1', true]);
    assert.deepEqual(closed.visits.map(({ by, round, tangibles, good }) => [by, round, tangibles, good]), [['OP1', 0, 2, '来得快']]);
    await eventually(() => heard(id).includes('AM1 closed closed'));
    const [task] = (await mm1.get('/tasks?assignee=MM1')).json.items.filter((one) => one.follow_up === id);
    assert.deepEqual([task.scores, task.assignee, task.retailer.code], [{ tangibles: 2 }, 'MM1', 'R1']);
    assert.equal((await mm1.post(`/tasks/${task.id}/done`, { note: '换了新箱' })).json.done_by, 'MM1');
    assert.equal((await mm1.get('/tasks')).json.items.filter((one) => one.id === task.id).length, 0);
    await refused('not-found', am3, id, 'notes', { text: 'x' });
  });

  it('reopen on the clock it had: past its deadline it goes up the line at once', async () => {
    const id = await raise();
    const ladder = async () => (await see(id)).steps.filter(({ action }) => action !== 'unacknowledged');
    const steps = (await ladder()).map(({ step }) => step);
    await callBack();
    await bringDue(w.db, id, steps[3]); // an hour after the deadline, but contacted
    await eventually(async () => (await ladder())[3].skipped === 'contacted');
    await moved(am1, id, 'resolve', solved);
    const before = await see(id);
    const reopened = await moved(op1, id, 'visits', visit(false, { bad: '还是没到', reliability: 1 }));
    assert.deepEqual([reopened.state, reopened.proof, reopened.contacted_at, reopened.reopened], ['open', null, null, 1]);
    assert.equal(reopened.due_at, before.due_at);
    assert.deepEqual(reopened.steps.filter(({ fired_at: at, action }) => !at && action !== 'unacknowledged').map(({ step }) => step), [steps[4]], 'what is ahead is to come');
    await eventually(() => heard(id).length >= 3);
    assert.deepEqual(heard(id).sort(), ['AM1 assigned assigned', 'AM1 reopened reopened', `MM1 escalated ${steps[3]}-again-1`]);
    await bringDue(w.db, id, steps[4]);
    await eventually(() => heard(id).includes(`S1 escalated ${steps[4]}`));
    await callBack();
    assert.equal((await see(id)).state, 'contacted', 'another call proves it again');
  });

  it('need a supervisor where the policy says so', async () => {
    await w.db.force('UPDATE policies SET verify_severity = 3');
    try {
      const id = await resolvedOne({ severity: 3 });
      assert.equal((await moved(op1, id, 'visits', visit(true))).state, 'resolved');
      await refused('another-person', am1, id, 'visits', visit(true));
      assert.equal((await move(op1, id, 'verify')).status, 403, 'not for operators');
      assert.equal((await moved(mm1, id, 'verify', { note: '属实' })).state, 'closed');
    } finally {
      await w.db.force('UPDATE policies SET verify_severity = NULL');
    }
  });
});

describe('others', () => {
  it('take over, and are told', async () => {
    const id = await raise();
    assert.equal((await moved(am1, id, 'hand-over', { to: 'AM3', reason: '调区' })).owner, 'AM3');
    await eventually(() => heard(id).includes('AM3 assigned assigned'));
    await refused('not-in-charge', am1, id, 'acknowledge');
    assert.equal((await moved(am3, id, 'acknowledge')).acknowledged_by, 'AM3');
    assert.equal((await move(am3, id, 'hand-over', { to: 'AM1', reason: '调回' })).status, 204, 'what he gave away is not his to see');
  });

  it('are asked, with a time of their own', async () => {
    const id = await raise();
    assert.equal((await dv1.get(`/follow-ups/${id}`)).status, 404);
    const department = { zh: '配送中心', en: 'Delivery', person: 'DV1' };
    assert.equal((await admin.put('/departments/delivery', department)).json.person, 'DV1');
    assert.equal((await am1.put('/departments/delivery', department)).status, 403);
    assert.deepEqual((await am1.get('/departments')).json.items.map(({ code }) => code), ['delivery', 'finance', 'inspectors']);
    const asked = await moved(am1, id, 'requests', { department: 'delivery', text: '核对签收单', due_at: ahead(4) });
    assert.deepEqual([asked.owner, asked.requests[0].person], ['AM1', 'DV1']);
    await eventually(() => heard(id).includes('DV1 assigned request-1'));
    const told = sink.requests.find(({ path, json }) => path === '/DV1' && json.data.follow_up === id).json.data;
    assert.equal(told.text, '核对签收单\n— 少送一箱', 'he reads what is wanted of him');
    assert.equal((await see(id, dv1)).retailer.code, 'R1', 'and sees what it is about');
    assert.deepEqual((await dv1.get('/follow-ups')).json.items.map((one) => one.id), [id]);
    await bringDue(w.db, id, 'request-1');
    await eventually(() => heard(id).includes('DV1 reminded request-1'));
    const answered = await move(dv1, id, 'requests/1/answer', { answer: '签收 9 箱' });
    assert.deepEqual([answered.json.answer, answered.json.answered_by], ['签收 9 箱', 'DV1']);
    assert.equal((await dv1.get(`/follow-ups/${id}`)).status, 404, 'then no more');
    await eventually(() => heard(id).includes('AM1 reminded request-1-answered'));
    await refused('illegal-move', am1, id, 'requests/1/answer', { answer: 'x' });
  });

  it('promise a time, which is a step', async () => {
    const id = await raise();
    const promised = await moved(op1, id, 'promise', { at: ahead(2), note: '下午回电' });
    assert.ok(Date.parse(promised.promised_at) > Date.now());
    await moved(am1, id, 'promise', { at: ahead(3) });
    assert.deepEqual((await see(id)).steps.filter(({ step }) => step.startsWith('promise')).map(({ step, skipped }) => [step, skipped]),
      [['promise-1-soon', 'replaced'], ['promise-1', 'replaced'], ['promise-2-soon', null], ['promise-2', null]]);
    await bringDue(w.db, id, 'promise-2-soon');
    await eventually(() => heard(id).includes('AM1 reminded promise-2-soon'));
    await callBack();
    assert.equal((await see(id)).steps.find(({ step }) => step === 'promise-2').skipped, 'kept');
    assert.ok(!heard(id).some((line) => line.includes('promise-1')));
  });

  it('find repeats and merge them', async () => {
    const first = await raise({ category: 'debit-failed' });
    const second = await raise({ category: 'debit-failed' });
    const [suggested] = (await op1.get(`/follow-ups/${second}/repeats`)).json.items;
    assert.deepEqual([suggested.id, suggested.same, suggested.merge], [first, ['category'], 'into']);
    const merged = await moved(op1, second, 'merge', { into: first });
    assert.deepEqual([merged.state, merged.merged_into, merged.stands_for_it.state], ['closed', first, 'open']);
    await callBack();
    assert.equal((await see(second)).stands_for_it.proof, 'proved', 'what proves the one is shown on the other');
    assert.deepEqual((await see(first)).merged.map(({ id }) => id), [second]);
    assert.equal((await moved(op1, second, 'reopen', { reason: '不是一回事' })).merged_into, null);
  });
});

// Every one of these is asked many times at once; the ledger is the history.
describe('many at once', () => {
  const together = (n, ask) => Promise.all(Array.from({ length: n }, (_, i) => ask(i)));
  const oneWins = (answers, others) => {
    const lost = answers.filter(({ status }) => status !== 200);
    assert.equal(answers.length - lost.length, 1, answers.map(({ status, text }) => `${status} ${text.slice(0, 80)}`).join('\n'));
    assert.deepEqual([...new Set(lost.map(({ code }) => code))], [others]);
  };
  const desks = [am1, s1, s2, mm1];

  it('acknowledge once, resolve once, verify once, close once, reopen once', async () => {
    const id = await raise();
    const acknowledged = await together(12, (i) => move(desks[i % 4], id, 'acknowledge'));
    assert.ok(acknowledged.every(({ status }) => status === 200));
    await callBack();
    oneWins(await together(12, (i) => move(desks[i % 4], id, 'resolve', solved)), 'illegal-move');
    const by = (await see(id)).resolved_by;
    const other = [s1, s2, mm1].filter(({ session }) => session.person !== by);
    oneWins(await together(12, (i) => move(other[i % other.length], id, 'verify')), 'illegal-move');
    oneWins(await together(12, (i) => move(other[i % other.length], id, 'close', { reason: '出国' })), 'illegal-move');
    oneWins(await together(12, (i) => move([op1, ...desks][i % 5], id, 'reopen', { reason: '又来电' })), 'illegal-move');
    assert.deepEqual(await kinds(id), { opened: 1, acknowledged: 1, contacted: 1, resolved: 1, verified: 1, closed: 1, reopened: 1 });
    assert.equal(await w.db.value("SELECT count(*) FROM notifications WHERE follow_up_id = $1 AND type = 'reopened'", [id]), 1);
  });

  it('satisfied and dissatisfied visits: closed once, or reopened once, never both halves', async () => {
    for (let round = 0; round < 5; round++) {
      const id = await resolvedOne();
      await together(8, (i) => move([op1, s1, s2, mm1][i % 4], id, 'visits', visit(i % 2 === 0)));
      const { verified = 0, closed = 0, reopened = 0, visited } = await kinds(id);
      assert.deepEqual([reopened, verified, closed], [1, verified, verified], 'somebody was dissatisfied, once');
      assert.equal(visited, await w.db.value('SELECT count(*) FROM return_visits WHERE follow_up_id = $1', [id]).then(Number));
      assert.equal((await see(id)).state, 'open');
    }
  });

  it('merge two into each other, and three in a ring, without a deadlock', async () => {
    for (let round = 0; round < 5; round++) {
      const ids = [await raise({ category: 'price' }), await raise({ category: 'price' }), await raise({ category: 'price' })];
      const answers = await together(9, (i) => move(desks[i % 4], ids[i % 3], 'merge', { into: ids[(i + 1 + (i % 2)) % 3] }));
      assert.ok(answers.every(({ status }) => [200, 409].includes(status)), answers.map(({ status, text }) => `${status} ${text}`).join('\n'));
      const left = await Promise.all(ids.map((id) => see(id)));
      for (const one of left.filter(({ merged_into: into }) => into)) {
        assert.equal(one.state, 'closed');
        assert.equal(left.find(({ id }) => id === one.merged_into).merged_into, null, 'no chains');
        assert.equal((await kinds(one.id)).merged, 1);
      }
      assert.ok(left.some(({ state }) => state === 'open'));
    }
    assert.equal(await w.db.value('SELECT deadlocks::integer FROM pg_stat_database WHERE datname = current_database()'), 0);
  });

  it('hand over, note and call back: each change counts, the last owner is one', async () => {
    const id = await raise();
    const before = (await see(id)).revision;
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, (_, i) => move(s1, id, 'notes', { text: `第 ${i} 条` })),
      ...Array.from({ length: 6 }, (_, i) => move(s2, id, 'hand-over', { to: i % 2 ? 'AM1' : 'AM2', reason: '轮换' })),
      callBack('15400000001'), // a supervisor's call counts whoever owns it
    ]);
    assert.ok(answers.slice(0, -1).every(({ status }) => status === 200));
    const seen = await see(id);
    assert.equal(seen.notes.length, 10);
    const handed = seen.history.filter(({ kind }) => kind === 'handed-over');
    assert.equal(seen.owner, handed.at(-1).details.to);
    handed.reduce((from, { details }) => (assert.equal(details.from, from), details.to), 'AM1');
    assert.equal(seen.revision - before, 10 + handed.length + 1);
  });

  // Anybody does anything: what the history says must lead to what the row says, by legal moves alone.
  it('whatever is tried, each history is a legal life', async () => {
    let seed = 20260301; // the same walk every time
    const chance = (n) => (seed = (seed * 48271) % 2147483647) % n;
    const ids = [];
    for (let i = 0; i < 12; i++) ids.push(await raise({ category: 'price', severity: 1 + (i % 3) }));
    const due = await w.db.rows('SELECT follow_up_id AS id, due_at::text FROM follow_ups WHERE follow_up_id = ANY($1) ORDER BY 1', [ids]);
    const acts = [
      () => ['acknowledge'],
      () => ['contacts', { outcome: 'reached' }],
      () => ['contacts', { outcome: 'reached' }],
      () => ['resolve', solved],
      () => ['resolve', solved],
      () => ['visits', visit(chance(3) > 0)],
      () => ['visits', visit(true)],
      () => ['verify', {}],
      () => ['close', { reason: '出国' }],
      () => ['reopen', { reason: '又来电' }],
      () => ['hand-over', { to: ['AM1', 'AM2', 'MM1'][chance(3)], reason: '轮换' }],
      () => ['promise', { at: ahead(2) }],
      () => ['notes', { text: '记' }],
      () => ['requests', { person: 'DV1', text: '查', due_at: ahead(2) }],
      () => ['requests/1/answer', { answer: '好' }],
      () => (chance(4) ? ['notes', { text: '记' }] : ['merge', { into: ids[chance(ids.length)] }]),
    ];
    const seen = new Map();
    for (let round = 0; round < 25; round++) {
      const answers = await together(12, () => move([am1, s1, s2, mm1, op1][chance(5)], ids[chance(ids.length)], ...acts[chance(acts.length)]()));
      for (const { status } of answers) seen.set(status, (seen.get(status) ?? 0) + 1);
    }
    assert.deepEqual([...seen.keys()].filter((status) => ![200, 201, 204, 403, 404, 409, 422].includes(status)), []);
    assert.ok(seen.get(200) > 100, JSON.stringify([...seen]));
    const legal = {
      opened: { '': 'open' },
      acknowledged: { open: 'acknowledged' },
      contacted: { open: 'contacted', acknowledged: 'contacted', contacted: 'contacted' },
      resolved: { contacted: 'resolved' },
      verified: { resolved: 'verified' },
      closed: { verified: 'closed' },
      merged: { open: 'closed', acknowledged: 'closed', contacted: 'closed' },
      reopened: { contacted: 'open', resolved: 'open', verified: 'open', closed: 'open' },
      'handed-over': { acknowledged: 'open', open: 'open', contacted: 'contacted', resolved: 'resolved', verified: 'verified' },
    };
    for (const id of ids) {
      const one = await see(id);
      let state = '';
      let resolver = null;
      for (const { kind, by } of one.history.filter((line) => legal[line.kind])) {
        assert.ok(legal[kind][state], `${id}: ${kind} when ${state || 'new'}`);
        if (kind === 'resolved') resolver = by;
        if (kind === 'verified') assert.notEqual(by, resolver, 'two people');
        state = legal[kind][state];
      }
      assert.equal(state, one.state);
      assert.equal(one.history.filter(({ kind }) => kind === 'reopened').length, one.reopened);
    }
    assert.deepEqual(await w.db.rows('SELECT follow_up_id AS id, due_at::text FROM follow_ups WHERE follow_up_id = ANY($1) ORDER BY 1', [ids]), due);
  });

  it('who read an old version is told so', async () => {
    const id = await raise();
    const { headers } = await am1.get(`/follow-ups/${id}`);
    const answers = await together(6, (i) => am1.post(`/follow-ups/${id}/notes`, { text: `${i}` }, { etag: headers.etag }));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412, 412, 412, 412, 412]);
    assert.equal((await see(id)).notes.length, 1);
  });
});
