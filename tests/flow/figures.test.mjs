// A little week through gateway and console, and every figure about it held against a count by hand: of the follow-ups as
// each reader finds them one by one at the console. Then the lists that figures lead to, CSV, reports, incidents, metrics.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { world } from './lib/world.mjs';
import { atDesk } from './lib/desk.mjs';
import { eventually } from './lib/eventually.mjs';
import { batched, call, complaint, order, structured } from './lib/events.mjs';

const w = await world();
const names = ['am1', 'am2', 'am3', 'am4', 'mm1', 'mm2', 's1', 's2', 'op1', 'in1', 'dv1', 'admin'];
const desks = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await atDesk(w, name)])));
const { am1, am2, am3, am4, s1, s2, in1 } = desks;
const hour = 3_600_000;
const began = Date.now();
const ago = (hours) => new Date(began - hours * hour).toISOString();
const chinaDay = (ms) => new Date(ms + 8 * hour).toISOString().slice(0, 10);
const period = `from=${chinaDay(began - 7 * 24 * hour)}&to=${chinaDay(began)}`;

async function raise(hours, data) {
  const answer = await w.post(structured(complaint({ text: '没人管', ...data }, { time: ago(hours) })));
  assert.equal(answer.status, 200, answer.text);
  return answer.json.complaint.follow_up;
}
async function callBack(hours, from, to, seconds = 60) {
  const data = { call: randomUUID(), direction: 'outbound', from, to };
  const at = (shift) => new Date(began - hours * hour + shift * 1000).toISOString();
  const events = [call('ringing', data, { time: at(-5) }), ...(seconds ? [call('answered', data, { time: at(0) })] : []),
    call('ended', { ...data, seconds, cause: seconds ? 'normal' : 'no-answer' }, { time: at(seconds) })];
  const answer = await w.post(batched(events));
  assert.ok(answer.json.every(({ status }) => status === 200), answer.text);
}
async function move(desk, id, what, body) {
  const answer = await desk.post(`/follow-ups/${id}/${what}`, body);
  assert.ok([200, 201].includes(answer.status), `${what}: ${answer.text}`);
}
const scores = { reliability: 4, assurance: 4, tangibles: 4, empathy: 4, responsiveness: 4 };
async function settle(owner, visitor, id, satisfied, cause, action) {
  await move(owner, id, 'resolve', { resolution: '已处理', valid: true, thanks: true, root_cause: cause, corrective_action: action });
  await move(visitor, id, 'visits', { satisfied, how: 'phone', ...scores });
}
async function place(retailer, operator) {
  const answer = await w.post(structured(order({ retailer, operator, lines: [{ product: 'A1', cartons: 1 }] })));
  assert.equal(answer.status, 200, answer.text);
  return answer.json.order.reference;
}

// The week. In time and satisfied; late and dissatisfied; recorded late; acknowledged; tried in vain; a report; twice the same;
// somebody whom nobody knows.
const wrong = await raise(140, { retailer: 'R1', category: 'wrong-order', order: await place('R1', 'OP1') });
await callBack(137, '15400000021', '15400010001');
await settle(am1, s1, wrong, true, 'operator', '=复核');
const late = await raise(120, { retailer: 'R2', category: 'late-delivery', order: await place('R2', 'OP1') });
await callBack(90, '15400000022', '15400010002');
await settle(am2, s1, late, false, 'delivery');
const recorded = await raise(72, { retailer: 'R7', category: '自编的类别', kind: 'opinion' });
await move(am3, recorded, 'contacts', { outcome: 'reached', at: ago(70), note: '在店里' });
await move(am4, await raise(2, { retailer: 'R8', category: 'price' }), 'acknowledge');
await raise(48, { retailer: 'R9' });
await callBack(47, '15400000024', '15400010009', 0);
await raise(20, { retailer: 'R1', kind: 'report', category: 'counterfeit' });
const first = await raise(4, { retailer: 'R3', category: 'late-delivery' });
await move(am1, await raise(3, { retailer: 'R3', category: 'late-delivery' }), 'merge', { into: first });
await raise(1, { caller: '15400099999' });

