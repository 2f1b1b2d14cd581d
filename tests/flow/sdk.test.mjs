// Programs that were not written for Ringback: the CloudEvents SDK sends in all its modes, the Standard
// Webhooks SDK signs requests and verifies notifications, libphonenumber spells numbers.
import { after, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { CloudEvent, HTTP, emitterFor, httpTransport, Mode } from 'cloudevents';
import { Webhook } from 'standardwebhooks';
import { parsePhoneNumber } from 'libphonenumber-js';
import { world } from './lib/world.mjs';
import { Sink } from './lib/sink.mjs';
import { eventually } from './lib/eventually.mjs';
import { structured, order } from './lib/events.mjs';

const w = await world();
const authorization = `Bearer ${w.gateways.pbx.key}`;
const url = `http://127.0.0.1:${w.daemon.gateway.port}/v1/events`;
const data = { retailer: 'R1', lines: [{ product: 'A1', cartons: 2 }], note: '“引号”与 100 % 与😀' };
const event = (over) =>
  new CloudEvent({ type: 'ringback.order.placed', source: '/sdk/pbx-1', subject: 'a b', data, ...over });

describe('the CloudEvents SDK', () => {
  for (const mode of [Mode.BINARY, Mode.STRUCTURED])
    it(`emits in ${mode} mode`, async () => {
      const emit = emitterFor(httpTransport(url), { mode });
      const sent = event();
      const answer = await emit(sent, { headers: { authorization } });
      const body = JSON.parse(answer.body);
      assert.equal(body.outcome, 'accepted', answer.body);
      assert.deepEqual([body.source, body.event], ['/sdk/pbx-1', sent.id]);
      assert.equal(body.order.lines[0].granted, 2);
    });

  it('makes messages that mean the same in both modes', async () => {
    const sent = event({ time: '2026-05-01T08:00:00.000Z' });
    for (const [i, message] of [HTTP.binary(sent), HTTP.structured(sent)].entries()) {
      const answer = await w.client.request('POST', '/v1/events', {
        headers: { ...message.headers, authorization },
        body: message.body,
      });
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.headers['ringback-replayed'], i ? 'true' : undefined);
    }
  });

  it('has its batch taken', async () => {
    const events = [event(), event(), event()];
    const answer = await w.client.request('POST', '/v1/events', {
      headers: { 'content-type': 'application/cloudevents-batch+json', authorization },
      body: JSON.stringify(events),
    });
    assert.deepEqual(
      answer.json.map((item) => [item.event, item.outcome]),
      events.map((one) => [one.id, 'accepted']),
    );
  });

  it('reads our notification', async () => {
    const sink = await Sink.start();
    after(() => sink.close());
    const secret = await w.addTarget('AM1', sink.url());
    await emitterFor(httpTransport(url))(
      event({ type: 'ringback.complaint.raised', data: { retailer: 'R1', text: '错发' } }),
      { headers: { authorization } },
    );
    await eventually(() => sink.requests.length === 1);
    const [{ headers, body }] = sink.requests;
    const read = HTTP.toEvent({ headers, body: body.toString() });
    assert.equal(read.type, 'ringback.follow-up.assigned');
    assert.equal(read.validate(), true);
    assert.equal(read.data.retailer.code, 'R1');
    assert.deepEqual(new Webhook(secret).verify(body, headers).data, read.data);
    assert.throws(() => new Webhook(secret).verify(`${body} `, headers));
  });
});

describe('the Standard Webhooks SDK', () => {
  const post = (id, at, signature, body) =>
    w.client.request('POST', '/v1/events', {
      headers: {
        'content-type': 'application/cloudevents+json',
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at / 1000)),
        'webhook-signature': signature,
      },
      body,
    });
  const { body } = structured(order(data));

  it('signs requests that are let in', async () => {
    const at = new Date();
    const answer = await post('msg_sdk', at, new Webhook(w.gateways.pbx.key).sign('msg_sdk', at, body), body);
    assert.equal(answer.status, 200, answer.text);
  });

  it('signs with another secret in vain', async () => {
    const at = new Date();
    const other = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    assert.equal((await post('msg_sdk', at, new Webhook(other).sign('msg_sdk', at, body), body)).status, 401);
  });
});

describe('libphonenumber', () => {
  it('spells numbers as we know them', async () => {
    for (const [text, retailer] of [
      ['15400010001', 'R1'],
      ['0416-5550001', 'R1'],
      ['+86 154 0001 0002', 'R2'],
    ]) {
      const number = parsePhoneNumber(text, 'CN');
      for (const caller of [number.number, number.formatInternational(), number.formatNational(), number.getURI()]) {
        const answer = await w.post(structured(order({ caller, lines: data.lines })));
        assert.equal(answer.status, 200, `${caller}: ${answer.text}`);
        const found = await w.db.value(
          'SELECT r.code FROM orders o JOIN retailers r USING (branch_id, retailer_id) WHERE o.reference = $1',
          [answer.json.order.reference],
        );
        assert.equal(found, retailer);
      }
    }
  });
});
