// Notifications to webhook targets: what is sent, and what happens when the receiver does not take it. Every
// test has a manager, a retailer and a sink of its own, so that they can wait at the same time.
import { after, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Webhook } from 'standardwebhooks';
import { world } from './lib/world.mjs';
import { Sink } from './lib/sink.mjs';
import { eventually, pause } from './lib/eventually.mjs';
import { batched, complaint, structured } from './lib/events.mjs';
import { hurryAttempts, notifications } from './lib/look.mjs';

const w = await world();
const managers = 40;
const range = Array.from({ length: managers }, (_, i) => i + 1);
await w.import(
  'people',
  [
    'code,name,role,reports_to',
    'BOSS,片区主任,market_manager,',
    ...range.map((i) => `W${i},经理${i},account_manager,BOSS`),
  ].join('\n'),
);
await w.import(
  'retailers',
  ['code,name,phones,manager', ...range.map((i) => `T${i},小店${i},154010${String(i).padStart(5, '0')},W${i}`)].join(
    '\n',
  ),
);

const sinks = [];
after(() => Promise.all(sinks.map((sink) => sink.close())));
async function aSink(answer) {
  const sink = await Sink.start(answer);
  sinks.push(sink);
  return sink;
}

const boss = await aSink();
const bossSecret = await w.addTarget('BOSS', boss.url());

let taken = 0;
// A manager with a target that answers as scripted, and a complaint for him.
async function case_(answer, data = {}) {
  const n = ++taken;
  const sink = await aSink(answer);
  const secret = await w.addTarget(`W${n}`, sink.url());
  const { followUp, reference } = await raise(`T${n}`, data);
  return { n, sink, secret, followUp, reference, manager: `W${n}` };
}

async function raise(retailer, data = {}) {
  const answer = await w.post(structured(complaint({ retailer, text: '箱子破了', ...data })));
  assert.equal(answer.status, 200, answer.text);
  return {
    followUp: answer.json.complaint.follow_up,
    reference: answer.json.complaint.reference,
    due: answer.json.complaint.due_at,
  };
}

const got = (sink, n = 1, timeout = 15_000) =>
  eventually(() => sink.requests.length >= n, { timeout, what: `${n} requests` });
const state = async (followUp) => (await notifications(w.db, followUp)).map((note) => note.state);
const settled = (followUp, wanted, timeout = 15_000) =>
  eventually(async () => (await state(followUp)).includes(wanted), {
    timeout,
    what: `${wanted} notification of ${followUp}`,
  });
const attempts = (followUp) =>
  w.db.rows(
    'SELECT a.* FROM notification_attempts a JOIN notifications n USING (branch_id, notification_id) WHERE follow_up_id = $1 ORDER BY a.finished_at',
    [followUp],
  );