async function all(desk, path) {
  const items = [];
  let cursor = '';
  do {
    const answer = await desk.get(`${path}${path.includes('?') ? '&' : '?'}limit=3${cursor}`);
    assert.equal(answer.status, 200, answer.text);
    items.push(...answer.json.items);
    cursor = answer.json.next && `&cursor=${answer.json.next}`;
  } while (cursor);
  return items;
}
const documents = async (desk) =>
  Promise.all((await all(desk, '/follow-ups')).map(async ({ id }) => (await desk.get(`/follow-ups/${id}`)).json));

// The count by hand.
const at = (text) => (text ? Date.parse(text) : NaN);
const promised = (f) => f.merged_into === null && (f.contacted_at !== null || f.state !== 'closed');
const meanings = {
  raised: () => true,
  merged: (f) => f.merged_into !== null,
  made: (f) => promised(f),
  kept: (f) => promised(f) && at(f.contacted_at) <= at(f.due_at),
  late: (f) => promised(f) && at(f.contacted_at) > at(f.due_at),
  open: (f) => promised(f) && !f.contacted_at && at(f.due_at) > Date.now(),
  overdue: (f) => promised(f) && !f.contacted_at && at(f.due_at) <= Date.now(),
  proved: (f) => promised(f) && f.proof === 'proved',
  recorded: (f) => promised(f) && f.proof === 'recorded',
  visited: (f) => promised(f) && (f.satisfied !== null || f.reopened > 0),
  satisfied_first: (f) => promised(f) && f.satisfied === true && f.reopened === 0,
  acknowledged: (f) => promised(f) && f.acknowledged_at !== null,
  tried: (f) => promised(f) && (f.first_try_at ?? f.contacted_at) !== null,
  contacted: (f) => promised(f) && f.contacted_at !== null,
  needless: (f) => f.merged_into === null && f.contacted_at === null && f.state === 'closed',
};
const week = (f) => {
  const day = new Date(at(f.raised_at) + 8 * hour);
  day.setUTCDate(day.getUTCDate() + 4 - (day.getUTCDay() || 7));
  const year = day.getUTCFullYear();
  return `${year}-W${String(Math.ceil(((day - Date.UTC(year, 0, 1)) / 86_400_000 + 1) / 7)).padStart(2, '0')}`;
};
const keys = {
  manager: (f) => f.owner,
  area: (f) => f.area,
  category: (f) => f.category,
  kind: (f) => f.kind,
  week,
  class: (f) => f.retailer?.class ?? null,
};
const byHand = (list, key) =>
  Object.fromEntries(
    [...new Set(list.map(key))].map((group) => [
      String(group),
      Object.fromEntries(Object.entries(meanings).map(([name, holds]) => [name, list.filter((f) => key(f) === group && holds(f)).length])),
    ]),
  );
const nothing = Object.fromEntries(Object.keys(meanings).map((name) => [name, 0]));
const counts = (figures) => Object.fromEntries(Object.entries(figures).map(([name, { count }]) => [name, count]));

for (const name of ['s1', 'mm1', 'mm2', 'am4', 'in1', 'admin'])
  describe(`figures for ${name}`, () => {
    const desk = desks[name];

    it('are what one counts by hand, whatever they are of', async () => {
      const list = await documents(desk);
      for (const [by, key] of Object.entries(keys)) {
        const answer = await desk.get(`/figures/promises?by=${by}&${period}&limit=200`);
        const got = Object.fromEntries(answer.json.items.map(({ group, figures }) => [String(group), counts(figures)]));
        assert.deepEqual(got, byHand(list, key), `${name} by ${by}`);
        assert.deepEqual(counts(answer.json.total.figures), byHand(list, () => 'all').all ?? nothing);
      }
    });

    it('lead to their cases', async () => {
      for (const path of [`/figures/promises?by=manager&${period}`, `/figures/promises?by=category&${period}`, `/figures/promises?by=week&${period}`, '/figures/load'])
        for (const { group, figures } of await all(desk, path))
          for (const [figure, { count, cases }] of Object.entries(figures))
            assert.equal((await all(desk, cases.slice('/api/v1'.length))).length, count, `${name}: ${figure} of ${group}: ${cases}`);
    });
  });

