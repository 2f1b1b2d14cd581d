// Rows about notifications going out: the daemon killed between sending and recording, at any moment, and receivers
// that misbehave.
import { createSocket } from 'node:dgram';
import { MemoryWatch, mib } from '../lib/memory.mjs';
import { complaint, signed, structured } from '../../flow/lib/events.mjs';
import { eventually, pause } from '../../flow/lib/eventually.mjs';
import { Sink } from '../../flow/lib/sink.mjs';

const between = (least, most) => least + Math.random() * (most - least);

// Every request that a sink got, checked by itself and against the others of its notification.
function strangeness(requests, secrets) {
  const faults = new Set();
  const bodies = new Map();
  for (const { path, headers, body, json } of requests) {
    const id = headers['webhook-id'];
    const good = signed(secrets[path], body, { id, at: headers['webhook-timestamp'] })['webhook-signature'];
    if (headers['webhook-signature'] !== good) faults.add('a signature that does not hold');
    if (json?.id !== id) faults.add('an event whose id is not its webhook-id');
    if (!body.equals(bodies.get(id) ?? body)) faults.add('attempts of one notification that differ');
    bodies.set(id, body);
  }
  return { ids: new Set(bodies.keys()), faults: [...faults] };
}

// Gives managers targets at a sink, each by its own path; gives their secrets by path.
async function subscribe(world, sink, people) {
  const secrets = {};
  for (const person of people) secrets[`/${person}`] = await world.addTarget(person, sink.url(`/${person}`));
  return secrets;
}

const expireLeases = (db) =>
  db.force("UPDATE notifications SET leased_until = clock_timestamp() WHERE state = 'sending'");

async function killAfterSending({ short, many, open }) {
  const times = many(10, 200);
  const { world } = await open('dispatcher');
  let wait = false; // whether the next request kills the daemon
  let dead;
  const kill = () => (dead = world.daemon.kill());
  const sink = await Sink.start((_, n) => {
    if (!wait) return 204;
    wait = false;
    // Before it hears the answer, or at the same moment.
    if (n % 2) kill();
    else setImmediate(kill);
    return n % 2 ? { hang: true } : 204;
  });
  const secrets = await subscribe(world, sink, ['AM1']);
  let slowest = 0;
  const round = async (patience) => {
    wait = true;
    await world.post(structured(complaint({ retailer: 'R1', text: 'x' }))).catch(() => {}); // it may die before it answers
    await eventually(() => dead !== undefined, { what: 'the sink is told' });
    await dead;
    dead = undefined;
    const begin = performance.now();
    await world.start();
    if (!patience) await expireLeases(world.db);
    const open = "SELECT count(*) FROM notifications WHERE state IN ('waiting', 'sending')";
    await eventually(async () => (await world.db.value(open)) === 0, {
      timeout: (patience || 10) * 1000,
      what: 'it is delivered after all',
    });
    return (performance.now() - begin) / 1000;
  };
  for (let i = 0; i < times; i++) slowest = Math.max(slowest, await round(0));
  const whole = short ? 0 : await round(70);
  await sink.close();
  const { ids, faults } = strangeness(sink.requests, secrets);
  const made = (await world.db.rows('SELECT notification_id AS id FROM notifications')).map(({ id }) => id);
  if (made.some((id) => !ids.has(id))) faults.push('notifications that nobody got');
  if (sink.requests.length <= made.length) faults.push('nothing was sent again: the test tests nothing');
  if (slowest > 5) faults.push(`sent again only ${slowest.toFixed(1)} s after the lease`);
  if (whole > 65) faults.push(`sent again only ${whole.toFixed(1)} s after the crash`);
  const lease = short ? '' : `, with the whole lease ${whole.toFixed(1)} s`;
  return {
    did: `killed ${times} times between sending and recording: again with the same id within ${slowest.toFixed(2)} s of the lease's end${lease}`,
    faults,
  };
}

