// Rows about the machine: the disk of the write-ahead log full, descriptors and memory scarce, the clock of the
// database moved.
import { execFile } from 'node:child_process';
import { chmod, glob, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startCluster, stopCluster } from '../../flow/lib/cluster.mjs';
import { Wire } from '../../flow/lib/client.mjs';
import { batched, complaint, order, structured } from '../../flow/lib/events.mjs';
import { eventually, pause } from '../../flow/lib/eventually.mjs';
import { Sink } from '../../flow/lib/sink.mjs';
import { postgres, settings } from '../lib/arena.mjs';
import { descriptors } from '../lib/memory.mjs';

const run = promisify(execFile);
const mib = 1024 * 1024;

// A cluster whose write-ahead log lies on a small disk of its own, in memory. Wants root.
async function onSmallDisk({ adopt }) {
  const small = ['min_wal_size=32MB', 'max_wal_size=48MB', 'checkpoint_timeout=30s'];
  const cluster = await startCluster([...settings, ...small]);
  const disk = await mkdtemp(join(tmpdir(), 'ringback-disk-'));
  await adopt(cluster, async () => {
    await stopCluster(cluster);
    await run('umount', [disk]);
    await rm(disk, { recursive: true });
  });
  await postgres.stop();
  await run('mount', ['-t', 'tmpfs', '-o', 'size=160m', 'tmpfs', disk]);
  const data = join(cluster.folder, 'pg', 'data');
  const { uid, gid } = await stat(data);
  await run('sh', ['-c', `mv "$1"/pg_wal "$2"/ && ln -s "$2"/pg_wal "$1"/pg_wal`, 'sh', data, disk]);
  await run('chown', ['-hR', `${uid}:${gid}`, disk, join(data, 'pg_wal')]);
  await postgres.start();
  return disk;
}

async function diskFull(context) {
  const times = context.many(1, 5);
  const disk = await onSmallDisk(context);
  const arena = await context.open('diskfull');
  const load = arena.load();
  const faults = [];
  let seconds = 0;
  for (let i = 0; i < times; i++) {
    await load.served();
    const filler = join(disk, 'filler');
    const { stdout } = await run('df', ['--output=avail', '-B1', disk]);
    await run('fallocate', ['-l', stdout.trim().split('\n').at(-1), filler]);
    const before = load.statuses[503] ?? 0;
    const stuck = async () => (load.statuses[503] ?? 0) > before + 50;
    await eventually(stuck, { timeout: 120_000, every: 100, what: 'the log is full' });
    await pause(3000);
    await rm(filler);
    await postgres.start();
    await postgres.answers(arena.world.conninfo);
    seconds = Math.max(seconds, (await load.served()) / 1000);
  }
  const seen = await arena.verdict(load);
  if (seconds > 10) faults.push(`served again only ${seconds.toFixed(2)} s after there was space`);
  return {
    did: `the disk of the write-ahead log full ${times} times`,
    seconds,
    ...seen,
    faults: [...faults, ...seen.faults],
  };
}

