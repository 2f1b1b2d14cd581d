// TLS on both listeners: certificates from the configuration, taken anew on SIGHUP without dropping anybody.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import tls from 'node:tls';
import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { world } from './lib/world.mjs';
import { build } from './lib/paths.mjs';
import { must, program } from './lib/program.mjs';
import { Wire, exchange } from './lib/client.mjs';
import { eventually } from './lib/eventually.mjs';
import { atDesk } from './lib/desk.mjs';
import { openStream } from './lib/stream.mjs';
import { complaint, order, structured } from './lib/events.mjs';

const w = await world({ daemon: false });
const file = (name) => join(w.state, name);
const anOrder = () => structured(order({ retailer: 'R1', lines: [{ product: 'A1', cartons: 1 }] }));

async function makeCertificate(name) {
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const who = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  await must('openssl', ['req', '-x509', ...ec, ...who, '-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)]);
}

async function install(name) {
  await copyFile(file(`${name}.pem`), file('server.pem'));
  await copyFile(file(`${name}.key`), file('server.key'));
}

for (const name of ['first', 'second']) await makeCertificate(name);
await install('first');
const both = (await readFile(file('first.pem'), 'utf8')) + (await readFile(file('second.pem'), 'utf8'));
w.clientOptions = { ca: both };
await w.start({ RINGBACK_TLS_CERTIFICATE: file('server.pem'), RINGBACK_TLS_KEY: file('server.key') });

// Whose certificate a new connection is shown.
async function shown(address) {
  const socket = tls.connect({ ...address, ca: both });
  await once(socket, 'secureConnect');
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return CN;
}

describe('TLS', () => {
  it('carries streams', async () => {
    const stream = await openStream(await atDesk(w, 's1'));
    assert.match(stream.desk.cookie, /^__Host-/);
    const answer = await w.post(structured(complaint({ retailer: 'R1', text: '缺货' })));
    await stream.seen('follow-up', { id: answer.json.complaint.follow_up });
    stream.close();
  });

  it('is spoken on both listeners', async () => {
    for (const way of ['bearer', 'basic', 'webhook'])
      assert.equal((await w.post(anOrder(), { auth: way })).status, 200);
    assert.equal(await shown(w.daemon.gateway), 'first');
    assert.equal(await shown(w.daemon.console), 'first');
  });

  it('is not spoken in old versions, nor in plain text', async () => {
    const old = tls.connect({
      ...w.daemon.gateway,
      ca: both,
      maxVersion: 'TLSv1.1',
      minVersion: 'TLSv1',
      ciphers: 'ALL:@SECLEVEL=0',
    });
    const [fault] = await once(old, 'error');
    assert.ok(fault);
    const wire = await exchange(w.daemon.gateway, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n', { within: 5000 });
    assert.deepEqual(
      wire.statuses.filter((status) => status < 400),
      [],
    );
    assert.ok(wire.ended);
  });

  it('carries bodies of every size and answers in order', async () => {
    for (const size of [1, 100, 16_384, 40_000, 60_000]) {
      const message = anOrder();
      const answer = await w.post({ ...message, body: message.body + ' '.repeat(size) });
      assert.equal(answer.status, 200);
    }
    const wire = await Wire.open(w.daemon.gateway, { ca: both });
    await wire.write(
      'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20) +
        'GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    );
    await wire.closed;
    assert.equal(wire.statuses.length, 21);
    assert.match(wire.text, /ringback_build_info/);
  });
});

describe('a new certificate', () => {
  it('is shown to new connections after SIGHUP, and old ones go on', async () => {
    const kept = await Wire.open(w.daemon.gateway, { ca: both });
    await install('second');
    w.daemon.signal('SIGHUP');
    await eventually(async () => (await shown(w.daemon.gateway)) === 'second');
    assert.equal(await shown(w.daemon.console), 'second');
    await kept.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await kept.closed;
    assert.deepEqual(kept.statuses, [200]);
  });

  it('that is none leaves the old one in force, and is said so', async () => {
    await writeFile(file('server.pem'), 'nonsense\n');
    w.daemon.signal('SIGHUP');
    await eventually(() => w.daemon.lines.some((line) => / error .*certificate/i.test(line)));
    assert.equal(await shown(w.daemon.gateway), 'second');
    await install('first');
    await copyFile(file('second.key'), file('server.key'));
    const seen = w.daemon.lines.length;
    w.daemon.signal('SIGHUP');
    await eventually(() => w.daemon.lines.slice(seen).some((line) => / error /.test(line)), {
      what: 'a key that does not fit',
    });
    assert.equal(await shown(w.daemon.gateway), 'second');
  });

  it('that is not there keeps the daemon from starting', async () => {
    const env = { ...w.env, RINGBACK_TLS_CERTIFICATE: file('nowhere.pem'), RINGBACK_TLS_KEY: file('second.key') };
    const done = await program(join(build, 'ringbackd'), [], { env, timeout: 5000 });
    assert.ok(done.code > 0);
    assert.match(done.stderr, /nowhere\.pem/);
  });
});
