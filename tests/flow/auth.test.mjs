// Who may send: three ways to show a gateway's key, and every way to show it wrongly.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { eventually } from './lib/eventually.mjs';
import { batched, binary, order, signed, structured } from './lib/events.mjs';
import { credential } from './lib/client.mjs';

const w = await world({ gateways: ['pbx', 'other'], proxy: true });
const { pbx, other } = w.gateways;
const anOrder = () => structured(order({ retailer: 'R1', lines: [{ product: 'A1', cartons: 1 }] }));

// Posts with exactly these credentials.
const show = (headers, message = anOrder()) => w.post(message, { auth: 'none', headers });
const base64 = (text) => Buffer.from(text).toString('base64');

async function refused(headers, message) {
  const answer = await show(headers, message);
  assert.equal(answer.status, 401, `${JSON.stringify(headers)}: ${answer.status} ${answer.text}`);
  assert.match(answer.headers['www-authenticate'] ?? '', /Bearer|Basic/);
  assert.ok(answer.code);
}

describe('a gateway is let in', () => {
  for (const way of ['bearer', 'basic', 'webhook'])
    it(`by ${way}`, async () => {
      for (const gateway of [pbx, other])
        for (const message of [
          anOrder(),
          binary(order({ retailer: 'R1', lines: [{ product: 'A1', cartons: 1 }] })),
          batched([]),
        ]) {
          const answer = await w.post(message, { auth: way, gateway });
          assert.equal(answer.status, 200, answer.text);
        }
    });

  it('whatever the case of the scheme', async () => {
    for (const scheme of ['bearer', 'BEARER'])
      assert.equal((await show({ authorization: `${scheme} ${pbx.key}` })).status, 200);
    assert.equal((await show({ authorization: `basic ${base64(`pbx:${pbx.key}`)}` })).status, 200);
  });

  it('when one of several signatures holds', async () => {
    const message = anOrder();
    const more = ['v1,' + base64('x'.repeat(32)), 'v1a,' + base64('y'.repeat(64)), 'v2,z', 'v1,'];
    assert.equal((await show(signed(pbx.key, message.body, { more }), message)).status, 200);
  });

  it('with a timestamp of less than five minutes ago or ahead', async () => {
    for (const off of [-290, 290]) {
      const message = anOrder();
      const at = Math.floor(Date.now() / 1000) + off;
      assert.equal((await show(signed(pbx.key, message.body, { at }), message)).status, 200);
    }
  });

  it('with two credentials that both hold', async () => {
    const message = anOrder();
    const answer = await show({ ...credential('bearer', pbx), ...signed(pbx.key, message.body) }, message);
    assert.equal(answer.status, 200, answer.text);
  });

  it('within a second of its making, without a restart', async () => {
    const added = await w.addGateway('late');
    const begin = performance.now();
    await eventually(async () => (await show(credential('bearer', added))).status === 200, { timeout: 1000 });
    assert.equal((await show(credential('basic', added))).status, 200);
    const message = anOrder();
    assert.equal((await show(signed(added.key, message.body), message)).status, 200);
    assert.ok(performance.now() - begin < 1500);
  });

  it('and a second showing of the same signed request does nothing twice', async () => {
    const message = anOrder();
    const headers = signed(pbx.key, message.body);
    const first = await show(headers, message);
    const second = await show(headers, message);
    assert.equal(second.text, first.text);
    assert.equal(second.headers['ringback-replayed'], 'true');
  });
});