describe('the week', () => {
  it('went as it was played', async () => {
    const { total } = (await s1.get(`/figures/promises?${period}`)).json;
    const { kept, late: tardy, overdue, open, made, merged, proved, visited, satisfied_first } = counts(total.figures);
    assert.deepEqual({ made, merged, kept, tardy, overdue, open, visited, satisfied_first, proved },
      { made: 7, merged: 1, kept: 2, tardy: 0, overdue: 2, open: 3, visited: 2, satisfied_first: 1, proved: 1 });
    assert.equal(total.shares.kept, 0.5);
    assert.equal(total.times.contact.median_seconds, 2 * 3600, 'the lower of two');
    assert.equal(total.times.contact.p90_seconds, 3 * 3600);
  });

  it('shows a report to inspectors alone', async () => {
    assert.equal((await s1.get(`/figures/promises?kind=report&${period}`)).json.total.figures.made.count, 0);
    assert.equal((await in1.get(`/figures/promises?kind=report&${period}`)).json.total.figures.made.count, 1);
    assert.deepEqual((await in1.get(`/figures/promises?by=kind&${period}`)).json.items.map(({ group }) => group), ['report']);
  });

  it('is not for everybody', async () => {
    for (const path of ['/figures/promises', '/figures/load', '/figures/cases', '/reports/causes', '/reports/repeats'])
      assert.equal((await desks.dv1.get(path)).status, 403, path);
    for (const path of ['/figures/lateness', '/figures/steps']) assert.equal((await am1.get(path)).status, 403, path);
  });
});

