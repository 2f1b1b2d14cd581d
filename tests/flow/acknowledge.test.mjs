// The link in a notification: looking changes nothing, an empty POST acknowledges, and it tells nobody more than it must.
import { after, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { Client } from './lib/client.mjs';
import { Sink } from './lib/sink.mjs';
import { eventually } from './lib/eventually.mjs';
import { complaint, structured } from './lib/events.mjs';
import { bringDue, count, followUp, steps } from './lib/look.mjs';

const w = await world({ proxy: true });
const sink = await Sink.start();
after(() => sink.close());
for (const code of ['AM1', 'MM1']) await w.addTarget(code, sink.url(`/${code}`));
const desk = new Client(w.daemon.console);
after(() => desk.close());

// A complaint by R1 and the link that AM1 got: {id, reference, path}.
async function raise() {
  const { json } = await w.post(structured(complaint({ retailer: 'R1', text: '秘密的内容' })));
  const id = json.complaint.follow_up;
  const of = () => sink.requests.find(({ json }) => json?.data?.follow_up === id);
  await eventually(() => of(), { timeout: 20_000, what: 'it is told' });
  const url = of().json.data.acknowledge_url;
  assert.match(url, /^http:\/\/console\.test\/a\/[\w-]+$/, 'under public_url');
  return { id, reference: json.complaint.reference, path: new URL(url).pathname };
}
const state = async (id) => (await followUp(w.db, id)).state;
const browser = { headers: { accept: 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8' } };

describe('the link of a notification', () => {
  it('shows a small page, which changes nothing however often it is opened', async () => {
    const { id, reference, path } = await raise();
    for (const method of ['GET', 'HEAD', 'GET']) {
      const answer = await desk.request(method, path, browser);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['content-type'], 'text/html; charset=utf-8');
      assert.match(answer.headers['content-security-policy'], /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'/);
      assert.equal(answer.headers['referrer-policy'], 'no-referrer');
      assert.equal(answer.headers['cache-control'], 'no-store');
      if (method === 'HEAD') continue;
      assert.ok(answer.text.includes(reference) && answer.text.includes('<form method="post">'));
      assert.ok(!/秘密|东街|154000|<script/.test(answer.text), 'no detail of anybody, no script');
    }
    assert.equal(await state(id), 'open');
  });

  it('acknowledges by an empty POST, and says so again', async () => {
    const { id, path } = await raise();
    for (const headers of [{}, { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '0' }]) {
      const answer = await desk.request('POST', path, { headers });
      assert.equal(answer.status, 200);
      assert.match(answer.text, /已确认.*Acknowledged/s);
      assert.ok(!answer.text.includes('<form'));
    }
    assert.equal(await state(id), 'acknowledged');
    const lines = await w.db.rows("SELECT details FROM follow_up_history WHERE follow_up_id = $1 AND kind = 'acknowledged'", [id]);
    assert.deepEqual(lines, [{ details: { by: 'link' } }]);
  });

  it('stops nothing that is for lateness', async () => {
    const { id, path } = await raise();
    assert.equal((await desk.request('POST', path)).status, 200);
    await bringDue(w.db, id, (await steps(w.db, id)).find(({ step }) => step === 'overdue').step);
    const heard = () => sink.requests.some(({ json }) => json?.data?.follow_up === id && json.type.endsWith('.overdue'));
    await eventually(heard, { what: 'overdue is heard' });
  });

  it('wants the POST empty', async () => {
    const { id, path } = await raise();
    assert.equal((await desk.request('POST', path, { body: 'a=b' })).code, 'bad-request');
    assert.equal((await desk.request('PUT', path)).status, 405);
    assert.equal(await state(id), 'open');
  });

  it('is nothing when it was tampered with', async () => {
    const { id, path } = await raise();
    const token = path.slice(3);
    const turned = (i) => token.slice(0, i) + (token[i] === 'Q' ? 'g' : 'Q') + token.slice(i + 1);
    for (const wrong of [turned(0), turned(15), turned(30), turned(42), token.slice(1), `${token}A`, 'x'])
      for (const method of ['GET', 'POST']) assert.equal((await desk.request(method, `/a/${wrong}`)).code, 'not-found');
    const page = await desk.get(`/a/${turned(5)}`, browser);
    assert.deepEqual([page.status, page.headers['content-type']], [404, 'text/html; charset=utf-8'], 'a page for a browser');
    assert.equal(await state(id), 'open');
  });

  it('tells who is no longer in charge nothing', async () => {
    const { id, reference, path } = await raise();
    await w.db.force("UPDATE follow_ups SET owner_id = (SELECT person_id FROM people WHERE code = 'AM3') WHERE follow_up_id = $1", [id]);
    assert.equal((await desk.request('POST', path)).code, 'forbidden');
    const page = await desk.get(path, browser);
    assert.equal(page.status, 403);
    assert.ok(!page.text.includes(reference));
    assert.equal(await state(id), 'open');
  });

  it('is the same on every attempt', async () => {
    const { id } = await raise();
    const { body } = await w.db.row('SELECT body FROM notifications WHERE follow_up_id = $1', [id]);
    await w.db.force("UPDATE notifications SET state = 'waiting', finished_at = NULL WHERE follow_up_id = $1", [id]);
    const of = () => sink.requests.filter(({ json }) => json?.data?.follow_up === id);
    await eventually(() => of().length === 2, { what: 'it is sent again' });
    assert.ok(of().every((one) => one.body.toString() === body));
  });

  it('is not on the gateway listener', async () => {
    const { path } = await raise();
    assert.equal((await w.client.get(path)).status, 404);
  });

  it('answers 503 while the database is away', async () => {
    const { path } = await raise();
    await w.proxy.away();
    try {
      const answer = await desk.request('POST', path);
      assert.equal(answer.code, 'unavailable');
      assert.ok(answer.headers['retry-after']);
    } finally {
      await w.proxy.back();
      await w.ready();
    }
    await eventually(async () => (await desk.request('POST', path)).status === 200, { timeout: 15_000, what: 'it is back' });
  });
});

describe('what nobody acknowledges', () => {
  const told = (id) =>
    sink.requests
      .filter(({ json }) => json?.data?.follow_up === id && json.data.step !== 'assigned')
      .map(({ path, json }) => `${path.slice(1)} ${json.type.replace('ringback.follow-up.', '')} ${json.data.step}`);
  const fall = async (id, step, count) => {
    await bringDue(w.db, id, step);
    await eventually(() => told(id).length >= count, { what: `${step} of ${id} is heard` });
  };
  const hours = (id) =>
    w.db.value(
      `SELECT round(extract(epoch FROM s.due_at - f.created_at) / 3600, 2)::float8 FROM follow_up_steps s JOIN follow_ups f USING (branch_id, follow_up_id)
       WHERE s.follow_up_id = $1 AND s.action = 'unacknowledged' AND s.fired_at IS NULL`,
      [id],
    );

  it('goes to the next channel, the deputy, up the line', async () => {
    await w.addTarget('AM1', sink.url('/AM1-other'));
    await w.addTarget('AM2', sink.url('/AM2'));
    await w.addTarget('S2', sink.url('/S2'));
    await w.db.force("UPDATE branches SET duty_supervisor_id = (SELECT person_id FROM people WHERE code = 'S2')");
    const { id } = await raise();
    assert.equal(await hours(id), 1, 'an hour after it was assigned');
    const wanted = ['AM1-other assigned', 'AM2 assigned', 'MM1 escalated', 'S2 escalated'].map((one, i) => `${one} unacknowledged-${i + 1}`);
    for (const n of [1, 2, 3, 4]) {
      await fall(id, `unacknowledged-${n}`, n);
      assert.deepEqual(told(id), wanted.slice(0, n));
    }
    assert.equal(await count(w.db, 'follow_up_steps', "follow_up_id = $1 AND action = 'unacknowledged'", [id]), 4, 'and there it ends');
  });

  it('stays where it is once somebody acknowledged', async () => {
    const { id } = await raise();
    await fall(id, 'unacknowledged-1', 1);
    await fall(id, 'unacknowledged-2', 2);
    const deputy = sink.requests.find(({ path, json }) => path === '/AM2' && json.data.follow_up === id);
    assert.equal((await desk.request('POST', new URL(deputy.json.data.acknowledge_url).pathname)).status, 200, 'by the deputy\'s own link');
    await bringDue(w.db, id, 'unacknowledged-3');
    const skipped = () => w.db.value("SELECT skipped FROM follow_up_steps WHERE follow_up_id = $1 AND step = 'unacknowledged-3'", [id]);
    await eventually(async () => (await skipped()) === 'acknowledged', { what: 'the next step is skipped' });
    assert.equal(told(id).length, 2);
    const { by } = await w.db.row(
      "SELECT p.code AS by FROM follow_up_history h JOIN people p ON p.person_id = h.by_person_id WHERE h.follow_up_id = $1 AND h.kind = 'acknowledged'",
      [id],
    );
    assert.equal(by, 'AM2');
  });
});
