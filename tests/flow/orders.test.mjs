// Orders: who orders, what is granted of what is asked, caps exact whoever comes at the same time.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { granted, lingering } from './lib/look.mjs';
import { eventually } from './lib/eventually.mjs';
import { batched, binary, order, structured, validReference } from './lib/events.mjs';

const w = await world();

const place = (data) => w.post(structured(order(data)));

// Places an order of {product: cartons}; gives back the order object.
async function placed(retailer, cartons, more = {}) {
  const lines = Object.entries(cartons).map(([product, n]) => ({ product, cartons: n }));
  const answer = await place({ retailer, lines, ...more });
  assert.equal(answer.status, 200, answer.text);
  return answer.json.order;
}

const brief = (line) => [line.product, line.cartons, line.granted, line.reason, line.cap, line.used];

describe('an order', () => {
  it('has a reference that can be checked, its lines in the order sent, and its call', async () => {
    const got = await placed('R1', { A3: 2, A1: 5, A5: 1 }, { call: 'c-77', operator: 'OP1', note: '请早送' });
    assert.ok(validReference(got.reference), got.reference);
    assert.equal(got.call, 'c-77');
    assert.deepEqual(got.lines.map(brief), [
      ['A3', 2, 2, null, null, 0],
      ['A1', 5, 5, null, null, 0],
      ['A5', 1, 1, null, null, 0],
    ]);
    assert.deepEqual(got.warnings, []);
    const stored = await w.db.row('SELECT reference::text, call, note FROM orders WHERE reference = $1', [
      got.reference,
    ]);
    assert.deepEqual(stored, { reference: got.reference, call: 'c-77', note: '请早送' });
  });

  it('has null for a call that was not named', async () => {
    assert.equal((await placed('R1', { A1: 1 })).call, null);
  });

  it('may have 200 lines and not 201', async () => {
    const codes = Array.from({ length: 201 }, (_, i) => `N${i}`);
    const csv = ['code,name,price_fen', ...codes.map((code) => `${code},新品,1000`)].join('\n');
    await w.import('products', csv);
    const lines = codes.map((product) => ({ product, cartons: 1 }));
    const full = await eventually(async () => {
      const answer = await place({ retailer: 'R1', lines: lines.slice(0, 200) });
      return answer.status === 200 && answer;
    });
    assert.deepEqual(
      full.json.order.lines.map((line) => line.product),
      codes.slice(0, 200),
    );
    const over = await place({ retailer: 'R1', lines });
    assert.deepEqual([over.code, over.errors[0].pointer], ['invalid-data', '/lines']);
  });

  it('by an operator whom nobody knows is taken with a warning', async () => {
    const got = await placed('R1', { A1: 1 }, { operator: 'OP99' });
    assert.equal(got.warnings.length, 1);
    assert.match(JSON.stringify(got.warnings), /unknown-operator/);
  });

  it('says what was used in the cycle, also of what is free', async () => {
    await placed('R7', { A5: 4 });
    assert.deepEqual((await placed('R7', { A5: 3 })).lines.map(brief), [['A5', 3, 3, null, null, 4]]);
  });

  it('for 100,000 cartons of what is free is granted', async () => {
    assert.deepEqual((await placed('R9', { A1: 100_000 })).lines.map(brief), [['A1', 100_000, 100_000, null, null, 0]]);
  });
});

