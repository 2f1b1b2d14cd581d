// Rows in which PostgreSQL fails: backends and the postmaster are killed, it is restarted, cut off, stalled. Clients
// must never notice more than a 503.
import { postgres } from '../lib/arena.mjs';
import { percentile } from '../lib/load.mjs';
import { FaultProxy } from '../lib/faultproxy.mjs';
import { MemoryWatch, mib } from '../lib/memory.mjs';
import { eventually, pause } from '../../flow/lib/eventually.mjs';

const between = (least, most) => least + Math.random() * (most - least);
const recovery = 5; // seconds from PostgreSQL's return to the next acknowledgement

// Breaks PostgreSQL some times under load; breakIt(arena) resolves when PostgreSQL is back.
async function disturbed(arena, times, breakIt, every) {
  const load = arena.load();
  const faults = [];
  let seconds = 0;
  for (let i = 0; i < times; i++) {
    await pause(every());
    await breakIt(arena);
    await postgres.answers(arena.world.conninfo);
    await arena.reopen();
    seconds = Math.max(seconds, (await load.served()) / 1000);
  }
  const seen = await arena.verdict(load);
  if (seconds > recovery) faults.push(`served again only ${seconds.toFixed(2)} s after PostgreSQL was back`);
  if (!load.statuses[503]) faults.push('nobody noticed: the test tests nothing');
  return { seconds, ...seen, faults: [...faults, ...seen.faults] };
}

async function killBackend({ many, open }) {
  const times = many(5, 50);
  const kill = async ({ world }) => {
    const pid = await world.db.value(`SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'ringbackd%'
      ORDER BY application_name = 'ringbackd intake' DESC, random() LIMIT 1`);
    process.kill(pid, 'SIGKILL');
    await eventually(async () => !(await world.db.value('SELECT 1').catch(() => 0)), { what: 'PostgreSQL notices' });
  };
  return {
    did: `kill -9 of a backend ${times} times`,
    ...(await disturbed(await open('backend'), times, kill, () => between(50, 600))),
  };
}

async function killPostmaster({ many, open }) {
  const times = many(5, 20);
  const kill = async () => {
    process.kill(await postgres.postmaster(), 'SIGKILL');
    await postgres.start();
  };
  return {
    did: `kill -9 of the postmaster ${times} times`,
    ...(await disturbed(await open('postmaster'), times, kill, () => between(50, 800))),
  };
}

async function restart({ short, open }) {
  const times = short ? 3 : 10;
  const seen = await disturbed(
    await open('restart'),
    times,
    async () => {
      await postgres.stop();
      await postgres.start();
    },
    () => (short ? between(200, 800) : 11_000),
  );
  return { did: `PostgreSQL restarted ${times} times`, ...seen };
}

async function cutAnswers({ many, open }) {
  const cuts = many(50, 1000);
  const arena = await open('cut', { proxy: FaultProxy });
  const { proxy } = arena.world;
  const load = arena.load();
  await pause(300);
  proxy.arm(cuts, 0.3);
  await eventually(() => proxy.left === 0, { timeout: cuts * 1000, what: 'all cuts are made' });
  const seconds = (await load.served()) / 1000;
  const seen = await arena.verdict(load);
  const faults = load.replayed ? [] : ['no cut came after a commit: the test tests nothing'];
  return {
    did: `${cuts} answers to Sync cut off, ${load.replayed} events of them found committed`,
    seconds,
    ...seen,
    faults: [...faults, ...seen.faults],
  };
}

async function stall({ many, open }) {
  const length = many(8, 60);
  const arena = await open('stall', { proxy: true });
  const { proxy, daemon } = arena.world;
  const load = arena.load({ clients: 200 });
  await pause(1500);
  const memory = await MemoryWatch.start(daemon);
  const since = performance.now();
  proxy.stall();
  await pause(length * 1000);
  const grown = await memory.stop();
  const p99 = percentile(load.took, 0.99, since);
  const most = percentile(load.took, 1, since);
  await proxy.back();
  const seconds = (await load.served()) / 1000;
  const seen = await arena.verdict(load);
  const faults = [];
  if (p99 > 5000 || most > 5500)
    faults.push(`answers took ${Math.round(p99)} ms (p99), ${Math.round(most)} ms at the most`);
  if (grown > 32 * mib) faults.push(`memory grew by ${(grown / mib).toFixed(1)} MiB`);
  if (seconds > recovery) faults.push(`served again only after ${seconds.toFixed(2)} s`);
  return {
    did: [
      `network to PostgreSQL stalled for ${length} s, 200 clients: answers p99 ${(p99 / 1000).toFixed(2)} s`,
      `${(most / 1000).toFixed(2)} s at the most, memory +${(grown / mib).toFixed(1)} MiB`,
    ].join(', '),
    seconds,
    ...seen,
    faults: [...faults, ...seen.faults],
  };
}

export const rows = [
  { name: 'backend', title: 'kill -9 of a backend', run: killBackend },
  { name: 'postmaster', title: 'kill -9 of the postmaster', run: killPostmaster },
  { name: 'restart', title: 'PostgreSQL restarted under load', run: restart },
  { name: 'cut', title: 'connection cut between Sync and its answer', run: cutAnswers },
  { name: 'stall', title: 'network to PostgreSQL stalls', run: stall },
];