describe('a notification', { concurrency: true }, () => {
  it('is a signed CloudEvent with all that its reader needs', async () => {
    const text = '箱子破了，"急"\n</script>😀';
    const { sink, secret, followUp, reference, manager, n } = await case_(() => 204, {
      text,
      kind: 'request',
      caller: '15401099999',
    });
    await got(sink);
    const [request] = sink.requests;
    assert.deepEqual([request.method, request.path], ['POST', '/hook']);
    assert.match(request.headers['content-type'], /^application\/cloudevents\+json\b/);
    const event = new Webhook(secret).verify(request.body, request.headers);
    assert.equal(event.specversion, '1.0');
    assert.equal(event.type, 'ringback.follow-up.assigned');
    assert.equal(event.id, request.headers['webhook-id']);
    assert.ok(event.source);
    assert.ok(Math.abs(Number(request.headers['webhook-timestamp']) * 1000 - request.at) < 3000);
    const { data } = event;
    assert.deepEqual(
      {
        ...data,
        retailer: undefined,
        raised_at: undefined,
        due_at: undefined,
        acknowledge_url: undefined,
        caller: undefined,
        step: undefined,
      },
      {
        follow_up: followUp,
        complaint: reference,
        kind: 'request',
        text,
        owner: manager,
        recipient: manager,
        retailer: undefined,
        raised_at: undefined,
        due_at: undefined,
        acknowledge_url: undefined,
        caller: undefined,
        step: undefined,
      },
    );
    assert.deepEqual(data.retailer, {
      code: `T${n}`,
      name: `小店${n}`,
      phones: [`+86154010${String(n).padStart(5, '0')}`],
    });
    assert.match(data.caller, /15401099999$/);
    assert.equal(Date.parse(data.due_at) - Date.parse(data.raised_at), 86_400_000);
    assert.ok('acknowledge_url' in data && 'step' in data);
    await settled(followUp, 'delivered');
    assert.equal(sink.requests.length, 1);
  });

  it('without a retailer has null for it', async () => {
    const seen = boss.requests.length;
    await w.addTarget('S1', boss.url('/duty'));
    await raise(undefined, { caller: 'anonymous' });
    const note = await eventually(() => boss.requests.slice(seen).find((request) => request.path === '/duty'));
    assert.deepEqual([note.json.data.retailer, note.json.data.owner, note.json.data.recipient], [null, 'S1', 'S1']);
  });

  it('is tried again with the same id and bytes, a fresh time, and growing pauses', async () => {
    const { sink, secret, followUp } = await case_((_, n) => (n < 5 ? 500 : 200));
    const waits = [];
    for (let n = 1; n <= 5; n++) {
      await got(sink, n);
      await eventually(async () => (await attempts(followUp)).length === n);
      await pause(n === 2 ? 1100 : 0); // so that a timestamp in seconds must differ
      waits.push(...(await hurryAttempts(w.db, followUp)));
    }
    await got(sink, 6);
    await settled(followUp, 'delivered');
    assert.equal(new Set(sink.requests.map((request) => request.headers['webhook-id'])).size, 1);
    assert.equal(new Set(sink.requests.map((request) => request.body.toString('latin1'))).size, 1);
    assert.ok(new Set(sink.requests.map((request) => request.headers['webhook-timestamp'])).size > 1);
    for (const request of sink.requests) new Webhook(secret).verify(request.body, request.headers);
    assert.ok(waits[0] > 0 && waits[0] <= 30, `first pause ${waits[0]}`);
    assert.ok(waits[4] > 2 * waits[0] && waits[4] > 30, `pauses ${waits}`);
    assert.deepEqual(
      (await attempts(followUp)).map((one) => one.status),
      [500, 500, 500, 500, 500, 200],
    );
  });

  for (const [name, status, header, least] of [
    ['503 in seconds', 503, () => '120', 119],
    ['429 in seconds', 429, () => '300', 299],
    ['429 as a date', 429, () => new Date(Date.now() + 200_000).toUTCString(), 197],
  ])
    it(`obeys Retry-After: ${name}`, async () => {
      const { followUp } = await case_((_, n) => (n ? 200 : { status, headers: { 'retry-after': header() } }));
      await eventually(async () => (await attempts(followUp)).length === 1);
      const wait = await w.db.value(
        `SELECT extract(epoch FROM greatest(n.next_attempt_at, t.paused_until) - clock_timestamp())::float8
         FROM notifications n LEFT JOIN targets t USING (branch_id, target_id) WHERE n.follow_up_id = $1`,
        [followUp],
      );
      assert.ok(wait > least - 5 && wait < least * 1.5 + 30, `waits ${wait} s`);
      await hurryAttempts(w.db, followUp);
      await settled(followUp, 'delivered');
    });

  it('that meets 410 retires the target and goes up the line at once', async () => {
    const seen = boss.requests.length;
    const { sink, followUp, manager } = await case_(() => 410);
    await got(sink);
    const mine = (request) => request.json?.data?.follow_up === followUp;
    const note = await eventually(() => boss.requests.slice(seen).find(mine));
    new Webhook(bossSecret).verify(note.body, note.headers);
    assert.deepEqual([note.json.data.owner, note.json.data.recipient], [manager, 'BOSS']);
    assert.equal(note.json.type, 'ringback.follow-up.assigned');
    const retired = await w.db.value(
      'SELECT t.retired_at FROM targets t JOIN people p USING (branch_id, person_id) WHERE p.code = $1',
      [manager],
    );
    assert.ok(retired);
    await raise(`T${manager.slice(1)}`);
    await eventually(
      () => boss.requests.slice(seen).filter((request) => request.json.data.owner === manager).length === 2,
    );
    assert.equal(sink.requests.length, 1, 'a retired target hears no more');
  });

  it('to somebody without a target goes up the line at once', async () => {
    const n = ++taken;
    const { followUp } = await raise(`T${n}`);
    const note = await eventually(() => boss.requests.find((request) => request.json?.data?.follow_up === followUp), {
      timeout: 3000,
    });
    assert.deepEqual([note.json.data.owner, note.json.data.recipient], [`W${n}`, 'BOSS']);
  });

  it('goes to a second target when the first one is gone', async () => {
    const n = ++taken;
    const [gone, good] = [await aSink(() => 410), await aSink()];
    await w.addTarget(`W${n}`, gone.url());
    await w.addTarget(`W${n}`, good.url());
    await raise(`T${n}`);
    await got(good);
    assert.equal(good.requests[0].json.data.recipient, `W${n}`);
  });

  it('does not follow a redirect, and takes it as a failure', async () => {
    const { sink, followUp } = await case_((request) =>
      request.path === '/hook' ? { status: 302, headers: { location: '/elsewhere' } } : 200,
    );
    await eventually(async () => (await attempts(followUp)).length === 1);
    assert.deepEqual(await state(followUp), ['waiting']);
    assert.deepEqual(
      sink.requests.map((request) => request.path),
      ['/hook'],
    );
  });

  for (const [name, answer] of [
    ['a reset', (_, n) => (n ? 200 : { reset: true })],
    ['a 404', (_, n) => (n ? 200 : 404)],
    ['a 400', (_, n) => (n ? 200 : 400)],
  ])
    it(`survives ${name}`, async () => {
      const { sink, followUp } = await case_(answer);
      await eventually(async () => (await attempts(followUp)).length === 1);
      assert.deepEqual(await state(followUp), ['waiting']);
      await hurryAttempts(w.db, followUp);
      await got(sink, 2);
      await settled(followUp, 'delivered');
    });

  it('gives an attempt ten seconds', async () => {
    const { sink, followUp } = await case_((_, n) => (n ? 200 : { hang: true }));
    await got(sink);
    await eventually(async () => (await attempts(followUp)).length === 1, { timeout: 15_000 });
    const [attempt] = await attempts(followUp);
    assert.ok(attempt.milliseconds > 8_000 && attempt.milliseconds < 12_500, `${attempt.milliseconds} ms`);
    assert.equal(attempt.status, null);
  });

  it('reads only so much of an endless answer', async () => {
    const { sink, followUp } = await case_((_, n) => (n ? 200 : { status: 200, endless: true }));
    await eventually(async () => (await attempts(followUp)).length === 1);
    const streamed = sink.streamed;
    await eventually(() => sink.open === 0, { what: 'the connection is closed' });
    assert.ok(streamed < 32 * 1024 * 1024, `${streamed} bytes`);
  });

  it('is listed as failed after three days, and can be sent again by hand', async () => {
    let well = false;
    const { sink, followUp } = await case_(() => (well ? 200 : 500));
    await eventually(async () => (await attempts(followUp)).length === 1);
    await w.db.force(
      "UPDATE notifications SET created_at = created_at - interval '3 days', give_up_at = give_up_at - interval '3 days' WHERE follow_up_id = $1",
      [followUp],
    );
    await hurryAttempts(w.db, followUp);
    await settled(followUp, 'failed');
    assert.ok(sink.requests.length <= 2);
    const [{ notification_id: id }] = await notifications(w.db, followUp);
    assert.ok((await w.must(['notification', 'list'])).stdout.includes(id), 'it is listed');
    well = true;
    await w.must(['notification', 'resend', id]);
    await settled(followUp, 'delivered');
    assert.equal(sink.requests.at(-1).headers['webhook-id'], id, 'by hand it is the same again');
  });

  it('opens at most 32 connections to one target, and all arrive', async () => {
    const n = ++taken;
    const sink = await aSink(() => ({ status: 200, delay: 100 }));
    await w.addTarget(`W${n}`, sink.url());
    const items = Array.from({ length: 200 }, (_, i) => complaint({ retailer: `T${n}`, text: `第 ${i} 件` }));
    await w.post(batched(items));
    await eventually(() => new Set(sink.requests.map((request) => request.headers['webhook-id'])).size === 200, {
      timeout: 30_000,
    });
    assert.ok(sink.mostOpen <= 32, `${sink.mostOpen} connections`);
    assert.equal(sink.requests.length, 200);
  });

  it('waits for a target that hangs without making others wait', async () => {
    const { n } = await case_(() => ({ hang: true }));
    await w.post(batched(Array.from({ length: 100 }, () => complaint({ retailer: `T${n}`, text: 'x' }))));
    const { sink } = await case_(() => 200);
    await got(sink, 1, 4000);
  });
});