describe('a cap', () => {
  it('gives what is left, even nothing, and says what was used', async () => {
    assert.deepEqual((await placed('R2', { A2: 6 })).lines.map(brief), [['A2', 6, 6, null, 10, 0]]);
    assert.deepEqual((await placed('R2', { A2: 6 })).lines.map(brief), [['A2', 6, 4, 'over-cap', 10, 6]]);
    assert.deepEqual((await placed('R2', { A2: 1 })).lines.map(brief), [['A2', 1, 0, 'over-cap', 10, 10]]);
    assert.deepEqual(await granted(w.db, 'R2', 'A2'), { lines: 10, counter: 10 });
    const asked = await w.db.value(
      `SELECT sum(asked_cartons) FROM order_lines l JOIN orders o USING (branch_id, reference) JOIN retailers r USING (branch_id, retailer_id)
       JOIN products p ON p.product_id = l.product_id WHERE r.code = 'R2' AND p.code = 'A2'`,
    );
    assert.equal(Number(asked), 13, 'what was asked for is kept beside what was granted');
  });

  it('is each retailer’s own', async () => {
    assert.deepEqual((await placed('R3', { A2: 10 })).lines.map(brief), [['A2', 10, 10, null, 10, 0]]);
    assert.deepEqual((await placed('R4', { A2: 11 })).lines.map(brief), [['A2', 11, 10, 'over-cap', 10, 0]]);
  });

  it('that a scarce product lacks means none is given', async () => {
    assert.deepEqual((await placed('R1', { X2: 3 })).lines.map(brief), [['X2', 3, 0, 'not-allocated', null, 0]]);
    assert.deepEqual(
      (await placed('R1', { X3: 3 })).lines.map(brief),
      [['X3', 3, 0, 'not-allocated', null, 0]],
      'only the west has one',
    );
    assert.deepEqual((await placed('R7', { X3: 3 })).lines.map(brief), [['X3', 3, 3, null, 6, 0]]);
    assert.deepEqual(
      (await placed('R3', { X1: 1 })).lines.map(brief),
      [['X1', 1, 0, 'not-allocated', null, 0]],
      'none for tier 3',
    );
  });

  it('that is the most specific wins', async () => {
    assert.deepEqual(
      (await placed('R1', { X4: 10 })).lines.map(brief),
      [['X4', 10, 9, 'over-cap', 9, 0]],
      'tier 4 and city',
    );
    assert.deepEqual((await placed('R2', { X4: 10 })).lines.map(brief), [['X4', 10, 2, 'over-cap', 2, 0]], 'anybody');
    assert.deepEqual(
      (await placed('R1', { A4: 40 })).lines.map(brief),
      [['A4', 40, 30, 'over-cap', 30, 0]],
      'tier 4 and key',
    );
    assert.deepEqual(
      (await placed('R2', { A4: 40 })).lines.map(brief),
      [['A4', 40, 3, 'over-cap', 3, 0]],
      'his own, though less',
    );
    assert.deepEqual((await placed('R9', { A4: 40 })).lines.map(brief), [['A4', 40, 8, 'over-cap', 8, 0]], 'anybody');
  });

  it('does not touch the other lines', async () => {
    const got = await placed('R5', { X2: 1, A1: 4, X4: 3, X1: 9 });
    assert.deepEqual(got.lines.map(brief), [
      ['X2', 1, 0, 'not-allocated', null, 0],
      ['A1', 4, 4, null, null, 0],
      ['X4', 3, 2, 'over-cap', 2, 0],
      ['X1', 9, 5, 'over-cap', 5, 0],
    ]);
  });

  it('holds within one batch', async () => {
    const some = Array.from({ length: 6 }, () => order({ retailer: 'R6', lines: [{ product: 'A2', cartons: 3 }] }));
    const lines = (await w.post(batched(some))).json.map((item) => item.order.lines[0]);
    assert.deepEqual(lines.map((line) => line.granted).sort(), [0, 0, 1, 3, 3, 3]);
    assert.deepEqual(await granted(w.db, 'R6', 'A2'), { lines: 10, counter: 10 });
  });

  it('holds within one batch of one retailer’s orders, when part of it is used and some are known already', async () => {
    const one = () => order({ retailer: 'R9', lines: ['A4', 'X4'].map((product) => ({ product, cartons: 1 })) });
    const known = one();
    const first = await w.post(structured(known));
    const answer = await w.post(batched([one(), known, one(), one()]));
    assert.ok(answer.took < 2000, `answered after ${answer.took} ms`);
    assert.deepEqual(
      answer.json.map((item) => item.replayed),
      [false, true, false, false],
    );
    assert.equal(answer.json[1].order.reference, first.json.order.reference);
    const lines = answer.json.map((item) => item.order.lines[1]);
    assert.deepEqual(lines.map((line) => `${line.granted} of ${line.cap}, ${line.used} used`).sort(), [
      '0 of 2, 2 used',
      '0 of 2, 2 used',
      '1 of 2, 0 used',
      '1 of 2, 1 used',
    ]);
    assert.deepEqual(await granted(w.db, 'R9', 'X4'), { lines: 2, counter: 2 });
  });

  it('counts what a retailer was granted in an earlier cycle no more', async () => {
    await placed('R8', { A2: 10 });
    await w.db.force('UPDATE order_cycles SET starts_on = starts_on - 7, ends_on = ends_on - 7');
    assert.deepEqual((await placed('R8', { A2: 4 })).lines.map(brief), [['A2', 4, 4, null, 10, 0]]);
  });
});

