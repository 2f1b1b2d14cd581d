// The three modes of CloudEvents, and everything that is refused before an event is looked at: form, media
// types, attributes, sizes.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { batched, binary, complaint, event, modes, order, percentEncode, structured } from './lib/events.mjs';

const w = await world();
const anOrder = (over) => order({ retailer: 'R1', lines: [{ product: 'A1', cartons: 3 }] }, over);
const one = (answer) => (Array.isArray(answer.json) ? answer.json[0] : answer.json);
const raw = (body, contentType = 'application/cloudevents+json') => ({
  headers: { 'content-type': contentType },
  body,
});

describe('an event is taken', () => {
  for (const [name, mode] of Object.entries(modes)) {
    it(`in ${name} mode`, async () => {
      const sent = anOrder();
      const answer = await w.post(mode(sent));
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.headers['content-type'], 'application/json');
      const body = one(answer);
      assert.equal(body.outcome, 'accepted');
      assert.equal(body.source, sent.source);
      assert.equal(body.event, sent.id);
      assert.equal(body.order.lines[0].granted, 3);
      if (name === 'batched') assert.deepEqual([body.status, body.replayed], [200, false]);
    });
  }

  it('with the header attributes percent-encoded', async () => {
    const sent = anOrder({ source: '/总机/一号"%', id: '号 码 1😀', subject: 'x%y' });
    const answer = await w.post(binary(sent));
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual([answer.json.source, answer.json.event], [sent.source, sent.id]);
    const again = await w.post(structured(sent));
    assert.equal(again.headers['ringback-replayed'], 'true', 'both modes mean the same event');
  });

  it('with percent-encoding in small letters and of plain characters', async () => {
    const message = binary(anOrder({ id: 'abc' }));
    message.headers['ce-id'] = '%61%62%63-%e5%8c%97';
    const answer = await w.post(message);
    assert.equal(answer.json.event, 'abc-北');
  });

  it('whatever the case of header names and media types, with charset utf-8', async () => {
    for (const type of [
      'application/json; charset=utf-8',
      'Application/JSON;charset=UTF-8',
      'application/json; charset="utf-8"',
    ]) {
      const message = binary(anOrder());
      const headers = Object.fromEntries(
        Object.entries(message.headers).map(([name, value]) => [name.toUpperCase(), value]),
      );
      delete headers['CONTENT-TYPE'];
      const answer = await w.post({ headers: { ...headers, 'Content-Type': type }, body: message.body });
      assert.equal(answer.status, 200, `${type}: ${answer.text}`);
    }
    for (const type of ['application/cloudevents+json', 'APPLICATION/CloudEvents+JSON; charset="UTF-8"'])
      assert.equal((await w.post(structured(anOrder(), type))).status, 200, type);
    assert.equal((await w.post(batched([anOrder()], 'application/cloudevents-batch+json; charset=utf-8'))).status, 200);
  });

  it('with attributes and data fields that nobody knows', async () => {
    const sent = anOrder({ subject: 's', dataschema: 'https://x.test/y', traceparent: '00-1-1-01', flag: true, n: 7 });
    sent.data.colour = { deep: [1, null, false] };
    for (const mode of Object.values(modes)) {
      const answer = await w.post(mode({ ...sent, id: crypto.randomUUID() }));
      assert.equal(answer.status, 200, answer.text);
      assert.equal(one(answer).outcome, 'accepted');
    }
  });

  it('in a chunked body', async () => {
    const { headers, body } = structured(anOrder());
    const bytes = Buffer.from(body);
    const answer = await w.post({ headers, body: bytes });
    assert.equal(answer.status, 200);
    const parts = [bytes.subarray(0, 1), bytes.subarray(1, 40), bytes.subarray(40)];
    const chunked = await w.client.request('POST', '/v1/events', {
      headers: { ...headers, authorization: `Bearer ${w.gateways.pbx.key}` },
      body: parts,
    });
    assert.equal(chunked.headers['ringback-replayed'], 'true', chunked.text);
  });

  it('with whole numbers in any spelling', async () => {
    for (const cartons of ['3', '3.0', '0.3e1', '30E-1']) {
      const body = `{"retailer":"R1","lines":[{"product":"A1","cartons":${cartons}}]}`;
      const answer = await w.post({ headers: binary(anOrder()).headers, body });
      assert.equal(answer.json.order?.lines[0].cartons, 3, answer.text);
    }
  });
});

