// The administrator's tool: every command, what it prints, how it ends, and what it leaves in the database.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { world } from './lib/world.mjs';
import { theCluster } from './lib/cluster.mjs';
import { eventually } from './lib/eventually.mjs';
import { count } from './lib/look.mjs';
import { complaint, order, structured } from './lib/events.mjs';

const w = await world({ daemon: false, gateways: [] });
const secret = /^whsec_[A-Za-z0-9+/]{32,}={0,2}\n$/;
const commands = [
  ['migrate'],
  ['branch', 'add'],
  ['import', 'people'],
  ['user', 'add'],
  ['gateway', 'add'],
  ['target', 'add'],
  ['send'],
  ['status'],
];

// The tool's exit code with its words, which are on stderr, one fault a line.
async function refused(args, patterns, options) {
  const done = await w.tool(args, options);
  assert.equal(done.code, 1, `${args.join(' ')}: ${done.code} ${done.stdout}${done.stderr}`);
  for (const pattern of [patterns].flat()) assert.match(done.stderr, pattern);
  return done;
}

const importing = async (kind, csv) => w.tool(['import', kind, await w.file(`${kind}.csv`, csv)]);

// A file's faults as [line, column] with the reasons they must name.
async function faulty(kind, csv, wanted) {
  const done = await importing(kind, csv);
  assert.equal(done.code, 1, done.stdout + done.stderr);
  const lines = done.stderr
    .trim()
    .split('\n')
    .filter((line) => /\bline \d+|:\d+[:,]/.test(line));
  for (const [line, column, reason] of wanted) {
    const found = lines.find(
      (text) => new RegExp(`(line |:)${line}\\b`).test(text) && text.includes(column) && reason.test(text),
    );
    assert.ok(found, `no fault of line ${line}, column ${column}, ${reason}:\n${done.stderr}`);
  }
  assert.equal(lines.length, wanted.length, done.stderr);
}

async function imported(kind, csv) {
  const done = await importing(kind, csv);
  assert.equal(done.code, 0, done.stderr);
  return done;
}

const retailer = (code) =>
  w.db.row(
    `SELECT r.*, a.code AS area, t.code AS route, m.code AS manager,
            (SELECT array_agg(phone ORDER BY position) FROM retailer_phones h WHERE h.retailer_id = r.retailer_id) AS phones
     FROM retailers r LEFT JOIN areas a USING (branch_id, area_id) LEFT JOIN routes t USING (branch_id, route_id)
     LEFT JOIN people m ON m.person_id = r.manager_id WHERE r.code = $1`,
    [code],
  );

// Everything that an import may change, but for the book of what was done.
async function everything() {
  const tables = [
    'people',
    'person_phones',
    'retailers',
    'retailer_phones',
    'retailer_changes',
    'products',
    'product_substitutes',
    'caps',
    'areas',
    'routes',
  ];
  const all = {};
  for (const table of tables)
    all[table] = await w.db.rows(`SELECT to_jsonb(t) - 'cap_id' AS row FROM ${table} t ORDER BY 1`);
  return JSON.stringify(all);
}

describe('usage', () => {
  it('is 2 when it is wrong', async () => {
    for (const args of [
      [],
      ['frobnicate'],
      ['import'],
      ['import', 'people'],
      ['import', 'cats', 'x.csv'],
      ['gateway'],
      ['gateway', 'add'],
      ['target', 'add', 'AM1'],
      ['--nothing'],
      ['migrate', '--nothing'],
      ['branch', 'add'],
      ['user', 'add', 'x'],
    ]) {
      const done = await w.tool(args);
      assert.equal(done.code, 2, `${args.join(' ')}: ${done.code} ${done.stderr}`);
      assert.ok(done.stderr.length > 0);
      assert.equal(done.stdout, '');
    }
  });

  it('is told by --help on each command', async () => {
    for (const args of [[], ...commands]) {
      const done = await w.tool([...args, '--help']);
      assert.equal(done.code, 0, args.join(' '));
      assert.match(done.stdout, /[Uu]sage/);
    }
  });

  it('has a version', async () => {
    const version = (await readFile(join(import.meta.dirname, '../../VERSION'), 'utf8')).trim();
    assert.match((await w.must(['--version'])).stdout, new RegExp(version.replaceAll('.', '\\.')));
  });
});

