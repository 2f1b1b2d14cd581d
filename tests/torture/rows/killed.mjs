// Rows in which the daemon ends: killed at any moment, told to end, one of two.
import { descriptors } from '../lib/memory.mjs';
import { pause } from '../../flow/lib/eventually.mjs';

const between = (least, most) => least + Math.random() * (most - least);

async function killDaemon({ many, open }) {
  const times = many(30, 200);
  const arena = await open('daemon');
  const load = arena.load();
  let seconds = 0;
  for (let i = 0; i < times; i++) {
    await pause(between(50, 900));
    await arena.world.daemon.kill();
    await arena.world.start({}, { ready: false });
    seconds = Math.max(seconds, (await load.served()) / 1000);
  }
  const seen = await arena.verdict(load, { connections: 'cut' });
  return { did: `kill -9 of the daemon ${times} times`, seconds, ...seen };
}

async function drain({ many, open }) {
  const times = many(5, 50);
  const arena = await open('drain', { checked: true });
  const load = arena.load();
  const faults = [];
  let slowest = 0;
  let seconds = 0;
  for (let i = 0; i < times; i++) {
    for (let hup = 0; hup < 3; hup++) {
      await pause(between(20, 200));
      arena.world.daemon.signal('SIGHUP');
    }
    await pause(between(20, 200));
    slowest = Math.max(slowest, await arena.world.daemon.stop());
    await arena.world.start({}, { ready: false });
    seconds = Math.max(seconds, (await load.served()) / 1000);
  }
  if (slowest > 10_000) faults.push(`it took ${Math.round(slowest)} ms to leave`);
  const seen = await arena.verdict(load, { connections: 'cut' });
  return {
    did: `SIGTERM ${times} times and SIGHUP ${3 * times} times, left with 0 within ${(slowest / 1000).toFixed(2)} s`,
    seconds,
    ...seen,
    faults: [...faults, ...seen.faults],
  };
}

async function killOneOfTwo({ many, open }) {
  const times = many(3, 30);
  const arena = await open('two', { checked: true, env: { RINGBACK_REUSE_PORT: 'true' } });
  const { world } = arena;
  const daemons = [world.daemon, await world.start()];
  const faults = [];
  let seconds = 0;
  const before = await Promise.all(daemons.map(descriptors));
  const load = arena.load({ clients: 32 });
  await load.served();
  const taken = (await Promise.all(daemons.map(descriptors))).map((n, i) => n - before[i]);
  if (taken.some((n) => n < 1)) faults.push(`they do not share the clients: ${taken}`);
  for (let i = 0; i < times; i++) {
    await pause(between(500, 900));
    await daemons.shift().kill();
    seconds = Math.max(seconds, (await load.served()) / 1000);
    daemons.push(await world.start({}, { ready: false }));
  }
  const seen = await arena.verdict(load, { connections: 'cut' });
  return {
    did: `one of two daemons on a port killed ${times} times`,
    seconds,
    ...seen,
    faults: [...faults, ...seen.faults],
  };
}

export const rows = [
  { name: 'daemon', title: 'kill -9 of the daemon', run: killDaemon },
  { name: 'drain', title: 'SIGTERM and SIGHUP under load', run: drain },
  { name: 'two', title: 'one of two daemons killed', run: killOneOfTwo },
];