describe('caps under crowds', () => {
  it('are exact: 64 clients, two contended products in both orders', async () => {
    const clients = Array.from({ length: 64 }, () => w.newClient({ sockets: 1 }));
    const both = [
      { product: 'X5', cartons: 3 },
      { product: 'A2', cartons: 1 },
    ];
    const answers = (
      await Promise.all(
        clients.map(async (client, i) => {
          const got = [];
          for (let n = 0; n < 4; n++) {
            const lines = (i + n) % 2 ? both : both.toReversed();
            const sent = order({ retailer: (i + n) % 3 ? 'R7' : 'R9', lines });
            got.push(await client.post(n % 2 ? binary(sent) : structured(sent)));
          }
          return got;
        }),
      )
    ).flat();
    assert.ok(
      answers.every((answer) => answer.status === 200),
      answers.find((answer) => answer.status !== 200)?.text,
    );
    for (const retailer of ['R7', 'R9'])
      for (const [product, cap] of [
        ['X5', 100],
        ['A2', 10],
      ])
        assert.deepEqual(
          await granted(w.db, retailer, product),
          { lines: cap, counter: cap },
          `${retailer} ${product}`,
        );
    const lines = answers.flatMap((answer) => answer.json.order.lines);
    for (const line of lines) {
      assert.ok(line.used + line.granted <= line.cap, JSON.stringify(line));
      assert.equal(line.reason, line.granted < line.cartons ? 'over-cap' : null);
      assert.equal(line.granted, Math.min(line.cartons, line.cap - line.used));
    }
  });
});

describe('caps under crowds of newcomers', () => {
  it('are exact for counters that nobody had used before', async () => {
    const codes = Array.from({ length: 60 }, (_, i) => `Z${i}`);
    const phone = (i) => `154020${String(i).padStart(5, '0')}`;
    await w.import(
      'retailers',
      ['code,name,phones,manager', ...codes.map((code, i) => `${code},新户,${phone(i)},AM1`)].join('\n'),
    );
    await eventually(
      async () => (await place({ retailer: 'Z0', lines: [{ product: 'A1', cartons: 1 }] })).status === 200,
    );
    const clients = Array.from({ length: 64 }, () => w.newClient({ sockets: 1 }));
    const orders = codes.flatMap((retailer) =>
      Array.from({ length: 6 }, () => structured(order({ retailer, lines: [{ product: 'A2', cartons: 3 }] }))),
    );
    // Client n posts every 64th order, so that those of one retailer come at once.
    const crowd = clients.map((client, n) => async () => {
      for (let i = n; i < orders.length; i += clients.length) assert.equal((await client.post(orders[i])).status, 200);
    });
    await lingering(w.db, () => Promise.all(crowd.map((run) => run())));
    const over = await w.db.rows(
      `SELECT r.code, u.granted_cartons, sum(l.granted_cartons) AS lines FROM cycle_uses u JOIN retailers r USING (branch_id, retailer_id)
       JOIN products p USING (branch_id, product_id) JOIN orders o USING (branch_id, retailer_id)
       JOIN order_lines l ON l.reference = o.reference AND l.product_id = p.product_id
       WHERE r.code LIKE 'Z%' AND p.code = 'A2' GROUP BY 1, 2 HAVING u.granted_cartons <> 10 OR sum(l.granted_cartons) <> 10`,
    );
    assert.deepEqual(over, []);
  });
});

