// The daemon's life: started without a database, reloaded, drained, two of them on one port; and what it says
// of its configuration.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { world } from './lib/world.mjs';
import { build } from './lib/paths.mjs';
import { program } from './lib/program.mjs';
import { Wire } from './lib/client.mjs';
import { eventually, pause } from './lib/eventually.mjs';
import { count } from './lib/look.mjs';
import { complaint, order, structured } from './lib/events.mjs';

const w = await world({ daemon: false, proxy: true });
const anOrder = (over) => order({ retailer: 'R1', lines: [{ product: 'A1', cartons: 1 }] }, over);
const ringbackd = (args, env = {}) => program(join(build, 'ringbackd'), args, { env: { ...w.env, ...env } });

describe('a daemon started while the database is away', () => {
  it('stays, says so, and serves once it is back', async () => {
    await w.proxy.away();
    await w.start({}, { ready: false });
    await eventually(() => w.daemon.lines.some((line) => /(warning|error) \S+ .*(database|connect)/i.test(line)), {
      what: 'the log says that the database is away',
    });
    assert.equal((await w.client.get('/healthz')).status, 200);
    assert.equal((await w.client.get('/readyz')).status, 503);
    const answer = await w.post(structured(anOrder()));
    assert.equal(answer.status, 503);
    assert.ok(Number(answer.headers['retry-after']) >= 1 && answer.took < 5000);
    await w.proxy.back();
    await w.ready();
    assert.equal((await w.post(structured(anOrder()))).status, 200);
  });

  it('and one whose database goes and comes needs nobody’s help', async () => {
    for (let round = 0; round < 3; round++) {
      await w.proxy.away();
      const begin = performance.now();
      const answers = await Promise.all(Array.from({ length: 20 }, () => w.post(structured(anOrder()))));
      assert.ok(
        answers.every((answer) => answer.status === 503 && answer.headers['retry-after']),
        answers.map((one) => one.status).join(),
      );
      assert.ok(performance.now() - begin < 5500);
      await w.proxy.back();
      await w.ready();
      assert.equal((await w.post(structured(anOrder()))).status, 200);
    }
  });

  it('answers by the deadline when the database says nothing, and forgets nothing', async () => {
    const sent = Array.from({ length: 20 }, () => anOrder());
    w.proxy.stall();
    const answers = await Promise.all(sent.map((one) => w.post(structured(one))));
    for (const answer of answers) {
      assert.equal(answer.status, 503, answer.text);
      assert.ok(answer.took < 5500, `${answer.took} ms`);
    }
    await w.proxy.back();
    await w.ready();
    for (const one of sent)
      await eventually(async () => (await w.post(structured(one))).status === 200, {
        timeout: 15_000,
        what: 'the same event is taken',
      });
    assert.equal(await count(w.db, 'events', 'event_id = ANY($1)', [sent.map((one) => one.id)]), 20);
  });
});

describe('a daemon that has too much to do', () => {
  it('says 503 at once to what does not fit its queue, and takes it later', async () => {
    await w.daemon.stop();
    await w.start({ RINGBACK_INTAKE_QUEUE: '64' });
    const sent = Array.from({ length: 300 }, () => anOrder());
    const crowd = w.newClient({ sockets: 300 });
    await crowd.post(structured(sent[0])); // the credentials are known
    w.proxy.stall();
    const answers = await Promise.all(sent.map((one) => crowd.post(structured(one))));
    const busy = answers.filter((answer) => answer.status === 503);
    assert.ok(busy.every((answer) => answer.headers['retry-after'] && answer.took < 5500));
    assert.ok(busy.filter((answer) => answer.took < 2500).length >= 100, 'most do not wait for the deadline');
    await w.proxy.back();
    await w.ready();
    for (const one of sent)
      await eventually(async () => (await crowd.post(structured(one))).status === 200, { timeout: 15_000 });
    assert.equal(await count(w.db, 'events', 'event_id = ANY($1)', [sent.map((one) => one.id)]), 300);
  });
});