describe('a secret', () => {
  it('of a gateway is all that is on stdout', async () => {
    const { stdout } = await w.must(['gateway', 'add', 'pbx-1']);
    assert.match(stdout, secret);
    const again = await refused(['gateway', 'add', 'pbx-1'], /pbx-1/);
    assert.equal(again.stdout, '');
  });

  it('of a target is all that is on stdout', async () => {
    const { stdout } = await w.must(['target', 'add', 'AM1', 'webhook', 'http://127.0.0.1:9/x']);
    assert.match(stdout, secret);
    await refused(['target', 'add', 'AM1', 'webhook', 'http://127.0.0.1:9/x'], /./);
    await refused(['target', 'add', 'AM404', 'webhook', 'http://127.0.0.1:9/x'], /AM404/);
    for (const address of ['ftp://x.test/', 'nonsense', '', 'file:///etc/passwd'])
      assert.ok([1, 2].includes((await w.tool(['target', 'add', 'AM1', 'webhook', address])).code), address);
    assert.ok([1, 2].includes((await w.tool(['target', 'add', 'AM1', 'pigeon', 'http://127.0.0.1:9/x'])).code));
    assert.equal(await count(w.db, 'targets'), 1);
  });

  it('is sealed in the database, under a key that only its owner reads', async () => {
    const key = await stat(join(w.state, 'secret.key'));
    assert.equal(key.mode & 0o777, 0o600);
    const { stdout } = await w.must(['gateway', 'add', 'sealed']);
    const dump = JSON.stringify(await w.db.rows("SELECT g.*, encode(sealed_key, 'escape') AS e FROM gateways g"));
    assert.ok(!dump.includes(stdout.trim()) && !dump.includes(stdout.trim().slice(6, 30)));
  });
});