describe('a notification for which nobody has a target', () => {
  it('waits, is listed, and goes out within a second once somebody has one', async () => {
    const lonely = await world();
    const answer = await lonely.post(structured(complaint({ retailer: 'R1', text: '无人' })));
    assert.equal(answer.status, 200, answer.text);
    assert.match((await lonely.must(['notification', 'list'])).stdout, /stranded/);
    const sink = await aSink();
    await lonely.addTarget('S1', sink.url());
    await got(sink, 1, 1500);
    const { owner, recipient } = sink.requests[0].json.data;
    assert.deepEqual([owner, recipient], ['AM1', 'S1']);
  });
});

describe('after a crash', () => {
  it('what was being sent is sent again, the same', async () => {
    const { sink, followUp } = await case_((_, n) => (n ? 200 : { hang: true }));
    await got(sink);
    await eventually(async () => (await state(followUp)).includes('sending'));
    await w.daemon.kill();
    const left = await w.db.value(
      'SELECT extract(epoch FROM leased_until - clock_timestamp())::float8 FROM notifications WHERE follow_up_id = $1',
      [followUp],
    );
    assert.ok(left > 0 && left <= 60, `leased for ${left} s`);
    await w.start();
    await w.db.force('UPDATE notifications SET leased_until = clock_timestamp() WHERE follow_up_id = $1', [followUp]);
    await got(sink, 2);
    assert.deepEqual(sink.requests[1].body, sink.requests[0].body);
    await settled(followUp, 'delivered');
  });
});

