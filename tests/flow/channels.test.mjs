// Notifications by other ways than webhooks: robots that throttle and say so in a 200, a mail relay with its
// moods, digests, limits kept by several daemons. Every test has a manager of its own.
import { after, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { DingTalk, WeCom } from './lib/robot.mjs';
import { MailRelay } from './lib/mailrelay.mjs';
import { Sink } from './lib/sink.mjs';
import { eventually, pause } from './lib/eventually.mjs';
import { batched, complaint, structured } from './lib/events.mjs';
import { hurryAttempts, notifications } from './lib/look.mjs';

const refusals = {};
const relay = await MailRelay.start({
  user: { name: 'desk', password: 'pass word' },
  refuse: (verb, n, argument) => refusals[verb]?.(n, argument),
});
const w = await world({ daemon: false });
const managers = 30;
const range = Array.from({ length: managers }, (_, i) => i + 1);
await w.import(
  'people',
  ['code,name,role,reports_to', 'CBOSS,片区主任,market_manager,', ...range.map((i) => `C${i},经理${i},account_manager,CBOSS`)].join('\n'),
);
await w.import(
  'retailers',
  ['code,name,phones,manager', ...range.map((i) => `S${i},福源便利店${i},154020${String(i).padStart(5, '0')},C${i}`)].join('\n'),
);
const mailEnv = {
  RINGBACK_SMTP_RELAY: relay.url,
  RINGBACK_SMTP_FROM: 'desk@ringback.test',
  RINGBACK_SMTP_USER: 'desk',
  RINGBACK_SMTP_PASSWORD_FILE: await w.file('smtp-password', 'pass word\n'),
  RINGBACK_SMTP_TLS: 'none',
};
Object.assign(w.env, mailEnv);
await w.start();

const open = [relay];
after(() => Promise.all(open.map((one) => one.close())));
const opened = (one) => (open.push(one), one);
const boss = opened(await Sink.start());
await w.addTarget('CBOSS', boss.url());

let taken = 0;
const someone = () => ({ manager: `C${++taken}`, retailer: `S${taken}` });
async function raise(retailer, data = {}) {
  const answer = await w.post(structured(complaint({ retailer, text: '箱子破了', ...data })));
  assert.equal(answer.status, 200, answer.text);
  return answer.json.complaint;
}
async function raiseMany(retailer, n) {
  const references = [];
  for (let left = n; left > 0; left -= 200) {
    const part = Array.from({ length: Math.min(left, 200) }, () => complaint({ retailer, text: '箱子破了' }));
    const answer = await w.post(batched(part));
    assert.equal(answer.status, 200, answer.text);
    references.push(...answer.json.map((one) => one.complaint.reference));
  }
  return references;
}
async function robotOf(kind, manager, options, { stdin } = {}) {
  const robot = opened(await kind.start(options));
  const args = ['target', 'add', manager, kind === WeCom ? 'wecom' : 'dingtalk', robot.url()];
  const { stdout } = await w.must(stdin ? [...args, '--secret-stdin'] : args, { stdin });
  assert.equal(stdout, '', 'there is no new secret');
  return robot;
}
const targetOf = (manager, channel) =>
  w.db.row(
    `SELECT t.* FROM targets t JOIN people p USING (branch_id, person_id) WHERE p.code = $1 AND ($2::text IS NULL OR t.channel = $2)
     ORDER BY t.target_id DESC LIMIT 1`,
    [manager, channel],
  );
const attempts = (followUp) =>
  w.db.rows(
    `SELECT a.* FROM notification_attempts a JOIN notifications n USING (branch_id, notification_id) WHERE follow_up_id = $1
     ORDER BY a.finished_at`,
    [followUp],
  );
const settled = (followUp, wanted, timeout = 15_000) =>
  eventually(async () => (await notifications(w.db, followUp)).some((note) => note.state === wanted), {
    timeout,
    what: `${wanted} notification of ${followUp}`,
  });
const tried = (followUp, n = 1) =>
  eventually(async () => (await attempts(followUp)).length >= n, { what: `${n} attempts`, timeout: 15_000 });
async function again(followUp) {
  await hurryAttempts(w.db, followUp);
  await w.db.force(
    `UPDATE buckets b SET last_at = NULL, rest_until = NULL FROM notifications n JOIN targets t USING (branch_id, target_id)
     WHERE n.follow_up_id = $1 AND b.bucket = t.bucket`,
    [followUp],
  );
}

describe('a WeCom robot', { concurrency: true }, () => {
  it('gets what a manager must know, in words, with a link that is whole', async () => {
    const { manager, retailer } = someone();
    const robot = await robotOf(WeCom, manager);
    const { follow_up: id, reference } = await raise(retailer, { kind: 'request', text: '请补送一箱' });
    await settled(id, 'delivered');
    const { text, json } = robot.messages[0];
    assert.deepEqual(Object.keys(json), ['msgtype', 'markdown']);
    const due = await w.db.value(
      `SELECT to_char(due_at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD HH24:MI') FROM follow_ups WHERE follow_up_id = $1`,
      [id],
    );
    for (const part of [`【已指派】请求 ${reference} 福源便利店`, retailer, '请补送一箱', due, manager])
      assert.ok(text.includes(part), `${part} in ${text}`);
    const { body } = (await notifications(w.db, id))[0];
    const url = JSON.parse(body).data.acknowledge_url;
    assert.ok(url && text.endsWith(`[确认收到](${url})`), text);
  });

  it('is known by its key, which is shown nowhere', async () => {
    const { manager, retailer } = someone();
    const robot = await robotOf(WeCom, manager);
    const { follow_up: id } = await raise(retailer);
    await settled(id, 'delivered');
    const { stdout } = await w.must(['target', 'list', '--json']);
    assert.ok(stdout.includes('webhook/send?key=…5aaa'), stdout);
    assert.ok(!stdout.includes(robot.key));
    const everything = JSON.stringify([
      await w.db.rows('SELECT * FROM targets'),
      await w.db.rows('SELECT * FROM buckets'),
      await w.db.rows('SELECT * FROM audit_log'),
    ]);
    assert.ok(!everything.includes(robot.key), 'the key is in the database');
    assert.ok(!w.daemon.lines.join('\n').includes(robot.key), 'the key is in the log');
    const twice = await w.tool(['target', 'add', manager, 'wecom', robot.url()]);
    assert.equal(twice.code, 1);
    assert.match(twice.stderr, /has this target already/);
    assert.ok(!twice.stderr.includes(robot.key));
  });

  it('has not taken what it answers with an error inside a 200, nor with what nobody understands', async () => {
    const { manager, retailer } = someone();
    const answers = [{ errcode: -1, errmsg: 'system busy' }, { status: 200, body: '<html>' }, { status: 200, body: '{}' }];
    const robot = await robotOf(WeCom, manager, { script: (n) => answers[n] });
    const { follow_up: id } = await raise(retailer);
    for (let n = 1; n <= answers.length; n++) {
      await tried(id, n);
      assert.equal((await notifications(w.db, id))[0].state, 'waiting');
      await again(id);
    }
    await settled(id, 'delivered');
    assert.equal(robot.messages.length, 1);
    assert.deepEqual(
      (await attempts(id)).map((one) => [one.status, one.error]),
      [
        [200, 'errcode -1: refused'],
        [200, 'answer that cannot be understood'],
        [200, 'answer without an errcode'],
        [200, null],
      ],
    );
  });

  it('is left alone for a minute when it says that it is too much', async () => {
    const { manager, retailer } = someone();
    const robot = await robotOf(WeCom, manager, { script: (n) => (n ? undefined : { errcode: 45009, errmsg: 'freq' }) });
    const { follow_up: id } = await raise(retailer);
    await tried(id);
    const { rest } = await w.db.row(
      `SELECT extract(epoch FROM b.rest_until - a.finished_at)::float8 AS rest FROM notification_attempts a
       JOIN notifications n USING (branch_id, notification_id) JOIN targets t USING (branch_id, target_id)
       JOIN buckets b USING (branch_id, bucket) WHERE n.follow_up_id = $1`,
      [id],
    );
    assert.ok(rest >= 60 && rest < 62, `${rest} s`);
    const later = await raise(retailer);
    await pause(1500);
    assert.equal(robot.sink.requests.length, 1, 'nobody writes to it meanwhile');
    await again(id);
    await settled(later.follow_up, 'delivered');
  });

  it('that is gone is retired, and the notification goes up the line at once', async () => {
    const { manager, retailer } = someone();
    const robot = await robotOf(WeCom, manager);
    robot.key = 'another';
    const { follow_up: id } = await raise(retailer);
    await settled(id, 'passed_on');
    await settled(id, 'delivered');
    assert.equal((await targetOf(manager)).retired_because, 'gone: errcode 93000: there is no such robot');
  });

  it('shows what was said as text: no links, no mentions, nothing that calls everybody', async () => {
    const { manager, retailer } = someone();
    const robot = await robotOf(WeCom, manager);
    const text = '[点我](http://evil.test/x) <@all> @all **急**\n# 大\n<font color="info">a</font> www.evil.test `x` \u202e反';
    await raise(retailer, { text });
    await eventually(() => robot.messages.length);
    const said = robot.messages[0].text;
    assert.equal(said.match(/\[/g).length, 1, 'one link, ours');
    for (const bad of ['<@', '@all', 'http://evil', 'evil.test', '\n#', '\u202e', '`', '<font color="info">'])
      assert.ok(!said.includes(bad), `${JSON.stringify(bad)} in ${said}`);
    assert.ok(said.includes('点我') && said.includes('急'), 'but all of it can be read');
  });

  it('gets a long text cut between characters, within its bytes, and the link all the same', async () => {
    const { manager, retailer } = someone();
    const robot = await robotOf(WeCom, manager);
    await raise(retailer, { text: '很长😀'.repeat(1333) });
    await eventually(() => robot.messages.length);
    const said = robot.messages[0].text;
    const bytes = Buffer.byteLength(said);
    assert.ok(bytes <= 4096 && bytes > 4080, `${bytes} bytes`);
    assert.ok(said.includes('…') && !said.includes('\ufffd'));
    assert.match(said, /\]\(http:\/\/console\.test\/\S+\)$/);
  });

  it('gets many of one minute as a list that names each', async () => {
    const { manager, retailer } = someone();
    const robot = await robotOf(WeCom, manager);
    const first = await raise(retailer);
    await settled(first.follow_up, 'delivered');
    const references = await raiseMany(retailer, 45);
    await eventually(() => robot.messages.length >= 2, { timeout: 15_000 });
    const list = robot.messages[1];
    assert.match(list.text, /^\*\*45 件通知\*\*/);
    assert.match(list.text, /另有 \d+ 件：/);
    for (const reference of references) assert.ok(list.text.includes(reference), reference);
    assert.ok(list.at - robot.messages[0].at >= 9_000, 'gathered');
    const states = await eventually(async () => {
      const rows = await w.db.rows(
        `SELECT n.state, count(*)::int AS n FROM notifications n JOIN targets t USING (branch_id, target_id) JOIN people p
         ON p.person_id = t.person_id WHERE p.code = $1 GROUP BY 1`,
        [manager],
      );
      return rows.length === 1 && rows;
    });
    assert.deepEqual(states, [{ state: 'delivered', n: 46 }], 'each has its own outcome');
  });
});

describe('a DingTalk robot', { concurrency: true }, () => {
  it('gets a card, signed freshly at every attempt', async () => {
    const { manager, retailer } = someone();
    const secret = 'SECtest0123456789';
    const robot = await robotOf(DingTalk, manager, { secret, script: (n) => (n ? undefined : 503) }, { stdin: `${secret}\n` });
    const { follow_up: id, reference } = await raise(retailer);
    await tried(id);
    await pause(10);
    await again(id);
    await settled(id, 'delivered');
    const stamps = robot.sink.requests.map((one) => /timestamp=(\d+)/.exec(one.path)[1]);
    assert.notEqual(stamps[0], stamps[1]);
    const { json } = robot.messages[0];
    const { body } = (await notifications(w.db, id))[0];
    assert.equal(json.msgtype, 'actionCard');
    assert.equal(json.actionCard.singleURL, JSON.parse(body).data.acknowledge_url);
    assert.ok(json.actionCard.title.includes(reference) && json.actionCard.text.includes('箱子破了'));
  });

  it('with the wrong secret is retired, and says why', async () => {
    const { manager, retailer } = someone();
    await robotOf(DingTalk, manager, { secret: 'SECright' }, { stdin: 'SECwrong' });
    const { follow_up: id } = await raise(retailer);
    await settled(id, 'passed_on');
    assert.match((await targetOf(manager)).retired_because, /^gone: errcode 310000: keyword, signature or our address do not match the robot.s settings$/);
  });

  it('that has blocked us is left alone for ten minutes', async () => {
    const { manager, retailer } = someone();
    const other = someone();
    await robotOf(DingTalk, manager, { limit: 0 });
    await robotOf(DingTalk, other.manager, { script: () => ({ errcode: 0, punish: 'deny', wait: 5 }) });
    const ids = [(await raise(retailer)).follow_up, (await raise(other.retailer)).follow_up];
    for (const id of ids) {
      await tried(id);
      const rest = await w.db.value(
        `SELECT extract(epoch FROM b.rest_until - now())::float8 FROM notifications n JOIN targets t USING (branch_id, target_id)
         JOIN buckets b USING (branch_id, bucket) WHERE n.follow_up_id = $1`,
        [id],
      );
      assert.ok(rest > 580 && rest <= 600, `${rest} s`);
      assert.equal((await notifications(w.db, id))[0].state, 'waiting');
    }
  });
});

describe('e-mail', () => {
  const mailTo = async (manager) => {
    await w.must(['target', 'add', manager, 'email', `${manager.toLowerCase()}@shop.test`]);
    return () => relay.mails.filter((mail) => mail.to === `${manager.toLowerCase()}@shop.test`);
  };
  it('goes to the relay with all that a mail needs', async () => {
    const { manager, retailer } = someone();
    const mails = await mailTo(manager);
    const { follow_up: id, reference } = await raise(retailer, { text: '.\n.. 箱子\r\nBcc: x@y.test\n破了' });
    await settled(id, 'delivered');
    const [mail] = mails();
    const [{ notification_id: note, body }] = await notifications(w.db, id);
    assert.equal(mail.user, 'desk');
    assert.equal(mail.from, 'desk@ringback.test');
    assert.equal(mail.headers['message-id'], `<${note}@ringback.test>`);
    assert.equal(mail.headers.subject, `【已指派】投诉 ${reference} 福源便利店${retailer.slice(1)}`);
    assert.equal(mail.headers['auto-submitted'], 'auto-generated');
    assert.ok(Math.abs(Date.parse(mail.headers.date) - Date.now()) < 60_000, mail.headers.date);
    assert.equal(mail.headers.bcc, undefined);
    assert.ok(mail.text.includes('箱子') && mail.text.includes(JSON.parse(body).data.acknowledge_url), mail.text);
    assert.ok(mail.raw.every((line) => line.length <= 78 && /^[\x20-\x7e]*$/.test(line)));
  });

  it('that is greylisted or broken off comes again, with the same Message-ID', async () => {
    const { manager, retailer } = someone();
    const mails = await mailTo(manager);
    const troubles = [
      { RCPT: () => '450 4.2.0 greylisted' },
      { LINE: (n) => n === 8 && 'drop' },
      { END: () => 'drop' },
      { MAIL: () => '535 5.7.0 who are you' },
    ];
    const before = relay.tries.length;
    Object.assign(refusals, troubles[0]);
    const { follow_up: id } = await raise(retailer);
    for (let n = 1; n <= troubles.length; n++) {
      await tried(id, n);
      assert.equal((await notifications(w.db, id))[0].state, 'waiting');
      for (const verb of Object.keys(refusals)) delete refusals[verb];
      Object.assign(refusals, troubles[n]);
      await again(id);
    }
    await settled(id, 'delivered');
    assert.equal(mails().length, 1);
    const ids = new Set(relay.tries.slice(before).map((mail) => mail.headers['message-id']));
    assert.equal(ids.size, 1);
    assert.deepEqual(
      (await attempts(id)).map((one) => one.status),
      [450, null, null, 535, 250],
    );
  });

  it('to a mailbox that is none goes to the next channel; what the relay will never take is given up', async () => {
    const { manager, retailer } = someone();
    const other = someone();
    await mailTo(manager);
    await mailTo(other.manager);
    refusals.RCPT = (_, argument) => argument.includes(`<${manager.toLowerCase()}@`) && '550 5.1.1 no such user';
    refusals.END = () => '554 5.7.1 looks like spam';
    const gone = await raise(retailer);
    const spam = await raise(other.retailer);
    await settled(gone.follow_up, 'passed_on');
    await settled(spam.follow_up, 'failed');
    for (const verb of Object.keys(refusals)) delete refusals[verb];
    assert.equal((await targetOf(manager)).retired_because, 'gone: there is no such mailbox');
    assert.equal((await targetOf(other.manager)).retired_at, null);
    const answer = await w.must(['notification', 'resend', '--failed']);
    assert.match(answer.stdout, /^1 to be sent again/);
    await settled(spam.follow_up, 'delivered');
  });

  it('by a relay that hangs keeps nobody else waiting', async () => {
    const { manager, retailer } = someone();
    await mailTo(manager);
    refusals.EHLO = () => 'hang';
    const { follow_up: id } = await raise(retailer);
    const sink = opened(await Sink.start());
    const other = someone();
    await w.addTarget(other.manager, sink.url());
    const begin = Date.now();
    await raise(other.retailer);
    await eventually(() => sink.requests.length, { timeout: 3_000 });
    assert.ok(Date.now() - begin < 2_000);
    await tried(id);
    delete refusals.EHLO;
    assert.equal((await attempts(id))[0].error, 'no answer in time');
  });
});

describe('the limit of a robot', () => {
  // Ten times faster: the buckets' time is moved along with the robot's minute.
  it('is never exceeded, by two daemons in a storm, and nothing is forgotten', async () => {
    const { manager, retailer } = someone();
    await w.start();
    const robot = await robotOf(DingTalk, manager, { minute: 6_000 });
    let moved = Date.now();
    const hurry = setInterval(() => {
      const by = (Date.now() - moved) * 9;
      moved = Date.now();
      w.db.force(`UPDATE buckets SET filled_at = filled_at - $1 * interval '1 ms', last_at = last_at - $1 * interval '1 ms'
                  WHERE bucket LIKE 'dingtalk:%'`, [by]);
    }, 50);
    try {
      const references = await raiseMany(retailer, 1200);
      await eventually(() => references.every((one) => robot.messages.some((message) => message.text.includes(one))), {
        timeout: 40_000,
        every: 200,
        what: 'all named',
      });
    } finally {
      clearInterval(hurry);
    }
    assert.equal(robot.throttled, 0);
    assert.ok(robot.messages.length <= 40, `${robot.messages.length} messages`);
  });
});

describe('the tool', () => {
  it('tries a target out, and says what came of it', async () => {
    const { manager } = someone();
    const robot = await robotOf(WeCom, manager);
    const { target_id: id } = await targetOf(manager);
    const good = await w.must(['target', 'test', String(id)]);
    assert.equal(good.stdout, 'delivered\n');
    assert.ok(robot.messages[0].text.includes('测试'));
    robot.key = 'another';
    const bad = await w.tool(['target', 'test', String(id)]);
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /not delivered: status 200, errcode 93000/);
  });

  it('sets which of his channels is used first', async () => {
    const { manager, retailer } = someone();
    const first = await robotOf(WeCom, manager);
    const sink = opened(await Sink.start());
    await w.must(['target', 'add', manager, 'webhook', sink.url(), '--position', '1']);
    await raise(retailer);
    await eventually(() => sink.requests.length);
    const { target_id: id } = await targetOf(manager, 'wecom');
    await w.must(['target', 'move', String(id), '1']);
    await raise(retailer);
    await eventually(() => first.messages.length);
    assert.equal(sink.requests.length, 1);
  });

  it('takes a signing secret of any length, and says what is no secret', async () => {
    const { manager } = someone();
    const add = (stdin) =>
      w.tool(['target', 'add', manager, 'dingtalk', 'https://oapi.test/robot/send?access_token=x', '--secret-stdin'], { stdin });
    const refused = await add('secret\n');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^ringback: this is no target by dingtalk: .* it begins with SEC$/m);
    assert.doesNotMatch(refused.stderr, /password/);
    assert.equal((await add('SECtest\n')).code, 0);
  });

  for (const [channel, address, why] of [
    ['wecom', 'https://qyapi.test/cgi-bin/webhook/send', /\?key=/],
    ['dingtalk', 'https://oapi.test/robot/send?token=x', /access_token=/],
    ['email', 'a@b.test, c@d.test', /no e-mail address/],
    ['email', 'a@b.test\r\nBcc: c@d.test', /no e-mail address/],
    ['console', 'desk', /the word console/],
    ['pigeon', 'x', /there is no channel "pigeon"/],
  ])
    it(`refuses ${channel} ${JSON.stringify(address)}`, async () => {
      const { code, stderr } = await w.tool(['target', 'add', 'C1', channel, address]);
      assert.equal(code, 1);
      assert.match(stderr, why);
    });
});