describe('an import', () => {
  it('takes columns in any order, a BOM, CRLF, quotes and a last line without its end', async () => {
    await imported('people', '\ufeffname,role,"code"\r\n"王 ""小"", 一",operator,Q1\r\n李四,"operator",Q2');
    const names = await w.db.rows("SELECT code, name FROM people WHERE code LIKE 'Q%' ORDER BY 1");
    assert.deepEqual(names, [
      { code: 'Q1', name: '王 "小", 一' },
      { code: 'Q2', name: '李四' },
    ]);
  });

  it('lets rows refer forward', async () => {
    await imported(
      'people',
      'code,name,role,reports_to,deputy\nF1,甲,account_manager,F2,F3\nF2,乙,market_manager,,\nF3,丙,account_manager,F2,F1\n',
    );
    const up = await w.db.value(
      "SELECT u.code FROM people p JOIN people u ON u.person_id = p.reports_to_id WHERE p.code = 'F1'",
    );
    assert.equal(up, 'F2');
    await imported('products', 'code,name,price_fen,substitutes\nFP1,甲,1,FP2\nFP2,乙,2,FP1\n');
  });

  it('changes nothing when it comes again', async () => {
    for (const kind of ['people', 'products', 'retailers', 'caps']) {
      const csv = await readFile(join(import.meta.dirname, 'data', `${kind}.csv`), 'utf8');
      await imported(kind, csv);
      const before = await everything();
      await imported(kind, csv);
      assert.equal(await everything(), before, kind);
    }
  });

  it('keeps what the file does not have, and clears what is empty', async () => {
    const before = await retailer('R1');
    await imported(
      'retailers',
      'code,name,phones,manager,tier,family\nR1,东街一号店,15400010001;0416-5550001,AM1,3,\n',
    );
    const after = await retailer('R1');
    assert.deepEqual([after.tier, after.family], [3, null]);
    assert.deepEqual({ ...after, tier: 0, family: 0, changed_at: 0 }, { ...before, tier: 0, family: 0, changed_at: 0 });
    assert.equal((await retailer('R2')).code, 'R2', 'rows that are not in the file stay');
    const [change] = await w.db.rows(
      "SELECT c.* FROM retailer_changes c JOIN retailers r USING (branch_id, retailer_id) WHERE r.code = 'R1' ORDER BY change_id DESC LIMIT 1",
    );
    assert.deepEqual(
      [change.old_values, change.new_values],
      [
        { tier: 4, family: '三口之家' },
        { tier: 3, family: null },
      ],
    );
  });

  it('makes a retailer’s phones what the row says', async () => {
    await imported('retailers', 'code,name,phones,manager\nR9,西街九号店,15400019999; +86 154 0001 9998 ,AM4\n');
    assert.deepEqual((await retailer('R9')).phones, ['+8615400019999', '+8615400019998']);
  });

  it('replaces all caps', async () => {
    await imported('caps', 'product,cartons,retailer\nA1,5,\nA1,7,R1\n');
    assert.equal(await count(w.db, 'caps'), 2);
    await imported('caps', 'product,cartons\n');
    assert.equal(await count(w.db, 'caps'), 0);
  });

  it('takes all of a file or nothing', async () => {
    const before = await everything();
    await faulty('products', 'code,name,price_fen\nG1,好,100\nG2,好,100\nG3,坏,dear\n', [[4, 'price_fen', /./]]);
    assert.equal(await everything(), before);
  });

  it('names line, column and reason of every fault', async () => {
    await faulty(
      'people',
      'code,name,role,reports_to\nB1,甲,boss,\n,乙,operator,\nB3,,operator,\nB4,丁,operator,NOBODY\nB1,戊,operator,\n',
      [
        [2, 'role', /boss/],
        [3, 'code', /./],
        [4, 'name', /./],
        [5, 'reports_to', /NOBODY/],
        [6, 'code', /twice|2/],
      ],
    );
    await faulty(
      'retailers',
      'code,name,phones,manager,tier,class,order_day,settlement,market_type,compliance,monthly_volume\n' +
        'B1,店,,AM1,,,,,,,\nB2,店,12,AM404,5,,,,,,\nB3,店,15400010101;呼叫,AM1,0,gold,8,iou,moon,ugly,-3\nB4,店,15400010102,,,,,,,,x\nB5,店,15400010103,OP1,,,,,,,\n',
      [
        [2, 'phones', /./],
        [3, 'phones', /12/],
        [3, 'manager', /AM404/],
        [3, 'tier', /5/],
        [4, 'phones', /./],
        [4, 'tier', /0/],
        [4, 'class', /gold/],
        [4, 'order_day', /8/],
        [4, 'settlement', /iou/],
        [4, 'market_type', /moon/],
        [4, 'compliance', /ugly/],
        [4, 'monthly_volume', /-3/],
        [5, 'manager', /./],
        [5, 'monthly_volume', /x/],
        [6, 'manager', /./],
      ],
    );
    await faulty(
      'products',
      'code,name,price_fen,price_class,scarce,controlled,substitutes\nB1,甲,-1,6,maybe,yes,NONE\nB2,乙,1.5,1,true,false,B2\n',
      [
        [2, 'price_fen', /-1/],
        [2, 'price_class', /6/],
        [2, 'scarce', /maybe/],
        [2, 'controlled', /yes/],
        [2, 'substitutes', /NONE/],
        [3, 'price_fen', /1\.5/],
        [3, 'substitutes', /itself/],
      ],
    );
    await faulty(
      'caps',
      'product,cartons,tier,area,retailer\nNONE,1,,,\nA1,-1,,,\nA1,1,9,,\nA1,1,,moon,\nA1,1,,,R404\n',
      [
        [2, 'product', /NONE/],
        [3, 'cartons', /-1/],
        [4, 'tier', /9/],
        [5, 'area', /moon/],
        [6, 'retailer', /R404/],
      ],
    );
  });

  it('refuses columns it does not know, lacks or has twice', async () => {
    await faulty('products', 'code,name,price_fen,colour\nC1,x,1,red\n', [[1, 'colour', /./]]);
    await faulty('products', 'code,name\nC1,x\n', [[1, 'price_fen', /./]]);
    await faulty('products', 'code,name,price_fen,name\nC1,x,1,y\n', [[1, 'name', /./]]);
    for (const csv of ['', '\n', '\ufeff'])
      assert.equal((await importing('products', csv)).code, 1, JSON.stringify(csv));
  });

  it('refuses text that is no CSV, by its line', async () => {
    for (const [csv, line] of [
      ['code,name,price_fen\nD1,x,1\nD2,"x,1\n', 3],
      ['code,name,price_fen\nD1,x"y,1\n', 2],
      ['code,name,price_fen\nD1,x\n', 2],
      ['code,name,price_fen\nD1,x,1,2\n', 2],
      [Buffer.from([...Buffer.from('code,name,price_fen\nD1,'), 0xb0, 0xa1, ...Buffer.from(',1\n')]), 2],
      ['code,name,price_fen\nD1,x\0y,1\n', 2],
    ]) {
      const done = await importing('products', csv);
      assert.equal(done.code, 1, JSON.stringify(String(csv)));
      assert.match(done.stderr, new RegExp(`(line |:)${line}\\b`), done.stderr);
    }
    assert.equal(await count(w.db, 'products', "code LIKE 'D%'"), 0);
  });

  it('takes a calendar with lunch, holidays and make-up workdays, once', async () => {
    const week = [1, 2, 3, 4, 5].map((day) => `weekly,${day},,08:30-11:30;13:30-17:30,,,\n`).join('');
    const calendar = `what,day,until,hours,follows,name,since\n${week}holiday,2026-10-01,2026-10-08,,,国庆节,\nworkday,2026-09-27,,,2,国庆节调休,\n`;
    const first = await importing('calendar', calendar);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /14 added/);
    const worked = () =>
      w.db.rows(
        `SELECT working_time_between(branch_id, '2026-09-27+08', '2026-10-10+08') = interval '35 hours' AS so, calendar_id FROM branches`,
      );
    const [{ so, calendar_id: id }] = await worked();
    assert.equal(so, true, 'a Sunday made up, three days before the holidays and two after them');
    await imported('calendar', calendar);
    assert.equal((await worked())[0].calendar_id, id, 'the same file makes no other calendar');
    for (const [row, line, column] of [
      ['weekly,8,,08:30-11:30,,,', 9, 'day'],
      ['holiday,2026-02-30,,,,,', 9, 'day'],
      ['holiday,2026-10-05,,,,,', 9, 'day'],
      ['workday,2026-10-10,,,,国庆节调休,', 9, 'follows'],
      ['special,2026-12-31,,8:30-25:00,,,', 9, 'hours'],
      ['party,2026-12-31,,,,,', 9, 'what'],
    ]) {
      await faulty('calendar', `${calendar}${row}\n`, [[line, column, /./]]);
    }
    assert.equal((await worked())[0].calendar_id, id, 'faults change nothing');
    await imported('calendar', 'what,day\n');
    assert.deepEqual(await worked(), [{ so: null, calendar_id: null }], 'a file without rows takes it away');
  });

  it('refuses two caps that are equally specific and can meet, and names both lines', async () => {
    for (const csv of [
      'product,cartons,tier,area\nA1,1,4,\nA2,1,,\nA1,2,,east\n',
      'product,cartons,tier\nA1,1,4\nA2,1,\nA1,2,4\n',
    ]) {
      const done = await importing('caps', csv);
      assert.equal(done.code, 1, done.stdout);
      assert.match(done.stderr, /\b2\b/);
      assert.match(done.stderr, /\b4\b/);
    }
    await imported('caps', 'product,cartons,tier,area\nA1,1,4,\nA1,2,3,\nA1,3,4,east\nA1,9,,\n');
  });

  it('of a file that is not there is refused', async () => {
    await refused(['import', 'people', '/nowhere/people.csv'], /nowhere/);
  });

  it('of the whole sample branch is refused nothing, twice', async () => {
    const sample = theCluster().sample;
    await imported('caps', 'product,cartons\n');
    for (const kind of ['people', 'products', 'retailers', 'caps'])
      await w.must(['import', kind, join(sample, `${kind}.csv`)]);
    const before = await count(w.db, 'retailer_changes');
    await w.must(['import', 'retailers', join(sample, 'retailers.csv')]);
    assert.equal(await count(w.db, 'retailer_changes'), before);
  });
});