describe('a target that nobody was told to allow', () => {
  it('is not connected to when it is loopback, private or link-local', async () => {
    await w.daemon.stop();
    const sink = await aSink();
    await w.start({ RINGBACK_ALLOW_TARGETS: '' });
    const urls = [
      sink.url(),
      `http://localhost:${sink.port}/x`,
      `http://[::1]:${sink.port}/x`,
      `http://[::ffff:127.0.0.1]:${sink.port}/x`,
      `http://2130706433:${sink.port}/x`,
      `http://0.0.0.0:${sink.port}/x`,
      'http://169.254.169.254/latest',
      'http://10.0.0.1/x',
    ];
    const followUps = [];
    for (const url of urls) {
      const n = ++taken;
      if (n > managers) throw new Error('more managers are needed');
      const added = await w.tool(['target', 'add', `W${n}`, 'webhook', url]);
      if (added.code === 0) followUps.push((await raise(`T${n}`)).followUp);
    }
    assert.ok(followUps.length > 0);
    for (const followUp of followUps) {
      const [attempt] = await eventually(async () => {
        const tried = await attempts(followUp);
        return tried.length > 0 && tried;
      });
      assert.equal(attempt.status, null);
      assert.ok(attempt.error, 'the reason is recorded');
    }
    assert.equal(sink.requests.length, 0);
    assert.equal(sink.mostOpen, 0, 'not even a connection');
  });
});
