// Log-in, sessions, and who may do what from where: section 6 of what callers rely on.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { Desk, atDesk, password } from './lib/desk.mjs';
import { eventually } from './lib/eventually.mjs';
import { Wire } from './lib/client.mjs';

// Each test that fails log-ins is a client of its own: the proxy it says it comes through is trusted.
const w = await world({ env: { RINGBACK_TRUSTED_PROXIES: '127.0.0.1' } });
let clients = 0;
const from = (address = `198.51.100.${++clients}`) => ({ headers: { 'x-forwarded-for': address } });
const nobody = new Desk(w, 'nobody');

describe('logging in', () => {
  it('gives who one is, a cookie and the CSRF token', async () => {
    const desk = new Desk(w, 'am1');
    const answer = await desk.logIn();
    assert.equal(answer.status, 200, answer.text);
    const { csrf, ...rest } = answer.json;
    assert.deepEqual(rest, { name: 'am1', role: 'account_manager', person: 'AM1' });
    assert.match(csrf, /^[\w-]{43}$/);
    const [cookie, ...attributes] = answer.headers['set-cookie'][0].split('; ');
    assert.match(cookie, /^ringback=[\w-]{43}$/);
    assert.deepEqual(attributes.sort(), ['HttpOnly', 'Path=/', 'SameSite=Strict']);
    assert.deepEqual((await desk.get('/session')).json, answer.json, 'and repeats it');
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    assert.match(answer.headers['content-security-policy'], /frame-ancestors 'none'/);
  });

  it('knows an account without a person', async () => {
    assert.deepEqual((await atDesk(w, 'admin')).session.person, null);
  });

  it('says of a wrong name what it says of a wrong password', async () => {
    const wrong = await new Desk(w, 'am2').logIn('another password', from());
    const unknown = await new Desk(w, 'nobody').logIn(password, from());
    assert.equal(wrong.status, 401);
    assert.equal(wrong.code, 'unauthorized');
    assert.equal(wrong.text, unknown.text);
    assert.equal(wrong.headers['set-cookie'], undefined);
  });

  it('wants JSON of a name and a password', async () => {
    const refused = async (body, headers) => (await nobody.post('/session', body, { headers })).status;
    assert.equal(await refused('{"name": "am1"'), 400);
    assert.equal(await refused({ name: 'am1' }), 422);
    assert.equal(await refused({ name: 'am1', password, admin: true }), 422);
    assert.equal(await refused({ name: 'am1', password: 'x'.repeat(1024) }), 422);
    assert.equal(await refused({ name: 'am1', password: 'x'.repeat(9000) }), 413);
    assert.equal(await refused(`name=am1&password=${password}`, { 'content-type': 'application/x-www-form-urlencoded' }), 415);
  });
});

describe('failed log-ins', () => {
  const fail = (name, times, options) =>
    Promise.all(Array.from({ length: times }, () => new Desk(w, name).logIn('another password', options)));

  it('are throttled by account, whether it exists or not', async () => {
    for (const name of ['am3', 'no such user']) {
      for (let i = 0; i < 5; i++) assert.equal((await new Desk(w, name).logIn('wrong', from())).status, 401);
      const answer = await new Desk(w, name).logIn(password, from());
      assert.equal(answer.status, 429, `${name}: the right password is not looked at either`);
      assert.equal(answer.code, 'too-many-tries');
      assert.equal(answer.headers['retry-after'], '1');
    }
    assert.equal((await eventually(async () => (await new Desk(w, 'am3').logIn(password, from())).status === 200)), true, 'for a while');
  });

  it('are throttled by address, whatever the names', async () => {
    const here = from();
    for (let i = 0; i < 10; i++)
      await Promise.all(Array.from({ length: 5 }, (_, n) => new Desk(w, `name ${i} ${n}`).logIn('wrong', here)));
    assert.equal((await new Desk(w, 'am4').logIn(password, here)).status, 429);
    assert.equal((await new Desk(w, 'am4').logIn(password, from())).status, 200, 'but not those of others');
  });

  it('all at once are no way around it', async () => {
    const here = from();
    const statuses = (await fail('dv1', 60, here)).map((answer) => answer.status);
    const looked = statuses.filter((status) => status === 401).length;
    assert.ok(looked >= 5 && looked <= 8, `${looked} were looked at`);
    assert.ok(statuses.every((status) => status === 401 || status === 429), String(statuses));
    const failures = await w.db.value(`SELECT max(failures) FROM login_failures WHERE kind = 'account'`);
    assert.ok(failures <= 8, `${failures} counted`);
  });

  it('leave a trace in the audit log, and no name or password in the log', async () => {
    const rows = await w.db.rows(`SELECT actor, details FROM audit_log WHERE action = 'log-in-failed' AND subject = 'am3'`);
    assert.equal(rows.length, 5);
    assert.match(rows[0].details.address, /^198\.51\.100\./);
    assert.equal(w.daemon.lines.join().includes(password), false);
    assert.equal(await w.metric('ringback_logins_total', { outcome: 'throttled' }) > 0, true);
  });

  it('take as long for a name that nobody has', async () => {
    const time = async (name) => {
      const took = [];
      for (let i = 0; i < 12; i++) {
        await w.db.rows('DELETE FROM login_failures');
        took.push((await new Desk(w, name).logIn('wrong', from())).took);
      }
      return took.sort((a, b) => a - b)[3];
    };
    await time('op2'); // both ways are warm
    const [known, unknown] = [await time('op2'), await time('nobody at all')];
    assert.ok(Math.max(known, unknown) / Math.min(known, unknown) < 1.5, `${known} ms and ${unknown} ms`);
  });
});