describe('a user', () => {
  it('is added once, with a password that is kept hashed', async () => {
    await w.must(['user', 'add', 'wang', '--role', 'account_manager', '--person', 'AM1', '--password-stdin'], {
      stdin: '一个够长的密码 12345\n',
    });
    const row = await w.db.row("SELECT role, password_hash FROM accounts WHERE name = 'wang'");
    assert.equal(row.role, 'account_manager');
    assert.match(row.password_hash, /^\$argon2id\$/);
    await refused(['user', 'add', 'wang', '--role', 'operator', '--password-stdin'], /wang/, {
      stdin: '一个够长的密码 12345\n',
    });
    await refused(['user', 'add', 'li', '--role', 'operator', '--person', 'P404', '--password-stdin'], /P404/, {
      stdin: '一个够长的密码 12345\n',
    });
    assert.ok(
      [1, 2].includes(
        (await w.tool(['user', 'add', 'li', '--role', 'king', '--password-stdin'], { stdin: '一个够长的密码 12345\n' }))
          .code,
      ),
    );
  });
});

describe('send', () => {
  it('posts events from JSON and JSON lines with the gateway’s own key', async () => {
    await w.must(['gateway', 'add', 'sender']);
    await w.start();
    const env = { RINGBACK_LISTEN_GATEWAY: `127.0.0.1:${w.daemon.gateway.port}` };
    const some = [
      order({ retailer: 'R1', lines: [{ product: 'A1', cartons: 1 }] }),
      complaint({ retailer: 'R1', text: '少一条' }),
    ];
    const one = await w.file('one.json', JSON.stringify(some[0], null, 2));
    const all = await w.file('all.json', JSON.stringify(some));
    const lines = await w.file('all.jsonl', some.map((event) => `${JSON.stringify(event)}\n`).join(''));
    for (const file of [one, all, lines])
      assert.equal((await w.tool(['send', file, '--gateway', 'sender'], { env })).code, 0, file);
    assert.equal(await count(w.db, 'events', 'event_id = ANY($1)', [some.map((event) => event.id)]), 2);
    const bad = await w.file(
      'bad.json',
      JSON.stringify(order({ retailer: 'R404', lines: [{ product: 'A1', cartons: 1 }] })),
    );
    assert.match((await refused(['send', bad, '--gateway', 'sender'], /unknown-retailer/, { env })).stderr, /./);
    await refused(['send', one, '--gateway', 'nobody'], /nobody/, { env });
    await refused(['send', '/nowhere.json', '--gateway', 'sender'], /nowhere/, { env });
    await refused(['send', await w.file('no.json', '{'), '--gateway', 'sender'], /./, { env });
  });

  it('is refused when no daemon listens', async () => {
    const file = await w.file(
      'any.json',
      JSON.stringify(order({ retailer: 'R1', lines: [{ product: 'A1', cartons: 1 }] })),
    );
    await refused(['send', file, '--gateway', 'sender'], /./, { env: { RINGBACK_LISTEN_GATEWAY: '127.0.0.1:9' } });
  });
});