// Seconds of processor time that a process has used.
async function busy({ pid }) {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function scarce({ open }) {
  const arena = await open('scarce', { daemon: false });
  const { world } = arena;
  const faults = [];

  await world.start({}, { under: ['prlimit', '--nofile=64:64'] });
  const load = arena.load({ clients: 8 });
  await load.served();
  const crowd = await Promise.all(Array.from({ length: 200 }, () => Wire.open(world.daemon.gateway)));
  for (const wire of crowd) wire.write('GET /healthz HTTP/1.1\r\nHost: x\r\n');
  const full = await descriptors(world.daemon);
  await load.stop();
  const before = await busy(world.daemon);
  await pause(3000);
  const spent = (await busy(world.daemon)) - before;
  if (spent > 0.6) faults.push(`${spent.toFixed(2)} s of processor time in 3 idle seconds without descriptors`);
  for (const wire of crowd) wire.close();
  const again = arena.load({ clients: 8 });
  const seconds = (await again.served()) / 1000;
  await again.stop();
  await world.daemon.stop();

  await world.start({}, { under: ['prlimit', `--data=${64 * mib}`] });
  const big = () =>
    batched(
      Array.from({ length: 256 }, () => complaint({ retailer: 'R1', text: '催'.repeat(1000) }, { source: '/big' })),
    );
  const posts = await Promise.all(Array.from({ length: 60 }, () => world.post(big()).catch((error) => error)));
  const whole = posts.filter(({ status }) => status === 200);
  const acknowledged = whole.flatMap((answer) => answer.json).filter(({ status }) => status === 200).length;
  const died = world.daemon.ended;
  if (died) world.daemon.asked = true;
  else await world.daemon.stop();
  await world.start();
  const stored = await world.db.value(
    "SELECT count(*) FROM events JOIN sources USING (branch_id, source_id) WHERE source = '/big'",
  );
  if (stored < acknowledged) faults.push(`${acknowledged} acknowledged in batches, ${stored} there`);
  const last = arena.load({ clients: 8 });
  await last.served();
  await last.stop();
  const end = died ? `it ended (${died.signal ?? died.code}) and was started again` : 'it lived';
  return {
    did: `64 descriptors (${full} in use): ${spent.toFixed(2)} s of processor in 3 s; 64 MB: ${acknowledged} of ${60 * 256} events in large batches taken, ${end}`,
    seconds,
    faults: [...faults, ...load.wrong, ...again.wrong, ...last.wrong],
  };
}

async function clock({ open, adopt }) {
  const [library] = await Array.fromAsync(glob('/usr/lib/*/faketime/libfaketimeMT.so.1'));
  if (!library) throw new Error('libfaketime is not installed; run: ./tools/deps torture');
  const file = join(await mkdtemp(join(tmpdir(), 'ringback-clock-')), 'now');
  await chmod(join(file, '..'), 0o755);
  const set = (offset) => writeFile(file, `${offset}\n`);
  await set('+0');
  const cluster = await startCluster(settings, {
    ...process.env,
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  });
  await adopt(cluster, async () => {
    await stopCluster(cluster);
    await rm(join(file, '..'), { recursive: true });
  });
  const arena = await open('clock');
  const { world } = arena;
  const faults = [];
  const sink = await Sink.start();
  for (const person of ['AM1', 'AM2', 'MM1', 'S1']) await world.addTarget(person, sink.url(`/${person}`));
  const some = Array.from({ length: 100 }, (_, i) => complaint({ retailer: i % 2 ? 'R1' : 'R2', text: '催' }));
  const ids = (await world.post(batched(some))).json.map((item) => item.complaint.follow_up);

  // What each follow-up has heard of its ladder; all must have heard the same. Silence has steps of its own beside it, an hour
  // after each other: of them each must be heard once.
  const silent = ({ json }) => json.data.step.startsWith('unacknowledged-');
  const heard = () => {
    const words = new Map(ids.map((id) => [id, []]));
    for (const one of sink.requests) if (!silent(one)) words.get(one.json.data.follow_up)?.push(one.json.data.step);
    return [...new Set([...words.values()].map((list) => list.toSorted().join(' ')))];
  };
  const expect = async (when, ...steps) => {
    const wanted = steps.toSorted().join(' ');
    await eventually(() => heard().join('|') === wanted, { timeout: 20_000 }).catch(() => {});
    await pause(1500); // whatever comes too early or twice
    if (heard().join('|') !== wanted) faults.push(`${when}: heard ${heard().join(' | ')} instead of ${wanted}`);
    const answer = await world.post(structured(order({ retailer: 'R3', lines: [{ product: 'A1', cartons: 1 }] })));
    if (answer.status !== 200) faults.push(`${when}: an order is answered ${answer.status}`);
  };
  const day = ['assigned', 'reminder-50', 'reminder-75', 'overdue'];
  await expect('at first', 'assigned');
  await set('+86410');
  await expect('a day later', ...day);
  await set('+82810');
  await expect('an hour back', ...day);
  await set('+86410');
  await expect('again a day later', ...day);
  await set('+90010');
  await expect('25 hours later', ...day, 'escalation-1');
  await set('+93610');
  await expect('26 hours later', ...day, 'escalation-1', 'escalation-2');
  const early = await world.db.value('SELECT count(*) FROM follow_up_steps WHERE fired_at < due_at');
  const silence = sink.requests.filter(silent).map(({ json }) => `${json.data.follow_up} ${json.data.step}`);
  if (!silence.length) faults.push('nobody heard of the silence');
  if (new Set(silence).size !== silence.length) faults.push('a step for silence was heard twice');
  if (early) faults.push(`${early} steps fired before their time`);
  await sink.close();
  return { did: 'the clock of the database moved by +24 h, −1 h and +1 h twice: each step once, none early', faults };
}

export const rows = [
  { name: 'diskfull', title: 'the disk of the log full', only: 'full', run: diskFull },
  { name: 'scarce', title: 'descriptors and memory scarce', only: 'full', run: scarce },
  { name: 'clock', title: 'the clock of the database moved', only: 'full', run: clock },
];