describe('a stranger is 401', () => {
  const wrongKey = `whsec_${base64('k'.repeat(32))}`;

  it('with nothing', () => refused({}));
  it('before his body is looked at', async () => {
    await refused({}, { headers: { 'content-type': 'application/cloudevents+json' }, body: '{' });
    await refused(
      { authorization: `Bearer ${wrongKey}` },
      { headers: { 'content-type': 'application/cloudevents+json' }, body: '{' },
    );
  });

  it('with a wrong bearer', async () => {
    for (const key of [
      wrongKey,
      pbx.key.slice('whsec_'.length),
      pbx.key.slice(0, -1),
      `${pbx.key}x`,
      pbx.key.toUpperCase(),
      '',
      '   ',
    ])
      await refused({ authorization: `Bearer ${key}` });
  });

  it('with a wrong name or key in Basic', async () => {
    for (const pair of [
      `pbx:${wrongKey}`,
      `nobody:${pbx.key}`,
      `other:${pbx.key}`,
      `:${pbx.key}`,
      'pbx:',
      'pbx',
      pbx.key,
    ])
      await refused({ authorization: `Basic ${base64(pair)}` });
    for (const text of ['', '!!!', `pbx:${pbx.key}`]) await refused({ authorization: `Basic ${text}` });
  });

  it('with another scheme', async () => {
    for (const text of [`Digest ${pbx.key}`, pbx.key, `Bearer${pbx.key}`, 'Negotiate abc'])
      await refused({ authorization: text });
  });

  it('with a signature of another key, body, id or time', async () => {
    const message = anOrder();
    await refused(signed(wrongKey, message.body), message);
    await refused(signed(pbx.key, `${message.body} `), message);
    await refused({ ...signed(pbx.key, message.body), 'webhook-id': 'msg_other' }, message);
    const headers = signed(pbx.key, message.body);
    await refused({ ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) + 1) }, message);
  });

  it('with a stale signature', async () => {
    for (const off of [-400, -310, 310, 86_400, -86_400]) {
      const message = anOrder();
      await refused(signed(pbx.key, message.body, { at: Math.floor(Date.now() / 1000) + off }), message);
    }
  });

  it('with signature headers that are incomplete or no such thing', async () => {
    const message = anOrder();
    const whole = signed(pbx.key, message.body);
    for (const name of Object.keys(whole)) {
      const { [name]: _, ...rest } = whole;
      await refused(rest, message);
      await refused({ ...whole, [name]: '' }, message);
    }
    for (const signature of [
      'v1',
      'v1,',
      'v1,!',
      'v2,x',
      whole['webhook-signature'].replace('v1,', 'v2,'),
      whole['webhook-signature'].slice(3),
    ])
      await refused({ ...whole, 'webhook-signature': signature }, message);
    for (const at of ['now', '1e9', '-1', '99999999999999999999'])
      await refused({ ...whole, 'webhook-timestamp': at }, message);
  });

  it('when one of several credentials does not hold', async () => {
    const message = anOrder();
    const good = signed(pbx.key, message.body);
    await refused({ authorization: `Bearer ${wrongKey}`, ...good }, message);
    await refused({ authorization: `Basic ${base64(`pbx:${wrongKey}`)}`, ...good }, message);
    await refused({ ...credential('bearer', pbx), ...signed(wrongKey, message.body) }, message);
    await refused({ ...credential('bearer', pbx), ...good, 'webhook-id': 'x' }, message);
  });
});

describe('a gateway that was retired', () => {
  it('is a stranger within a second, by every way', async () => {
    const gone = await w.addGateway('gone');
    await eventually(async () => (await show(credential('bearer', gone))).status === 200, { timeout: 1000 });
    await w.must(['gateway', 'retire', 'gone']);
    await eventually(async () => (await show(credential('bearer', gone))).status === 401, { timeout: 1000 });
    await refused(credential('basic', gone));
    const message = anOrder();
    await refused(signed(gone.key, message.body), message);
    assert.equal((await w.post(anOrder())).status, 200, 'the others are not touched');
  });
});

describe('while the database is away', () => {
  it('whoever shows a credential gets 503, never 401', async () => {
    await w.proxy.away();
    await eventually(async () => (await w.client.get('/readyz')).status === 503);
    const fresh = { name: 'fresh', key: `whsec_${base64('n'.repeat(32))}` };
    for (const gateway of [pbx, fresh])
      for (const way of ['bearer', 'basic', 'webhook']) {
        const answer = await w.post(anOrder(), { auth: way, gateway });
        assert.equal(answer.status, 503, `${gateway.name} ${way}: ${answer.text}`);
        assert.match(answer.headers['retry-after'], /^\d+$/);
        assert.ok(answer.took < 5000);
      }
    await w.proxy.back();
    await eventually(async () => (await w.post(anOrder())).status === 200);
    await refused({ authorization: `Bearer ${fresh.key}` });
  });
});