describe('SIGTERM', () => {
  it('answers what was taken, refuses what comes, and leaves within ten seconds', async () => {
    const clients = Array.from({ length: 20 }, () => w.newClient({ sockets: 1 }));
    const acknowledged = [];
    let stopping = false;
    const idle = await Wire.open(w.daemon.gateway);
    const load = clients.map(async (client) => {
      for (;;) {
        const sent = complaint({ retailer: 'R1', text: '收尾' });
        try {
          const answer = await client.post(structured(sent));
          assert.equal(answer.status, 200, answer.text);
          acknowledged.push(sent.id);
          assert.ok(stopping || answer.headers.connection !== 'close');
        } catch (error) {
          if (!stopping || error.code === 'ERR_ASSERTION') throw error;
          return;
        }
      }
    });
    await eventually(() => acknowledged.length > 200);
    stopping = true;
    const took = await w.daemon.stop();
    await Promise.all(load);
    assert.ok(took < 10_000, `${took} ms`);
    await idle.closed;
    assert.equal(await count(w.db, 'events', 'event_id = ANY($1)', [acknowledged]), acknowledged.length);
  });

  it('does not wait for a client that is slow', async () => {
    await w.start();
    const wire = await Wire.open(w.daemon.gateway);
    await wire.write('POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{');
    assert.ok((await w.daemon.stop()) < 12_000);
  });

  it('leaves while the database is away', async () => {
    await w.start();
    await w.proxy.away();
    assert.ok((await w.daemon.stop()) < 10_000);
    await w.proxy.back();
  });
});

describe('SIGHUP', () => {
  it('takes over what may change while running, keeps the rest, and drops nobody', async () => {
    const config = await w.file('ringback.conf', 'log_level = info\n');
    await w.start({ RINGBACK_CONFIG: config });
    const wire = await Wire.open(w.daemon.gateway);
    const reloaded = () => w.daemon.lines.filter((line) => /reloaded/.test(line)).length;
    w.daemon.signal('SIGHUP');
    await eventually(() => reloaded() === 1, { what: 'the log says it was reloaded' });
    await writeFile(config, 'no_such_key = 1\n');
    w.daemon.signal('SIGHUP');
    await eventually(() => w.daemon.lines.some((line) => /no_such_key/.test(line)), { what: 'a bad file is told' });
    await writeFile(config, 'log_level = info\n');
    w.daemon.signal('SIGHUP');
    await eventually(() => reloaded() > 1, { what: 'a good one again' });
    assert.equal(reloaded(), 2, 'the bad one was not called a reload');
    await writeFile(config, 'log_level = error\n');
    const silent = async () => {
      const before = reloaded();
      w.daemon.signal('SIGHUP');
      await pause(400);
      return reloaded() === before;
    };
    await eventually(silent, { what: 'only errors are said' });
    await writeFile(config, 'log_level = nonsense\n');
    w.daemon.signal('SIGHUP');
    await eventually(() => w.daemon.lines.some((line) => / error .*log_level/.test(line)), {
      what: 'the fault is named',
    });
    assert.ok(await silent(), 'and the old level holds');
    await wire.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await wire.closed;
    assert.deepEqual(wire.statuses, [200]);
    assert.equal((await w.post(structured(anOrder()))).status, 200);
  });
});

describe('two daemons', () => {
  it('share a port when both were told to, and one may be killed', async () => {
    await w.daemon.stop();
    await w.start({ RINGBACK_REUSE_PORT: 'true' });
    const first = w.daemon;
    const same = { RINGBACK_REUSE_PORT: 'true', RINGBACK_LISTEN_GATEWAY: `127.0.0.1:${first.gateway.port}` };
    await w.start(same);
    const looks = () => Promise.all(Array.from({ length: 20 }, () => w.newClient({ sockets: 1 }).get('/readyz')));
    await eventually(async () => (await looks()).every((answer) => answer.status === 200), { what: 'both are ready' });
    const sent = Array.from({ length: 60 }, () => anOrder());
    const post = (one) => w.newClient({ sockets: 1 }).post(structured(one));
    const before = await Promise.all(sent.slice(0, 40).map(post));
    assert.ok(before.every((answer) => answer.status === 200));
    await first.kill();
    const after = await Promise.all(sent.slice(40).map(post));
    assert.ok(after.every((answer) => answer.status === 200));
    assert.equal(await count(w.db, 'events', 'event_id = ANY($1)', [sent.map((one) => one.id)]), 60);
  });

  it('do not share one otherwise: the second leaves with a reason', async () => {
    const done = await ringbackd([], { RINGBACK_LISTEN_GATEWAY: `127.0.0.1:${w.daemon.gateway.port}` });
    assert.ok(done.code > 0, `${done.code}`);
    assert.match(done.stderr, new RegExp(`${w.daemon.gateway.port}`));
  });
});

