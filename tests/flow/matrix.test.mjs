// Every role at every operation of the OpenAPI document, with ids of his own, of somebody else and of another
// branch. Made from the document as it is served: a new operation is tried without a word here, and so is a
// new parameter of a path once it has a row in the table below.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { Desk, atDesk, password } from './lib/desk.mjs';
import { Document } from './lib/openapi.mjs';
import { eventually } from './lib/eventually.mjs';
import { call as called, complaint, order, structured } from './lib/events.mjs';

const roles = {
  operator: 'op1',
  account_manager: 'am1',
  market_manager: 'mm1',
  supervisor: 's1',
  deliverer: 'dv1',
  inspector: 'in1',
  administrator: 'admin',
};

const w = await world({ env: { RINGBACK_TRUSTED_PROXIES: '127.0.0.1' } });
const { operations } = await Document.of(w);

const place = async (code, phone, product = 'A1', options) => {
  const call = `call-${code}`;
  const data = { retailer: code, lines: [{ product, cartons: 1 }], call };
  const sent = structured(order(data));
  const known = async () => {
    const answer = await w.post(sent, options);
    return answer.status !== 401 && answer;
  };
  const placed = await eventually(known); // a gateway's key is known within a second
  await w.post(structured(called('ended', { call, direction: 'inbound', from: phone, to: '12313', seconds: 9 })), options);
  const raised = await w.post(structured(complaint({ retailer: code, text: '缺货', call })), options);
  assert.deepEqual([placed.status, raised.status], [200, 200], placed.text + raised.text);
  const { reference, follow_up, manager } = raised.json.complaint;
  const ids = await w.db.row(
    `SELECT t.target_id AS target, $2 || '.' || n.notification_id AS notification FROM people p
     JOIN targets t USING (branch_id, person_id) JOIN notifications n ON n.branch_id = p.branch_id AND n.follow_up_id = $2
     WHERE p.code = $1 LIMIT 1`,
    [manager, follow_up],
  );
  return { retailer: code, product, person: manager, order: placed.json.order.reference, complaint: reference, follow_up, call, ...ids };
};
for (const person of ['AM1', 'AM3']) await w.addTarget(person, 'http://127.0.0.1:9/hook');
const made = { own: await place('R1', '15400010001'), foreign: await place('R7', '15400010007'), other: await placeElsewhere() };

// Of another branch, whose references are far from ours.
async function placeElsewhere() {
  const there = ['--branch', 'elsewhere'];
  await w.must(['branch', 'add', 'elsewhere', '--name', 'x']);
  await w.db.rows(`SELECT setval(reference_sequence::regclass, 500000000) FROM branches WHERE code = 'elsewhere'`);
  for (const [kind, csv] of [
    ['people', 'code,name,role\nELSEWHEREAM,x,account_manager\nELSEWHERES,x,supervisor\n'],
    ['products', 'code,name,price_fen,price_class,scarce,controlled\nELSEWHEREP,x,100,1,false,false\n'],
    ['retailers', 'code,name,phones,manager\nELSEWHERE1,x,15400099999,ELSEWHEREAM\n'],
  ])
    await w.must([...there, 'import', kind, await w.file(`elsewhere-${kind}.csv`, csv)]);
  await w.must([...there, 'target', 'add', 'ELSEWHEREAM', 'webhook', 'http://127.0.0.1:9/hook']);
  const { stdout } = await w.must([...there, 'gateway', 'add', 'pbx-elsewhere']);
  return place('ELSEWHERE1', '15400099999', 'ELSEWHEREP', { gateway: { name: 'pbx-elsewhere', key: stdout.trim() } });
}

// A report of an offence about AM1's retailer: inspectors alone see it.
const report = (await w.post(structured(complaint({ retailer: 'R1', kind: 'report', text: '举报' })))).json.complaint;

const target = async (person, branch = 'main') => {
  await w.must(['--branch', branch, 'target', 'add', person, 'webhook', 'http://127.0.0.1:9/x']);
  return w.db.value('SELECT max(target_id) FROM targets');
};
made.own.target = await target('AM1');
made.foreign.target = await target('AM3');
made.other.target = await target('ELSEWHEREAM', 'elsewhere');