async function killWhileDelivering({ many, open }) {
  const times = many(5, 50);
  const arena = await open('outbox');
  const { world } = arena;
  const sink = await Sink.start((_, n) => (n % 7 ? { status: 204, delay: n % 20 } : 500));
  const secrets = await subscribe(world, sink, ['AM1', 'AM2', 'AM3', 'AM4']);
  const load = arena.load({ only: 'complaint', clients: 12 });
  for (let i = 0; i < times; i++) {
    await pause(between(200, 700));
    await world.daemon.kill();
    await world.start({}, { ready: false });
    await load.served();
    await expireLeases(world.db);
  }
  const seen = await arena.verdict(load, { connections: 'cut' });
  const rest = () => world.db.value("SELECT count(*) FROM notifications WHERE state <> 'delivered'");
  const hurry = async () => {
    await world.db.force("UPDATE notifications SET next_attempt_at = clock_timestamp() WHERE state = 'waiting'");
    await world.db.force('UPDATE targets SET paused_until = NULL WHERE paused_until IS NOT NULL');
    return (await rest()) === 0;
  };
  await eventually(hurry, { timeout: 60_000, every: 250, what: 'all are delivered' });
  await sink.close();
  const { ids, faults } = strangeness(sink.requests, secrets);
  const made = (await world.db.rows('SELECT notification_id AS id FROM notifications')).map(({ id }) => id);
  const missing = made.filter((id) => !ids.has(id)).length;
  if (missing) faults.push(`${missing} notifications recorded as delivered that nobody got`);
  if (made.length !== ids.size + missing) faults.push('notifications that nobody made');
  return {
    did: `killed ${times} times while delivering: ${made.length} notifications, all received, ${sink.requests.length} requests`,
    ...seen,
    faults: [...seen.faults, ...faults],
  };
}

// Milliseconds from a complaint's sending to its arrival at the sink, for complaints of R1 at an even pace; p99 of them.
async function promptness(world, sink, count) {
  const sent = new Map();
  const begin = sink.requests.length;
  for (let i = 0; i < count; i++) {
    const at = Date.now();
    const { json } = await world.post(structured(complaint({ retailer: 'R1', text: '催' })));
    sent.set(json.complaint.follow_up, at);
    await pause(15);
  }
  const mine = () => sink.requests.slice(begin).filter(({ json }) => sent.has(json.data.follow_up));
  await eventually(() => mine().length >= count, { timeout: 30_000, what: 'the good target hears of all' });
  const took = mine().map(({ json, at }) => at - sent.get(json.data.follow_up));
  return took.toSorted((a, b) => a - b)[Math.floor(count * 0.99)];
}

async function badReceivers({ many, open }) {
  const count = many(200, 1000);
  const { world } = await open('receivers');
  const good = await Sink.start();
  const bad = { AM2: () => 500, AM3: () => ({ hang: true }), AM4: () => ({ reset: true }) };
  const sinks = {};
  await world.addTarget('AM1', good.url());
  await promptness(world, good, 50); // warm
  const alone = await promptness(world, good, count);
  for (const [person, answer] of Object.entries(bad)) {
    sinks[person] = await Sink.start(answer);
    await world.addTarget(person, sinks[person].url());
  }
  const load = async () => {
    for (const retailer of ['R2', 'R6', 'R8'])
      for (let i = 0; i < 60; i++) await world.post(structured(complaint({ retailer, text: '催' })));
  };
  await load();
  const beside = await promptness(world, good, count);
  const tried = Object.values(sinks).map((sink) => sink.requests.length);
  await Promise.all([good, ...Object.values(sinks)].map((sink) => sink.close()));
  const faults = [];
  if (beside > alone * 1.2 + 20) faults.push(`the good target heard after ${beside} ms instead of ${alone} ms (p99)`);
  if (tried.some((n) => n === 0)) faults.push('a bad target was never tried: the test tests nothing');
  return {
    did: `targets that answer 500, hang and reset: a good one hears after ${beside} ms (p99), ${alone} ms without them`,
    faults,
  };
}

// A name server that never answers, for one daemon: what a name hangs on must hang nobody else, nor the daemon's end.
async function silentNameServer() {
  const socket = createSocket('udp4');
  const asked = { n: 0, close: () => socket.close() };
  socket.on('message', () => asked.n++);
  await new Promise((bound, failed) => {
    socket.once('error', failed);
    socket.bind(53, '127.77.7.7', bound);
  });
  return asked;
}