describe('old parameters of a hash', () => {
  it('are replaced by today’s at the next log-in', async () => {
    const old = '$argon2id$v=19$m=8192,t=1,p=1$T5PvfOTetu6YOWiXR6oUew$6jOSjmJE+LUN7Vxg1QwTR+r8jd57UIIcHWwkoOunI48';
    const hash = () => w.db.value(`SELECT password_hash FROM accounts WHERE name = 'mm2'`);
    await w.db.rows(`UPDATE accounts SET password_hash = $1 WHERE name = 'mm2'`, [old]);
    assert.equal((await new Desk(w, 'mm2').logIn('wrong', from())).status, 401);
    assert.equal(await hash(), old, 'not by who does not know it');
    await atDesk(w, 'mm2');
    const fresh = await hash();
    assert.match(fresh, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    await atDesk(w, 'mm2');
    assert.equal(await hash(), fresh, 'and then stay');
  });
});

describe('a session', () => {
  it('is needed, and ends when one logs out', async () => {
    const desk = await atDesk(w, 'op1');
    const { cookie } = desk;
    assert.equal((await nobody.get('/session')).status, 401);
    const answer = await desk.del('/session');
    assert.equal(answer.status, 204);
    assert.match(answer.headers['set-cookie'][0], /^ringback=; .*Max-Age=0/);
    assert.equal((await nobody.get('/session', { headers: { cookie } })).code, 'unauthorized', 'the cookie opens nothing more');
  });

  it('is another one at each log-in, whatever cookie was there', async () => {
    const desk = await atDesk(w, 'op1');
    const again = await desk.logIn(password, { cookie: true });
    assert.notEqual(desk.cookie, undefined);
    assert.equal(again.status, 200);
    assert.equal((await nobody.get('/session', { headers: { cookie: 'ringback=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' } })).status, 401);
  });

  it('is read among other cookies', async () => {
    const desk = await atDesk(w, 'op1');
    const headers = { cookie: `xringback=1; theme=dark;${desk.cookie} ; last=1` };
    assert.equal((await nobody.get('/session', { headers })).status, 200);
  });
});

describe('sessions', () => {
  it('are listed, and ended one by one', async () => {
    const first = await atDesk(w, 'in1', { headers: { 'user-agent': 'browser one', 'x-forwarded-for': '203.0.113.7' } });
    const second = await atDesk(w, 'in1', { headers: { 'user-agent': 'browser two' } });
    const { items, next } = (await second.get('/sessions')).json;
    assert.deepEqual(
      items.map((one) => [one.agent, one.address, one.current]),
      [['browser two', '127.0.0.1', true], ['browser one', '203.0.113.7', false]],
    );
    assert.equal(next, null);
    const page = (await second.get('/sessions?limit=1')).json;
    const rest = (await second.get(`/sessions?limit=1&cursor=${page.next}`)).json;
    assert.deepEqual([...page.items, ...rest.items].map((one) => one.id), items.map((one) => one.id));
    const stranger = await atDesk(w, 'op2');
    assert.equal((await stranger.del(`/sessions/${items[1].id}`)).code, 'not-found', 'nobody else’s');
    assert.equal((await second.del(`/sessions/${items[1].id}`)).status, 204);
    assert.equal((await first.get('/session')).status, 401);
    assert.equal((await second.del(`/sessions/${items[1].id}`)).status, 404, 'once');
    assert.equal((await second.del('/sessions/x')).status, 404);
  });

  it('all end at once', async () => {
    const desks = await Promise.all(['op2', 'op2', 'op1'].map((name) => atDesk(w, name)));
    assert.equal((await desks[0].del('/sessions')).status, 204);
    assert.deepEqual(await Promise.all(desks.map(async (one) => (await one.get('/session')).status)), [401, 401, 200]);
  });

  it('end when idle, and in any case', async () => {
    const desk = await atDesk(w, 's2');
    const later = async (set) => {
      await w.db.force(`UPDATE sessions SET ${set} WHERE account_id = (SELECT account_id FROM accounts WHERE name = 's2')`);
      return (await desk.get('/session')).status;
    };
    assert.equal(await later(`seen_at = now() - interval '239 minutes'`), 200, 'shorter than four hours');
    assert.equal(await later(`ended_at = NULL`), 200, 'a request begins it anew');
    assert.equal(await later(`seen_at = now() - interval '241 minutes'`), 401);
    assert.equal(await later(`seen_at = now(), ends_at = now() + interval '1 minute'`), 200);
    assert.equal(await later(`ends_at = now()`), 401);
  });

  it('end with the account', async () => {
    await w.must(['user', 'add', 'leaver', '--role', 'operator', '--password-stdin'], { stdin: password });
    const desk = await atDesk(w, 'leaver');
    await w.must(['user', 'password', 'leaver', '--password-stdin'], { stdin: 'another one' });
    assert.equal((await desk.get('/session')).status, 401, 'and with its password');
    await desk.logIn('another one');
    await w.must(['user', 'disable', 'leaver']);
    assert.equal((await desk.get('/session')).status, 401);
    assert.equal((await new Desk(w, 'leaver').logIn('another one', from())).status, 401);
  });
});

describe('a new password', () => {
  it('is for who knows the old one, and ends the other sessions', async () => {
    const [desk, other] = [await atDesk(w, 's1'), await atDesk(w, 's1')];
    const wrong = await desk.post('/password', { old: 'not the old one', new: 'a better password' });
    assert.equal(wrong.status, 422);
    assert.deepEqual(wrong.errors.map((one) => [one.pointer, one.code]), [['/old', 'wrong-password']]);
    assert.equal((await desk.post('/password', { old: password, new: '1234567' })).errors[0].code, 'too-short');
    assert.equal((await desk.post('/password', { old: password, new: 'x'.repeat(1024) })).errors[0].code, 'too-long');
    assert.equal((await desk.post('/password', { old: password })).status, 422);
    assert.equal((await desk.post('/password', { old: password, new: '八个字的新密码啊' }, { csrf: false })).status, 403);
    assert.equal((await desk.post('/password', { old: password, new: '八个字的新密码啊' })).status, 204);
    assert.equal((await desk.get('/session')).status, 200);
    assert.equal((await other.get('/session')).status, 401);
    assert.equal((await new Desk(w, 's1').logIn(password, from())).status, 401);
    assert.equal((await new Desk(w, 's1').logIn('八个字的新密码啊')).status, 200);
  });

  it('is not guessed', async () => {
    const desk = await atDesk(w, 'mm1');
    for (let i = 0; i < 5; i++) await desk.post('/password', { old: `guess ${i}`, new: 'a better password' }, from());
    const answer = await desk.post('/password', { old: password, new: 'a better password' }, from());
    assert.equal(answer.status, 429);
    assert.equal(answer.headers['retry-after'], '1');
    assert.equal((await nobody.post('/password', { old: password, new: 'a better password' }, from())).status, 401);
  });
});

describe('the hashing process', () => {
  it('has a bounded queue: who finds it full is told to come again', async () => {
    await w.db.rows('DELETE FROM login_failures');
    const desks = Array.from({ length: 170 }, () => new Desk(w, 'am1'));
    const statuses = await Promise.all(desks.map(async (desk) => (await desk.logIn(password, from())).status));
    assert.deepEqual([...new Set(statuses)].sort(), [200, 503]);
    assert.ok(statuses.filter((status) => status === 200).length >= 128);
    assert.equal(await w.metric('ringback_login_queue'), 0);
  });

  it('forgets who went away', async () => {
    const body = JSON.stringify({ name: 'am1', password });
    for (let i = 0; i < 20; i++) {
      const wire = await Wire.open(w.daemon.console);
      await wire.write(`POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      wire.close();
    }
    assert.equal((await new Desk(w, 'am1').logIn(password, from())).status, 200);
  });
});

describe('a change', () => {
  it('needs the CSRF token', async () => {
    const desk = await atDesk(w, 'op1');
    const other = await atDesk(w, 'op1');
    assert.equal((await desk.del('/session', { csrf: false })).code, 'csrf');
    assert.equal((await desk.del('/session', { headers: { 'x-csrf-token': other.session.csrf } })).status, 403);
    assert.equal((await desk.get('/session')).status, 200);
  });

  it('does not come from another site', async () => {
    const desk = await atDesk(w, 'op1');
    const { host, port } = w.daemon.console;
    for (const headers of [
      { origin: 'http://evil.test' },
      { origin: 'null' },
      { origin: `https://${host}:${port}` },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ]) {
      assert.equal((await desk.del('/session', { headers })).code, 'csrf', JSON.stringify(headers));
      assert.equal((await new Desk(w, 'op1').logIn(password, { headers })).status, 403, JSON.stringify(headers));
    }
    for (const headers of [
      { origin: 'http://console.test' },
      { origin: `http://${host}:${port}`, 'sec-fetch-site': 'same-origin' },
    ])
      assert.equal((await new Desk(w, 'op1').logIn(password, { headers })).status, 200, JSON.stringify(headers));
  });
});

describe('a request', () => {
  it('names only parameters that there are, once', async () => {
    const desk = await atDesk(w, 'op1');
    assert.match((await desk.get('/session?verbose=1')).json.detail, /no query parameter "verbose"/);
    assert.equal((await desk.get('/nothing')).status, 404);
    assert.equal((await desk.post('/openapi.json', {})).headers.allow, 'GET, HEAD');
    const head = await desk.ask('HEAD', '/session');
    assert.equal(head.status, 200);
    assert.equal(head.bytes.length, 0);
  });
});
