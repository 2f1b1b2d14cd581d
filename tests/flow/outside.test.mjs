// Seen from outside: health, readiness, metrics, and logs that give nobody away.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { world } from './lib/world.mjs';
import { program } from './lib/program.mjs';
import { Sink } from './lib/sink.mjs';
import { eventually, pause } from './lib/eventually.mjs';
import { batched, call, complaint, order, structured } from './lib/events.mjs';

const w = await world({ proxy: true, env: { RINGBACK_LOG_LEVEL: 'debug' } });

describe('health', () => {
  it('needs no credentials, on the gateway’s listener', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await w.client.request(method, path);
        assert.equal(answer.status, 200, `${method} ${path}: ${answer.text}`);
        if (method === 'HEAD') assert.equal(answer.bytes.length, 0);
      }
    }
  });

  it('tells alive from ready while the database is away', async () => {
    await w.proxy.away();
    const answer = await eventually(async () => {
      const seen = await w.client.get('/readyz');
      return seen.status === 503 && seen;
    });
    assert.ok(answer.code);
    assert.equal((await w.client.get('/healthz')).status, 200);
    assert.equal((await w.client.get('/metrics')).status, 200);
    await w.proxy.back();
    await eventually(async () => (await w.client.get('/readyz')).status === 200, { timeout: 6000 });
  });

  it('notices a database that is there but says nothing', async () => {
    w.proxy.stall();
    await eventually(async () => (await w.client.get('/readyz')).status === 503, { timeout: 15_000 });
    assert.equal((await w.client.get('/healthz')).status, 200);
    await w.proxy.back();
    await eventually(async () => (await w.client.get('/readyz')).status === 200, { timeout: 15_000 });
  });
});

describe('the OpenAPI document', () => {
  it('is on the console listener, without a session, and knows the routes', async () => {
    const client = w.newClient();
    client.address = w.daemon.console;
    const answer = await client.get('/api/v1/openapi.json');
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.headers['content-type'], /^application\/json\b/);
    assert.match(answer.json.openapi, /^3\./);
    assert.ok(answer.json.paths['/v1/events'].post, Object.keys(answer.json.paths).join(' '));
    assert.equal((await w.client.get('/api/v1/openapi.json')).status, 404, 'it is no gateway route');
  });
});

const phones = ['15400010001', '15400010002', '15477776666', '15412345678'];
const words = ['机密文字甲', '机密文字乙', '东街一号店', '店主一号'];

describe('metrics', () => {
  it('please promtool, in both forms', async () => {
    const sink = await Sink.start();
    await w.addTarget('AM1', sink.url());
    await w.post(structured(order({ caller: phones[0], lines: [{ product: 'A1', cartons: 1 }], note: words[0] })));
    await w.post(structured(order({ caller: phones[2], lines: [{ product: 'A1', cartons: 1 }] })));
    await w.post(
      structured(
        complaint({ retailer: 'R1', caller: phones[3], text: `${words[1]}\n2026-01-01 error gateway 伪造的一行` }),
      ),
    );
    await w.post(structured(call('ringing', { call: 'sip:15412345678@host', from: phones[1] })));
    await w.post(batched([complaint({ caller: phones[0], text: words[1] }), { bad: true }]));
    await w.post(structured(order({})), { auth: 'none' });
    await w.client.get(`/v1/nothing?caller=${phones[0]}`);
    await eventually(() => sink.requests.length >= 2);
    const text = (await w.client.get('/metrics')).text;
    const checked = await program('promtool', ['check', 'metrics'], { stdin: text });
    assert.equal(checked.code, 0, checked.stdout + checked.stderr);
    const open = await w.client.get('/metrics', { headers: { accept: 'application/openmetrics-text; version=1.0.0' } });
    assert.match(open.headers['content-type'], /^application\/openmetrics-text\b/);
    assert.match(open.text, /\n# EOF\n$/);
    await sink.close();
  });

  it('cover the way of an event, the clock, the outbox, and the process', async () => {
    const { text } = await w.client.get('/metrics');
    const families = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]);
    const has = (pattern, type) => families.some(([name, kind]) => pattern.test(name) && kind === type);
    for (const [pattern, type] of [
      [/^ringback_.*event/, 'counter'],
      [/^ringback_.*(latency|duration|seconds)/, 'histogram'],
      [/^ringback_.*batch/, 'histogram'],
      [/^ringback_.*queue/, 'gauge'],
      [/^ringback_.*commit/, 'histogram'],
      [/^ringback_.*late/, 'histogram'],
      [/^ringback_.*(outbox|notification|deliver)/, 'counter'],
      [/^ringback_.*(outbox|oldest|age)/, 'gauge'],
      [/^ringback_.*connections/, 'gauge'],
      [/^ringback_build_info/, 'gauge'],
    ])
      assert.ok(has(pattern, type), `no ${type} like ${pattern} in ${JSON.stringify(families)}`);
  });

  it('count what happened', async () => {
    const accepted = async () => w.metric('ringback_intake_events_total', { outcome: 'accepted' });
    const settled = await eventually(async () => {
      const seen = await accepted();
      await pause(150); // what is rendered once is served for a moment
      return seen === (await accepted()) && seen;
    });
    await w.post(batched(Array.from({ length: 5 }, () => complaint({ retailer: 'R1', text: 'x' }))));
    await eventually(async () => (await accepted()) === settled + 5);
  });
});

describe('the log', () => {
  it('is one line an event: time, level, subject, words', async () => {
    const lines = (await readFile(w.daemon.logFile, 'utf8')).trim().split('\n');
    assert.ok(lines.length > 5);
    for (const line of lines)
      assert.match(
        line,
        /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d) (error|warning|info|debug) [a-z-]+: \S/,
      );
    assert.ok(!lines.some((line) => line.includes('伪造的一行')));
  });

  it('holds no number, name, text or key, even at debug', async () => {
    await eventually(async () => (await readFile(w.daemon.logFile, 'utf8')).length > 0);
    const log = await readFile(w.daemon.logFile, 'utf8');
    for (const secret of [
      ...phones,
      ...phones.map((phone) => phone.slice(0, 7)),
      ...words,
      w.gateways.pbx.key,
      w.gateways.pbx.key.slice(6, 26),
    ])
      assert.ok(!log.includes(secret), `${secret} in ${log.split('\n').find((line) => line.includes(secret))}`);
  });
});