describe('CSV', () => {
  it('has a row for each group, for spreadsheets', async () => {
    const answer = await s1.get(`/figures/promises?by=category&format=csv&${period}`);
    assert.equal(answer.headers['content-type'], 'text/csv; charset=utf-8');
    assert.deepEqual([...answer.bytes.subarray(0, 3)], [0xef, 0xbb, 0xbf]);
    const [head, ...lines] = answer.text.replace('\ufeff', '').split('\r\n');
    assert.match(head, /^category,name,raised,merged,made,kept,late,open,overdue,proved,recorded,/);
    const { items } = (await s1.get(`/figures/promises?by=category&limit=200&${period}`)).json;
    assert.deepEqual(lines.slice(0, -1).map((line) => line.split(',').slice(0, 5)),
      items.map(({ group, name, figures: f }) => [group ?? '', name ?? '', f.raised, f.merged, f.made].map((cell) => String(cell.count ?? cell))));
  });

  it('holds no formula', async () => {
    const { text } = await s1.get(`/figures/cases?root_cause=operator&format=csv&${period}`);
    assert.match(text, /,'=复核\r\n/);
  });
});

describe('reports', () => {
  it('say why', async () => {
    const rows = [];
    for (const month of new Set([chinaDay(began - 140 * hour), chinaDay(began)].map((day) => day.slice(0, 7))))
      rows.push(...(await all(s1, `/reports/causes?month=${month}`)).filter(({ count }) => count));
    const row = rows.find(({ category }) => category === 'wrong-order');
    assert.deepEqual([row.category_name, row.root_cause, row.root_cause_name, row.valid, row.count], ['错单', 'operator', '订货员差错', true, 1]);
    assert.deepEqual(row.corrective_actions, [{ text: '=复核', count: 1 }]);
    assert.equal(rows.find(({ category }) => category === '自编的类别').listed, false);
    for (const { count, cases } of rows) assert.equal((await all(s1, cases.slice('/api/v1'.length))).length, count, cases);
  });

  it('say what comes again', async () => {
    const months = new Set([chinaDay(began - 140 * hour), chinaDay(began)].map((day) => day.slice(0, 7)));
    const found = async (by) => {
      const rows = (await Promise.all([...months].map((month) => all(s1, `/reports/repeats?by=${by}&month=${month}&least=1`)))).flat();
      for (const { count, cases } of rows) assert.equal((await all(s1, cases.slice('/api/v1'.length))).length, count, cases);
      return rows.reduce((sum, { group, count }) => ({ ...sum, [group]: (sum[group] ?? 0) + count }), {});
    };
    assert.deepEqual(await found('retailer'), { R1: 1, R2: 1, R3: 2, R7: 1, R8: 1, R9: 1 });
    assert.deepEqual(await found('operator'), { OP1: 2 });
    assert.deepEqual(await found('product'), { A1: 2 });
    assert.deepEqual(await found('route'), { E1: 2, E2: 2, W1: 1, W2: 2 });
  });

  it('say how late steps fired', async () => {
    const { items } = (await s2.get(`/figures/lateness?${period}`)).json;
    assert.ok(items.length > 0);
    for (const { action, count, cases, most_milliseconds } of items) {
      const steps = await all(s2, cases.slice('/api/v1'.length));
      assert.equal(steps.length, count, action);
      assert.equal(steps[0].milliseconds, most_milliseconds);
    }
  });
});

describe('an incident', () => {
  it('is suggested, grouped, answered once, and read by whoever calls', async () => {
    const ids = [];
    for (const retailer of ['R1', 'R2', 'R3', 'R5']) ids.push(await raise(0, { retailer, category: 'not-delivered', text: '货车坏了' }));
    const { items } = (await s1.get('/incidents/suggestions?least=4')).json;
    const suggestion = items.find(({ category }) => category === 'not-delivered');
    assert.deepEqual([suggestion.by, suggestion.code, suggestion.count], ['area', 'east', 4]);
    const opened = await s1.post('/incidents', { title: '货车故障', area: 'east', category: 'not-delivered' });
    assert.equal(opened.status, 201);
    const path = `/incidents/${opened.json.id}`;
    const grouped = await s1.post(`${path}/follow-ups`, { filter: suggestion.filter });
    assert.equal(grouped.json.grouped, 4);
    assert.equal((await s1.post(`${path}/answer`, { answer: '明早八点补送' })).status, 200);
    assert.equal((await s2.post(`${path}/answer`, { answer: '下午补送' })).code, 'already-answered');
    assert.equal((await am1.post(`${path}/answer`, { answer: 'x' })).status, 403);
    const seen = (await am1.get(`/follow-ups/${ids[0]}`)).json;
    assert.equal(seen.incident.answer, '明早八点补送');
    assert.equal(seen.state, 'open', 'the retailer is still to be called');
    assert.equal((await am3.get(path)).status, 404);
    assert.equal((await am1.get(path)).json.follow_ups, 3);
    const told = await w.db.rows(`SELECT p.code FROM notifications n JOIN people p ON p.person_id = n.addressee_id WHERE n.step = 'incident-answer' ORDER BY 1`);
    assert.deepEqual(told.map(({ code }) => code), ['AM1', 'AM2'], 'each owner once');
    const { body } = await w.db.row(`SELECT n.body FROM notifications n WHERE n.step = 'incident-answer' LIMIT 1`);
    assert.equal(JSON.parse(body).data.text, '明早八点补送\n— 货车坏了', 'he reads the answer where he is told of it');
    await callBack(0, '15400000021', '15400010001');
    assert.equal((await am1.get(`/follow-ups/${ids[0]}`)).json.proof, 'proved');
    assert.equal((await s1.get(path)).json.waiting, 3);
    assert.equal((await s1.del(`${path}/follow-ups/${ids[3]}`)).status, 204);
    assert.equal((await s1.post(`${path}/close`)).json.closed_by, 's1');
  });

  it('never holds a report', async () => {
    const id = await raise(0, { retailer: 'R8', kind: 'report', category: 'price' });
    const { json } = await s1.post('/incidents', { title: '价格' });
    assert.equal((await s1.post(`/incidents/${json.id}/follow-ups`, { ids: [id] })).status, 422);
    assert.equal((await s1.post(`/incidents/${json.id}/follow-ups`, { filter: { category: 'price' } })).json.grouped, 1, 'the opinion alone');
  });
});

describe('the metrics', () => {
  it('say how the promises stand', async () => {
    const waiting = (await w.db.row(`SELECT count(*) AS open, count(*) FILTER (WHERE due_at <= now()) AS overdue, count(*) FILTER (WHERE state = 'open') AS fresh
      FROM follow_ups WHERE state IN ('open', 'acknowledged')`));
    const shown = async () => [await w.metric('ringback_promises_open'), await w.metric('ringback_promises_overdue'), await w.metric('ringback_promises_unacknowledged')];
    const wanted = [waiting.open, waiting.overdue, waiting.fresh];
    assert.ok(await eventually(async () => String(await shown()) === String(wanted), { timeout: 15_000 }));
    assert.ok((await w.metric('ringback_promises_worst_lateness_seconds')) > 90 * 3600);
    assert.equal(await w.metric('ringback_promises_proved_24h', { branch: 'main' }), 1, 'the call about the van');
    const { text } = await w.client.get('/metrics');
    for (const secret of ['AM1', '店', '1540001']) assert.equal(text.includes(secret), false);
  });
});