describe('the media type is 415', () => {
  const cases = {
    'of plain text': ['text/plain', structured(anOrder()).body],
    'of XML': ['application/cloudevents+xml', structured(anOrder()).body],
    'of a form': ['application/x-www-form-urlencoded', 'a=b'],
    'of another charset': ['application/cloudevents+json; charset=iso-8859-1', structured(anOrder()).body],
    'of a batch in another charset': ['application/cloudevents-batch+json; charset=gbk', '[]'],
    'of JSON without ce-specversion': ['application/json', structured(anOrder()).body],
    'of something that only begins right': ['application/cloudevents+jsonx', structured(anOrder()).body],
  };
  for (const [name, [type, body]] of Object.entries(cases))
    it(`because ${name}`, async () => {
      const answer = await w.post(raw(body, type));
      assert.equal(answer.status, 415, answer.text);
      assert.ok(answer.code);
    });

  it('because there is none', async () => {
    const answer = await w.post({ headers: {}, body: structured(anOrder()).body });
    assert.equal(answer.status, 415);
  });

  it('because binary mode holds no JSON, or JSON in another charset', async () => {
    for (const datacontenttype of ['text/plain', 'application/json; charset=utf-16', 'application/xml']) {
      const answer = await w.post(binary(anOrder({ datacontenttype })));
      assert.equal(answer.status, 415, `${datacontenttype}: ${answer.text}`);
    }
  });
});

describe('the event is 400', () => {
  const refused = async (message) => {
    const answer = await w.post(message);
    assert.equal(answer.status, 400, `${JSON.stringify(message).slice(0, 300)} → ${answer.status} ${answer.text}`);
    assert.ok(answer.code);
  };

  for (const name of ['id', 'source', 'type', 'specversion']) {
    it(`without ${name}`, async () => {
      await refused(structured(anOrder({ [name]: undefined })));
      if (name !== 'specversion') await refused(binary(anOrder({ [name]: undefined })));
    });
    it(`with an empty ${name}`, async () => {
      await refused(structured(anOrder({ [name]: '' })));
      await refused(binary(anOrder({ [name]: '' })));
    });
    it(`with a ${name} that is no text`, () => refused(structured(anOrder({ [name]: 10 }))));
  }

  it('with another specversion', async () => {
    for (const specversion of ['0.3', '1.1', '1', '2.0', '1.0 ']) {
      await refused(structured(anOrder({ specversion })));
      await refused(binary(anOrder({ specversion })));
    }
  });

  it('with percent-encoding that is none', async () => {
    for (const bad of ['%', '%4', '%zz', 'a%', '%e5%8c', '%ff', '%C0%80', '%ED%A0%80', '%00']) {
      const message = binary(anOrder());
      message.headers['ce-id'] = bad;
      await refused(message);
    }
  });

  it('with a body that is no JSON', async () => {
    const texts = [
      '',
      ' ',
      '{',
      '{"a":1',
      '{"a":1,}',
      "{'a':1}",
      'nul',
      '{"a":01}',
      '{"a":+1}',
      '{"a":.5}',
      '{"a":NaN}',
      '[1 2]',
      '{} {}',
      '{"a":"\t"}',
      '{"a":"\\x"}',
      '{"a" 1}',
      '\u00a0{}',
    ];
    for (const text of texts) {
      await refused(raw(text));
      await refused(raw(text, 'application/cloudevents-batch+json'));
      await refused({ headers: binary(anOrder()).headers, body: text });
    }
  });

  it('with a body that is another JSON value', async () => {
    for (const text of ['[]', '1', '"x"', 'null', 'true']) await refused(raw(text));
    for (const text of ['{}', '1', '"x"', 'null', 'false'])
      await refused(raw(text, 'application/cloudevents-batch+json'));
  });

  it('with a key twice, however it is spelled', async () => {
    for (const twin of [
      '"retailer":"R1","retailer":"R1"',
      '"retailer":"R1","\\u0072etailer":"R2"',
      '"x":{"a":1,"a":1}',
    ])
      await refused({ headers: binary(anOrder()).headers, body: `{${twin},"lines":[{"product":"A1","cartons":1}]}` });
    await refused(raw(structured(anOrder()).body.replace('{', '{"id":"other",')));
  });

  it('with numbers beyond a double', async () => {
    for (const number of ['1e309', '-1e309', '1e999999999999', '9'.repeat(400)])
      await refused({ headers: binary(anOrder()).headers, body: `{"x":${number}}` });
  });

  it('with NUL, lone surrogates or invalid UTF-8', async () => {
    const around = (inside) => Buffer.concat([Buffer.from('{"retailer":"R1","note":"'), inside, Buffer.from('"}')]);
    const bad = ['\\u0000', '\\ud800', '\\udc00', '\\ud800x', '\\ud800\\ud800', '\\udc00\\ud800'].map((text) =>
      Buffer.from(text),
    );
    const bytes = [
      [0x00],
      [0x80],
      [0xff],
      [0xc0, 0xaf],
      [0xe5, 0x8c],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
      [0xf0, 0x82, 0x82, 0xac],
    ];
    for (const inside of [...bad, ...bytes.map((list) => Buffer.from(list))])
      await refused({ headers: binary(anOrder()).headers, body: around(inside) });
  });

  it('with nesting over 32 in the whole document, and not below', async () => {
    const nested = (n) => ({ ...anOrder().data, deep: JSON.parse('['.repeat(n) + ']'.repeat(n)) });
    const taken = async (message) => assert.equal((await w.post(message)).status, 200);
    await taken(binary(anOrder({ data: nested(31) })));
    await refused(binary(anOrder({ data: nested(32) })));
    await taken(structured(anOrder({ data: nested(30) })));
    await refused(structured(anOrder({ data: nested(31) })));
    await taken(batched([anOrder({ data: nested(29) })]));
    await refused(batched([anOrder(), anOrder({ data: nested(30) })]));
    for (const n of [1000, 30_000]) await refused({ headers: binary(anOrder()).headers, body: '['.repeat(n) });
  });
});