async function badNames({ many, open }) {
  const count = many(100, 1000);
  const { world } = await open('names');
  const server = await silentNameServer();
  const resolver = await world.file('resolv.conf', 'nameserver 127.77.7.7\noptions timeout:5 attempts:3\n');
  const script = `mount --bind '${resolver}' /etc/resolv.conf && exec "$@"`;
  await world.daemon.stop();
  await world.start({}, { under: ['unshare', '--mount', 'sh', '-c', script, 'sh'] });
  const good = await Sink.start();
  await world.addTarget('AM1', good.url());
  await promptness(world, good, 50); // warm
  const alone = await promptness(world, good, count);
  for (const person of ['AM2', 'AM3', 'AM4'])
    await world.addTarget(person, `http://${person.toLowerCase()}.hooks.example.org/`);
  for (const retailer of ['R2', 'R6', 'R8'])
    for (let i = 0; i < 60; i++) await world.post(structured(complaint({ retailer, text: '催' })));
  const beside = await promptness(world, good, count);
  const failed = () => world.db.value("SELECT count(*) FROM notification_attempts WHERE error ~ 'in time|resolve'");
  await eventually(failed, { timeout: 20_000, what: 'an attempt ends without its name' });
  const ended = await world.daemon.stop();
  server.close();
  await good.close();
  const faults = [];
  if (beside > alone * 1.2 + 20) faults.push(`the good target heard after ${beside} ms instead of ${alone} ms (p99)`);
  if (!server.n) faults.push('the name server was never asked: the test tests nothing');
  if (ended > 10_000) faults.push(`the daemon took ${Math.round(ended)} ms to end`);
  return {
    did: `names that hang: a good target hears after ${beside} ms (p99), ${alone} ms without them; the daemon ends within ${Math.round(ended)} ms`,
    faults,
  };
}

async function guard({ open }) {
  const { world } = await open('guard');
  const faults = [];
  const heard = (id) =>
    world.db.rows(
      'SELECT status, error FROM notification_attempts a JOIN notifications n USING (branch_id, notification_id) WHERE follow_up_id = $1',
      [id],
    );
  // Whether the first attempt of a complaint's notification failed, and how.
  const attempt = async (retailer) => {
    const { json } = await world.post(structured(complaint({ retailer, text: '催' })));
    const id = json.complaint.follow_up;
    return (await eventually(async () => (await heard(id)).length && heard(id), { timeout: 20_000 }))[0];
  };

  const elsewhere = await Sink.start();
  const redirect = await Sink.start(() => ({ status: 302, headers: { location: elsewhere.url() } }));
  await world.addTarget('AM1', redirect.url());
  const redirected = await attempt('R1');
  if (redirected.status !== 302 || elsewhere.requests.length) faults.push('a redirect was followed');

  const endless = await Sink.start(() => ({ status: 200, endless: true }));
  await world.addTarget('AM2', endless.url());
  const memory = await MemoryWatch.start(world.daemon);
  await attempt('R2');
  const grown = await memory.stop();
  if (endless.streamed > 16 * mib || grown > 8 * mib)
    faults.push(
      `an endless answer: ${(endless.streamed / mib).toFixed(1)} MiB sent, memory +${(grown / mib).toFixed(1)} MiB`,
    );

  await world.daemon.stop();
  await world.start({ RINGBACK_ALLOW_TARGETS: '' });
  const inside = await Sink.start();
  const hosts = ['127.0.0.1', 'localhost', '0.0.0.0', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '127.1'];
  const people = hosts.map((_, i) => `G${i}`);
  await world.import('people', ['code,name,role', ...people.map((code) => `${code},经理,account_manager`)].join('\n'));
  const shops = people.map((code, i) => `H${i},小店,1540300${String(i).padStart(4, '0')},${code}`);
  await world.import('retailers', ['code,name,phones,manager', ...shops].join('\n'));
  let tried = 0;
  for (const [i, host] of hosts.entries()) {
    const url = `http://${host}:${inside.port}/`;
    const added = await world.tool(['target', 'add', people[i], 'webhook', url]);
    if (added.code) continue; // refused when it was added: as good
    tried++;
    const { status, error } = await attempt(`H${i}`);
    if (status !== null || !error) faults.push(`${url} was answered ${status}`);
  }
  if (inside.mostOpen) faults.push('a connection was opened to the inside');
  await Promise.all([elsewhere, redirect, endless, inside].map((sink) => sink.close()));
  return {
    did: `redirect not followed, endless answer cut off, ${tried} of ${hosts.length} addresses inside refused at connect, the others before`,
    faults,
  };
}

export const rows = [
  { name: 'dispatcher', title: 'killed between sending and recording', run: killAfterSending },
  { name: 'outbox', title: 'killed while delivering', run: killWhileDelivering },
  { name: 'receivers', title: 'bad receivers', only: 'full', run: badReceivers },
  { name: 'names', title: 'names that do not resolve', only: 'full', run: badNames },
  { name: 'guard', title: 'targets inside', run: guard },
];