describe('the configuration', () => {
  it('is printed, with secrets masked, and can be read again', async () => {
    const done = await ringbackd(['--print-config'], {
      RINGBACK_DATABASE: 'host=db user=me password=hunter2 dbname=x',
      RINGBACK_PUBLIC_URL: 'https://a.test',
    });
    assert.equal(done.code, 0, done.stderr);
    for (const key of [
      'database',
      'listen_console',
      'listen_gateway',
      'reuse_port',
      'public_url',
      'timezone',
      'log_level',
      'allow_targets',
      'secret_key_file',
      'state_dir',
      'trusted_proxies',
    ])
      assert.match(done.stdout, new RegExp(`^${key} *=`, 'm'), key);
    assert.match(done.stdout, /^public_url *= *https:\/\/a\.test$/m);
    assert.ok(!done.stdout.includes('hunter2'));
    const file = await w.file('printed.conf', done.stdout);
    const again = await ringbackd(['--config', file, '--print-config']);
    assert.equal(again.code, 0, again.stderr);
  });

  it('has the defaults of the contract', async () => {
    const bare = Object.fromEntries(
      Object.entries(w.env).filter(([key]) => !key.startsWith('RINGBACK_') || key === 'RINGBACK_CONFIG'),
    );
    const { stdout } = await program(join(build, 'ringbackd'), ['--print-config'], { env: bare });
    for (const [key, value] of [
      ['listen_console', '127.0.0.1:8080'],
      ['listen_gateway', '127.0.0.1:8081'],
      ['reuse_port', 'false'],
      ['timezone', 'Asia/Shanghai'],
      ['allow_targets', ''],
    ])
      assert.match(stdout, new RegExp(`^${key} *= *${value.replaceAll('.', '\\.')} *$`, 'm'), key);
  });

  it('lets the environment win over the file', async () => {
    const file = await w.file('env.conf', 'timezone = Asia/Urumqi\npublic_url = http://file.test\n');
    const { stdout } = await ringbackd(['--config', file, '--print-config'], {
      RINGBACK_PUBLIC_URL: 'http://env.test',
    });
    assert.match(stdout, /^timezone *= *Asia\/Urumqi/m);
    assert.match(stdout, /^public_url *= *http:\/\/env\.test/m);
  });

  it('with a fault keeps the daemon from starting, and names the line', async () => {
    for (const [text, word] of [
      ['log_level = info\nnonsense = 1\n', /:2: nonsense/],
      ['reuse_port = perhaps\n', /:1: reuse_port/],
      ['listen_gateway = nowhere\n', /listen_gateway/],
      ['max_connections = -4\n', /:1: max_connections/],
    ]) {
      const env = Object.fromEntries(Object.entries(w.env).filter(([key]) => key !== 'RINGBACK_LISTEN_GATEWAY'));
      const done = await program(join(build, 'ringbackd'), ['--config', await w.file('bad.conf', text)], {
        env,
        timeout: 5000,
      });
      assert.ok(done.code > 0, `${text}: ${done.code}`);
      assert.match(done.stderr, word);
    }
    assert.ok((await ringbackd(['--config', '/nowhere.conf'])).code > 0);
    assert.ok((await ringbackd(['--nonsense'])).code > 0);
  });

  it('has a version', async () => {
    const version = (await readFile(join(import.meta.dirname, '../../VERSION'), 'utf8')).trim();
    const done = await ringbackd(['--version']);
    assert.equal(done.code, 0);
    assert.ok(done.stdout.includes(version));
  });
});