describe('the data are 422', () => {
  const lines = (...list) => ({ retailer: 'R1', lines: list });
  const line = { product: 'A1', cartons: 1 };
  const words = (text) => ({ retailer: 'R1', text });
  const ring = { call: 'c-1', direction: 'inbound', from: '1', to: '2' };
  const cases = [
    ['an order without lines', 'order', { retailer: 'R1' }, '/lines'],
    ['an order with no line', 'order', lines(), '/lines'],
    ['lines that are no array', 'order', { retailer: 'R1', lines: {} }, '/lines'],
    ['a line that is no object', 'order', lines(line, 7), '/lines/1'],
    ['a line without product', 'order', lines({ cartons: 1 }), '/lines/0/product'],
    ['a product that is no text', 'order', lines({ product: 1, cartons: 1 }), '/lines/0/product'],
    ['a line without cartons', 'order', lines(line, { product: 'A2' }), '/lines/1/cartons'],
    ['no cartons', 'order', lines({ product: 'A1', cartons: 0 }), '/lines/0/cartons'],
    ['cartons below nothing', 'order', lines({ product: 'A1', cartons: -1 }), '/lines/0/cartons'],
    ['too many cartons', 'order', lines({ product: 'A1', cartons: 100001 }), '/lines/0/cartons'],
    ['half a carton', 'order', lines({ product: 'A1', cartons: 1.5 }), '/lines/0/cartons'],
    ['cartons in words', 'order', lines({ product: 'A1', cartons: '1' }), '/lines/0/cartons'],
    ['a product twice', 'order', lines(line, { product: 'A2', cartons: 1 }, line), '/lines/2/product'],
    ['nobody who orders', 'order', { lines: [line] }, ''],
    ['a retailer that is no text', 'order', { retailer: 5, lines: [line] }, '/retailer'],
    ['a caller that is no text', 'order', { caller: 5, lines: [line] }, '/caller'],
    ['nobody who complains', 'complaint', { text: 'x' }, ''],
    ['a complaint without text', 'complaint', { retailer: 'R1' }, '/text'],
    ['a complaint with an empty text', 'complaint', words(''), '/text'],
    ['a complaint that is too long', 'complaint', words('长'.repeat(4001)), '/text'],
    ['a text that is none', 'complaint', words(['x']), '/text'],
    ['another kind', 'complaint', { ...words('x'), kind: 'rant' }, '/kind'],
    ['a severity out of range', 'complaint', { ...words('x'), severity: 4 }, '/severity'],
    ['no severity', 'complaint', { ...words('x'), severity: 0 }, '/severity'],
    ['a severity between', 'complaint', { ...words('x'), severity: 1.5 }, '/severity'],
    ['a call without its id', 'ringing', { ...ring, call: undefined }, '/call'],
    ['a call in no direction', 'ringing', { ...ring, direction: 'sideways' }, '/direction'],
    ['an ended call without seconds', 'ended', ring, '/seconds'],
    ['an ended call that took less than nothing', 'ended', { ...ring, seconds: -1 }, '/seconds'],
  ];
  const type = {
    order: 'ringback.order.placed',
    complaint: 'ringback.complaint.raised',
    ringing: 'ringback.call.ringing',
    ended: 'ringback.call.ended',
  };

  for (const [name, kind, data, pointer] of cases)
    it(`because of ${name}`, async () => {
      for (const mode of [binary, structured]) {
        const answer = await w.post(mode(event(type[kind], data)));
        assert.equal(answer.status, 422, answer.text);
        assert.equal(answer.code, 'invalid-data');
        assert.deepEqual(
          answer.errors.map((error) => error.pointer),
          [pointer],
          answer.text,
        );
      }
    });

  it('because there are none, or they are no object', async () => {
    for (const data of [undefined, null, [], 'text', 7]) {
      const answer = await w.post(structured(anOrder({ data })));
      assert.equal(answer.status, 422, answer.text);
      assert.equal(answer.code, 'invalid-data');
    }
  });

  it('because the type is unknown', async () => {
    for (const unknown of ['ringback.order.plcaed', 'com.example.x', 'ringback.order.placed2', 'Ringback.Order.Placed'])
      for (const mode of [binary, structured]) {
        const answer = await w.post(mode(event(unknown, { anything: true })));
        assert.deepEqual([answer.status, answer.code], [422, 'unknown-type']);
      }
  });

  it('for every faulty line at once, in order', async () => {
    const answer = await w.post(
      structured(order(lines({ product: 'A1', cartons: 0 }, line, { product: 'A2', cartons: 'x' }))),
    );
    const pointers = answer.errors.map((error) => error.pointer);
    assert.ok(pointers.includes('/lines/0/cartons') && pointers.every((one) => one.startsWith('/lines/')), answer.text);
  });

  it('and the id may be sent again, corrected', async () => {
    const id = crypto.randomUUID();
    assert.equal((await w.post(structured(order({ retailer: 'R1', lines: [] }, { id })))).status, 422);
    assert.equal(
      (await w.post(structured(order({ retailer: 'nobody', lines: [line] }, { id })))).code,
      'unknown-retailer',
    );
    const answer = await w.post(structured(order({ retailer: 'R1', lines: [line] }, { id })));
    assert.equal(answer.json.outcome, 'accepted', answer.text);
    assert.equal(answer.headers['ringback-replayed'], undefined);
  });
});

