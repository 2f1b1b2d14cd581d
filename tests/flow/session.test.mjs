// Log-in, sessions, and who may do what from where: section 6 of what callers rely on.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { Desk, atDesk, password } from './lib/desk.mjs';

const w = await world();
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
    const wrong = await new Desk(w, 'am2').logIn('another password');
    const unknown = await new Desk(w, 'nobody').logIn();
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