// What stands for the first {name} of a path: an id of AM1's and MM1's own, of somebody else's (AM3's and MM2's),
// and of another branch. Operations that are in no row of this table are tried with ids that do not exist.
const byPath = [
  [/^\/api\/v1\/retailers\/\{code\}/, 'retailer'],
  [/^\/api\/v1\/orders\/\{reference\}/, 'order'],
  [/^\/api\/v1\/complaints\/\{reference\}/, 'complaint'],
  [/^\/api\/v1\/calls\/\{id\}/, 'call'],
  [/^\/api\/v1\/follow-ups\/\{id\}/, 'follow_up'],
  [/^\/api\/v1\/notifications\/\{id\}/, 'notification'],
  [/^\/api\/v1\/targets\/\{id\}/, 'target'],
  [/^\/api\/v1\/people\/\{code\}/, 'person'],
  [/^\/api\/v1\/products\/\{code\}/, 'product'],
];
// The whole branch knows these, so that there are none of somebody else.
const shared = ['person', 'product'];
const kindOf = (operation) => byPath.find(([pattern]) => pattern.test(operation.path))?.[1];
const idFor = (operation) => kindOf(operation) && ((whose) => made[whose][kindOf(operation)]);
const fill = (operation, first) => {
  let n = 0;
  return operation.path.slice('/api/v1'.length).replace(/\{[^}]+\}/g, () => (n++ === 0 ? encodeURIComponent(first) : '999999999'));
};

// These answer whoever asks, end what the other tests need, or have no end: they have tests of their own.
const apart = ['log_in', 'get_openapi', 'log_out', 'end_sessions', 'change_password', 'open_stream'];
const wanted = operations.filter((one) => !apart.includes(one.id));
const unsafe = (operation) => operation.method !== 'GET';
const desks = Object.fromEntries(
  await Promise.all(Object.entries(roles).map(async ([role, name]) => [role, await atDesk(w, name)])),
);
const ask = (desk, operation, id, options = {}) =>
  desk.ask(operation.method, fill(operation, id), {
    body: operation.said.requestBody ? {} : undefined,
    etag: unsafe(operation) ? '"0"' : undefined,
    ...options,
  });

describe('the document', () => {
  it('says of every operation who may', () => {
    for (const one of operations)
      if (one.roles) for (const role of one.roles) assert.ok(roles[role], `${one.id}: ${role}`);
      else assert.ok(['log_in', 'get_openapi'].includes(one.id), `${one.id} has no x-roles`);
  });

  it('has a function in the database for every operation', async () => {
    const known = (await w.db.rows(`SELECT proname FROM pg_proc WHERE pronamespace = 'ringback'::regnamespace`)).map((row) => row.proname);
    const inC = ['log_in', 'get_openapi', 'change_password'];
    const missing = operations.map((one) => one.id).filter((id) => !inC.includes(id) && !known.includes(`api_${id}`));
    assert.deepEqual(missing, []);
  });
});

describe('without a session', () => {
  it('nothing is answered', async () => {
    const nobody = new Desk(w, 'nobody');
    for (const one of operations.filter((operation) => operation.roles)) {
      const answer = await ask(nobody, one, 'x');
      assert.equal(answer.status, 401, `${one.id}: ${answer.text}`);
    }
  });
});

describe('without the CSRF token', () => {
  it('nothing is changed', async () => {
    const strange = { headers: { origin: 'http://evil.test' } };
    for (const one of operations.filter((operation) => operation.roles && unsafe(operation)))
      for (const options of [{ csrf: false }, { headers: { 'x-csrf-token': 'x'.repeat(43) } }, strange]) {
        const answer = await ask(desks[one.roles[0]], one, 'x', options);
        assert.equal(answer.code, 'csrf', `${one.id}: ${answer.text}`);
      }
  });
});