describe('the size', () => {
  const padded = (message, size) => ({
    ...message,
    body: message.body + ' '.repeat(size - Buffer.byteLength(message.body)),
  });

  it('of one event may be 65,536 bytes and no more', async () => {
    for (const mode of [binary, structured]) {
      assert.equal((await w.post(padded(mode(anOrder()), 65_536))).status, 200);
      const over = await w.post(padded(mode(anOrder()), 65_537));
      assert.equal(over.status, 413);
      assert.ok(over.code);
    }
  });

  it('of a chunked body counts as well', async () => {
    const { headers, body } = padded(structured(anOrder()), 70_000);
    const parts = body.match(/[^]{1,4096}/g);
    const answer = await w.client.request('POST', '/v1/events', {
      headers: { ...headers, authorization: `Bearer ${w.gateways.pbx.key}` },
      body: parts,
    });
    assert.equal(answer.status, 413);
  });

  it('of a batch may be 1,048,576 bytes and 256 events and no more', async () => {
    const many = (n) => batched(Array.from({ length: n }, () => complaint({ retailer: 'R1', text: '满' })));
    const full = await w.post(padded(many(256), 1_048_576));
    assert.equal(full.status, 200, full.text.slice(0, 500));
    assert.equal(full.json.length, 256);
    assert.ok(full.json.every((item) => item.outcome === 'accepted'));
    assert.equal((await w.post(padded(many(1), 1_048_577))).status, 413);
    assert.equal((await w.post(many(257))).status, 413);
  });
});

describe('the way there', () => {
  it('is 404 for a path that is not', async () => {
    for (const path of [
      '/',
      '/v1',
      '/v1/events/',
      '/v1/events/x',
      '/v2/events',
      '/api/v1/openapi.json',
      '/api/v1/session',
    ]) {
      const answer = await w.post(structured(anOrder()));
      assert.equal(answer.status, 200);
      const lost = await w.client.request('POST', path, structured(anOrder()));
      assert.deepEqual([lost.status, lost.code], [404, 'not-found'], path);
    }
  });

  it('is 405 with Allow for a method that is not', async () => {
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
      const answer = await w.client.request(method, '/v1/events');
      assert.equal(answer.status, 405);
      assert.match(answer.headers.allow, /\bPOST\b/);
      assert.ok(answer.code);
    }
    const answer = await w.client.request('POST', '/healthz', { body: '' });
    assert.equal(answer.status, 405);
    assert.match(answer.headers.allow, /\bGET\b/);
  });

  it('of a gateway does not lead over the console listener', async () => {
    const console = w.newClient();
    console.address = w.daemon.console;
    assert.equal((await console.post(structured(anOrder()))).status, 404);
    assert.equal((await console.get('/metrics')).status, 404);
  });
});

describe('a header value that is encoded', () => {
  it('is what the SDKs make of it', () => {
    assert.equal(percentEncode('Euro € 😀'), 'Euro%20%E2%82%AC%20%F0%9F%98%80');
  });
});