describe('who orders', () => {
  const lines = [{ product: 'A1', cartons: 1 }];
  const retailerOf = async (answer) =>
    w.db.value('SELECT r.code FROM orders o JOIN retailers r USING (branch_id, retailer_id) WHERE o.reference = $1', [
      answer.json.order.reference,
    ]);

  it('is found by his number in any common spelling', async () => {
    const mobile = [
      '15400010001',
      '+8615400010001',
      '008615400010001',
      '8615400010001',
      '154 0001 0001',
      '154-0001-0001',
      '+86 154-0001-0001',
      '１５４０００１０００１',
      'tel:+86-154-0001-0001',
      'sip:15400010001@pbx.test',
      ' 15400010001 ',
    ];
    const fixed = [
      '04165550001',
      '0416-5550001',
      '(0416) 555 0001',
      '+86 416 5550001',
      '+864165550001',
      '0416－5550001',
    ];
    for (const caller of [...mobile, ...fixed]) {
      const answer = await place({ caller, lines });
      assert.equal(answer.status, 200, `${caller}: ${answer.text}`);
      assert.equal(await retailerOf(answer), 'R1', caller);
    }
  });

  it('is the named retailer, whatever the number', async () => {
    for (const caller of ['15400010002', '15400010056', 'anonymous', '']) {
      const answer = await place({ retailer: 'R1', caller, lines });
      assert.equal(await retailerOf(answer), 'R1');
    }
  });

  it('is unknown when nobody has the number, or it is withheld', async () => {
    for (const data of [
      { retailer: 'R404' },
      { retailer: '' },
      { retailer: 'r1' },
      { caller: '15499999999' },
      { caller: '' },
      { caller: 'anonymous' },
      { caller: 'unknown' },
      { retailer: 'R404', caller: '15400010001' },
    ]) {
      const answer = await place({ ...data, lines });
      assert.deepEqual([answer.status, answer.code], [422, 'unknown-retailer'], JSON.stringify(data));
      const [pointer] = answer.errors.map((error) => error.pointer);
      assert.equal(pointer, 'retailer' in data ? '/retailer' : '/caller');
    }
  });

  it('is ambiguous when two share the number', async () => {
    for (const caller of ['15400010034', '15400010056']) {
      const answer = await place({ caller, lines });
      assert.deepEqual([answer.status, answer.code], [422, 'ambiguous-retailer']);
      assert.equal(answer.errors[0].pointer, '/caller');
    }
  });
});

describe('a product nobody knows', () => {
  it('refuses the order, names every such line, and uses up nothing', async () => {
    const lines = [
      { product: 'A2', cartons: 2 },
      { product: 'ghost', cartons: 1 },
      { product: 'A1', cartons: 1 },
      { product: 'a1', cartons: 1 },
    ];
    const answer = await place({ retailer: 'R1', lines });
    assert.deepEqual([answer.status, answer.code], [422, 'unknown-product']);
    assert.deepEqual(
      answer.errors.map((error) => [error.pointer, error.code]),
      [
        ['/lines/1/product', 'unknown-product'],
        ['/lines/3/product', 'unknown-product'],
      ],
    );
    assert.deepEqual(await granted(w.db, 'R1', 'A2'), { lines: 0, counter: 0 });
  });
});