describe('status', () => {
  it('is for people and for scripts', async () => {
    const { stdout } = await w.must(['status']);
    assert.ok(stdout.trim().length > 20, stdout);
    assert.equal(typeof JSON.parse((await w.must(['status', '--json'])).stdout), 'object');
  });
});

describe('what is imported', () => {
  it('is known to the daemon within a second', async () => {
    await imported('retailers', 'code,name,phones,manager\nNEW1,新店,15400017777,AM1\n');
    const gateway = await w.addGateway('fresh');
    const sent = structured(order({ caller: '15400017777', lines: [{ product: 'A1', cartons: 1 }] }));
    await eventually(async () => (await w.post(sent, { gateway })).status === 200, { timeout: 1000 });
  });
});

describe('branches', () => {
  it('are added once, and must be named when there are several', async () => {
    await w.must(['branch', 'add', 'north', '--name', '北方分公司']);
    await refused(['branch', 'add', 'north', '--name', '北方分公司'], /north/);
    const done = await w.tool(['gateway', 'add', 'whose']);
    assert.ok([1, 2].includes(done.code), 'which branch?');
    assert.match(done.stderr, /--branch/);
    await w.must(['gateway', 'add', 'northern', '--branch', 'north']);
    await refused(['gateway', 'add', 'lost', '--branch', 'nowhere'], /nowhere/);
    const branch = await w.db.value(
      "SELECT b.code FROM gateways g JOIN branches b USING (branch_id) WHERE g.name = 'northern'",
    );
    assert.equal(branch, 'north');
  });
});

describe('a database', () => {
  it('that is away is said so', async () => {
    const env = { RINGBACK_DATABASE: 'host=127.0.0.1 port=9 dbname=x user=x' };
    for (const args of [['status'], ['gateway', 'add', 'x'], ['migrate']]) await refused(args, /./, { env });
  });
});

describe('migrate', () => {
  it('does nothing the second time, and two at once get on', async () => {
    const empty = await world({ template: null, daemon: false, gateways: [] });
    const both = await Promise.all([empty.tool(['migrate']), empty.tool(['migrate'])]);
    assert.deepEqual(
      both.map((done) => done.code),
      [0, 0],
      both.map((done) => done.stderr).join('\n'),
    );
    const list = () => empty.db.rows('SELECT * FROM migrations ORDER BY name');
    const before = await list();
    assert.ok(before.length >= 5);
    await empty.must(['migrate']);
    assert.deepEqual(await list(), before);
    assert.equal(await count(empty.db, 'branches'), 1, 'the first branch is made');
  });

  it('is refused when a script that ran here was changed since', async () => {
    const empty = await world({ template: null, daemon: false, gateways: [] });
    await empty.must(['migrate']);
    await empty.db.force("UPDATE migrations SET checksum = 'other' WHERE name = (SELECT min(name) FROM migrations)");
    const done = await empty.tool(['migrate']);
    assert.equal(done.code, 1, done.stderr);
  });
});
