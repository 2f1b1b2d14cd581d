// The link in a notification: looking changes nothing, an empty POST acknowledges, and it tells nobody more than it must.
import { after, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { Client } from './lib/client.mjs';
import { Sink } from './lib/sink.mjs';
import { eventually } from './lib/eventually.mjs';
import { complaint, structured } from './lib/events.mjs';
import { bringDue, followUp, steps } from './lib/look.mjs';

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
  await eventually(() => of(), { what: 'it is told' });
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
    }
    await eventually(async () => (await desk.request('POST', path)).status === 200, { timeout: 15_000, what: 'it is back' });
  });
});