for (const [role, name] of Object.entries(roles))
  describe(`${role} (${name})`, () => {
    const desk = desks[role];

    it('is refused what is for others, whosever it is', async () => {
      for (const one of wanted.filter((operation) => !operation.roles.includes(role)))
        for (const whose of ['own', 'foreign', 'other']) {
          const answer = await ask(desk, one, idFor(one)?.(whose) ?? '999999999');
          assert.equal(answer.status, 403, `${one.id} of ${whose}: ${answer.text}`);
          assert.equal(answer.code, 'forbidden');
        }
    });

    it('finds nothing of another branch', async () => {
      for (const one of wanted.filter((operation) => operation.roles.includes(role) && idFor(operation))) {
        const answer = await ask(desk, one, idFor(one)('other'));
        assert.equal(answer.status, 404, `${one.id}: ${answer.text}`);
      }
    });

    it('finds nothing that is not there, and never a fault', async () => {
      for (const one of wanted.filter((operation) => operation.roles.includes(role)))
        for (const id of one.names.length ? ['999999999', 'x', "';--", '中', '9'.repeat(40), '-1'] : ['']) {
          const answer = await ask(desk, one, id);
          assert.ok(answer.status < 500, `${one.id} ${id}: ${answer.status} ${answer.text}`);
          if (one.names.length && id !== '999999999') assert.ok([400, 404, 422].includes(answer.status), `${one.id} ${id}: ${answer.status} ${answer.text}`);
        }
    });

    if (role === 'account_manager' || role === 'market_manager')
      it('finds nothing of somebody else’s', async () => {
        for (const one of wanted.filter((operation) => operation.roles.includes(role) && idFor(operation))) {
          if (shared.includes(kindOf(one))) continue;
          const answer = await ask(desk, one, idFor(one)('foreign'));
          assert.equal(answer.status, 404, `${one.id}: ${answer.text}`);
        }
      });

    it(role === 'inspector' ? 'finds a report' : 'finds no report', async () => {
      for (const one of wanted.filter((operation) => operation.roles.includes(role) && operation.names.length === 1)) {
        const id = { '/api/v1/complaints/{reference}': report.reference, '/api/v1/follow-ups/{id}': report.follow_up }[one.path];
        if (!id || unsafe(one)) continue;
        const answer = await ask(desk, one, id);
        assert.equal(answer.status, role === 'inspector' ? 200 : 404, `${one.id}: ${answer.text}`);
      }
    });

    it('finds his own', async () => {
      const blind = ['deliverer', 'inspector'];
      if (blind.includes(role)) return;
      for (const one of wanted.filter((operation) => operation.roles.includes(role) && idFor(operation) && operation.names.length === 1)) {
        if (unsafe(one)) continue; // with a body of nothing it is refused for that
        if (shared.includes(kindOf(one)) && !one.path.endsWith('}')) continue; // what hangs on it may be for fewer
        const answer = await ask(desk, one, idFor(one)('own'));
        assert.equal(answer.status, 200, `${one.id}: ${answer.text}`);
      }
    });
  });

describe('a parameter of a query', () => {
  it('of nonsense is refused, never a fault', async () => {
    const desk = desks.supervisor;
    for (const one of wanted.filter((operation) => operation.method === 'GET' && operation.roles.includes('supervisor'))) {
      const { json } = await Document.of(w);
      for (const said of one.parameters) {
        const parameter = said.$ref ? json.components.parameters[said.$ref.split('/').at(-1)] : said;
        if (parameter.in !== 'query') continue;
        for (const value of ["';--", '9'.repeat(30), '', '中'.repeat(500), '-1', '[]']) {
          const path = `${fill(one, idFor(one)?.('own') ?? '999999999')}?${parameter.name}=${encodeURIComponent(value)}`;
          const answer = await desk.get(path);
          assert.ok(answer.status < 500, `${one.id} ${path}: ${answer.status} ${answer.text}`);
        }
      }
      const answer = await desk.get(`${fill(one, idFor(one)?.('own') ?? '999999999')}?nonsense=1`);
      assert.equal(answer.status, 400, `${one.id}: ${answer.text}`);
    }
  });
});

describe('a session of another branch', () => {
  it('sees nothing of this one', async () => {
    await w.must(['--branch', 'elsewhere', 'user', 'add', 'boss-elsewhere', '--role', 'supervisor', '--password-stdin'], { stdin: password });
    const boss = await atDesk(w, 'boss-elsewhere');
    for (const one of wanted.filter((operation) => operation.roles.includes('supervisor') && idFor(operation)))
      for (const whose of ['own', 'foreign']) {
        const answer = await ask(boss, one, idFor(one)(whose));
        assert.equal(answer.status, 404, `${one.id}: ${answer.text}`);
      }
    for (const one of wanted.filter((operation) => operation.roles.includes('supervisor') && operation.method === 'GET' && !operation.names.length)) {
      const answer = await ask(boss, one, '');
      if (answer.status !== 200) continue; // it wants a parameter
      const text = answer.text;
      for (const code of ['R1', 'R7', 'A1', 'AM1', 'AM3', 'S1', made.own.order, made.foreign.complaint])
        assert.equal(text.includes(`"${code}"`), false, `${one.id} shows ${code}: ${text.slice(0, 500)}`);
    }
  });
});
