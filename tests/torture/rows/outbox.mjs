// Rows about notifications going out: the daemon killed between sending and recording, at any moment, and receivers
// that misbehave.
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

export const rows = [
  { name: 'dispatcher', title: 'killed between sending and recording', run: killAfterSending },
  { name: 'outbox', title: 'killed while delivering', run: killWhileDelivering },
];
