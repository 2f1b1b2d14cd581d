// The console as a channel, and how people look after their targets there.
import { after, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { atDesk } from './lib/desk.mjs';
import { Sink } from './lib/sink.mjs';
import { eventually } from './lib/eventually.mjs';
import { complaint, structured } from './lib/events.mjs';
import { notifications } from './lib/look.mjs';

const w = await world();
const sink = await Sink.start();
after(() => sink.close());
await w.must(['target', 'add', 'AM1', 'console', 'console']);
await w.addTarget('MM1', sink.url('/secret-part?x=y'));
const [am1, am3, mm1, s1, admin] = await Promise.all(['am1', 'am3', 'mm1', 's1', 'admin'].map((name) => atDesk(w, name)));

const raise = async (data = {}) => {
  const answer = await w.post(structured(complaint({ retailer: 'R1', text: '缺货', ...data })));
  assert.equal(answer.status, 200, answer.text);
  return answer.json.complaint;
};
const filed = (n) =>
  eventually(async () => {
    const { json } = await am1.get('/inbox');
    return json.items.length >= n && json.items;
  });

describe('the inbox', () => {
  it('has what was sent to its person, and only seeing it delivers it', async () => {
    const { follow_up: id, reference } = await raise();
    const [item] = await filed(1);
    assert.deepEqual(
      [item.follow_up, item.complaint, item.type, item.retailer.code, item.text, item.seen_at, item.state],
      [id, reference, 'assigned', 'R1', '缺货', null, 'open'],
    );
    assert.equal((await notifications(w.db, id))[0].state, 'inbox');
    assert.equal(sink.requests.length, 0, 'nobody else is told');
    const seen = await am1.post('/inbox/seen', { notifications: [item.id] });
    assert.deepEqual([seen.status, seen.json], [200, { seen: 1 }]);
    const [note] = await notifications(w.db, id);
    assert.deepEqual([note.state, note.attempts], ['delivered', 1]);
    assert.deepEqual((await am1.post('/inbox/seen', { notifications: [item.id] })).json, { seen: 0 });
    assert.ok((await filed(1))[0].seen_at);
    assert.equal((await am1.get('/inbox?seen=false')).json.items.length, 0);
  });

  it('is nobody else’s', async () => {
    const { follow_up: id } = await raise();
    const [item] = await filed(2);
    for (const other of [am3, mm1, s1, admin]) {
      assert.deepEqual((await other.get('/inbox')).json.items, []);
      assert.deepEqual((await other.post('/inbox/seen', { notifications: [item.id] })).json, { seen: 0 });
    }
    assert.equal((await notifications(w.db, id))[0].state, 'inbox');
  });

  it('comes in pages, the newest first', async () => {
    await raise();
    const all = await filed(3);
    const pages = [];
    for (let next = ''; next !== null; ) {
      const { json } = await am1.get(`/inbox?limit=1${next && `&cursor=${next}`}`);
      pages.push(...json.items);
      next = json.next;
    }
    assert.deepEqual(pages, all);
    assert.deepEqual(all.map((one) => one.filed_at), all.map((one) => one.filed_at).toSorted().reverse());
  });

  it('refuses ids that are none', async () => {
    for (const body of [{}, { notifications: [] }, { notifications: 'x' }, { notifications: ['x'] }, { notifications: [1] }])
      assert.equal((await am1.post('/inbox/seen', body)).status, 422, JSON.stringify(body));
  });

  it('of somebody who gives the console up goes up the line', async () => {
    const { follow_up: id } = await raise();
    await filed(4);
    const { json } = await am1.get('/targets');
    assert.equal((await am1.del(`/targets/${json.items[0].id}`)).status, 204);
    await eventually(() => sink.requests.some((one) => one.json.data.follow_up === id));
    await eventually(async () => (await notifications(w.db, id)).map((one) => one.state).toSorted().join() === 'delivered,passed_on');
  });
});

describe('targets', () => {
  it('are shown to their person and those in charge, masked', async () => {
    const own = (await mm1.get('/targets')).json.items;
    assert.equal(own.length, 1);
    assert.equal(own[0].address, `http://127.0.0.1:${sink.port}/…`);
    assert.deepEqual((await s1.get('/targets?person=MM1')).json.items, own);
    assert.deepEqual((await am3.get('/targets')).json.items, []);
    assert.equal((await admin.get('/targets?state=retired')).json.items[0].retired_because, 'removed');
  });

  it('are put in order by their person, whole or not at all', async () => {
    await w.must(['target', 'add', 'MM1', 'console', 'console']);
    const ids = (await mm1.get('/targets')).json.items.map((one) => one.id);
    const turned = ids.toReversed();
    const { status, json } = await mm1.put('/targets', { targets: turned });
    assert.deepEqual([status, json.items.map((one) => one.id)], [200, turned]);
    assert.equal((await mm1.put('/targets', { targets: ids.slice(1) })).status, 409);
    assert.equal((await mm1.put('/targets', { targets: [ids[0], ids[0]] })).status, 409);
    assert.equal((await s1.put('/targets', { person: 'MM1', targets: ids })).status, 422);
    assert.equal((await admin.put('/targets', { person: 'MM1', targets: ids })).status, 200);
  });

  it('are tried out', async () => {
    const [webhook, desk] = (await mm1.get('/targets')).json.items;
    assert.equal((await am3.post(`/targets/${webhook.id}/test`)).status, 404);
    assert.equal((await s1.post(`/targets/${webhook.id}/test`)).status, 404);
    assert.equal((await mm1.post(`/targets/${desk.id}/test`)).status, 422);
    assert.equal((await mm1.post(`/targets/${webhook.id}/test`)).status, 202);
    const after = await eventually(async () => {
      const { json } = await mm1.get('/targets');
      return json.items[0].last_test?.finished_at && json.items[0];
    });
    assert.deepEqual([after.last_test.outcome, after.last_test.status], ['delivered', 204]);
    assert.equal(sink.requests.at(-1).json.type, 'ringback.target.test');
  });
});
