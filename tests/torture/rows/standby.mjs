// Rows with a synchronous standby: what was acknowledged survives the primary, and nothing is acknowledged whose wait
// for the standby was broken off.
import { Pair } from '../lib/pair.mjs';
import { eventually, pause } from '../../flow/lib/eventually.mjs';

const between = (least, most) => least + Math.random() * (most - least);

// An arena on a pair; the daemon knows both nodes.
async function onPair({ open, adopt }, name) {
  const pair = await Pair.start();
  await adopt(pair.cluster, () => pair.stop());
  const arena = await open(name, { daemon: false });
  const { world } = arena;
  world.env.RINGBACK_DATABASE = pair.conninfo(world.dbname);
  await world.start();
  return { pair, arena, world };
}

// The harness looks at whoever is the primary now.
async function follow(pair, arena, { adopt }) {
  const { host, port } = Object.fromEntries(pair.primary.conninfo.split(' ').map((part) => part.split('=')));
  arena.world.conninfo = arena.world.conninfo.replace(/host=\S+/, `host=${host}`).replace(/port=\S+/, `port=${port}`);
  await adopt(pair.cluster);
  await arena.reopen();
}

async function failOver(context) {
  const times = context.many(3, 20);
  const { pair, arena } = await onPair(context, 'standby');
  const load = arena.load();
  let seconds = 0;
  for (let i = 0; i < times; i++) {
    await pause(between(300, 1500));
    await pair.failOver();
    seconds = Math.max(seconds, (await load.served()) / 1000);
    await follow(pair, arena, context);
    await pair.rebuild();
  }
  const seen = await arena.verdict(load);
  const faults = seconds > 5 ? [`served again only ${seconds.toFixed(2)} s after the promotion`] : [];
  return {
    did: `failed over to the synchronous standby ${times} times`,
    seconds,
    ...seen,
    faults: [...faults, ...seen.faults],
  };
}

async function breakOff(context) {
  const times = context.many(10, 100);
  const { pair, arena, world } = await onPair(context, 'waits');
  const load = arena.load();
  await load.served();
  await pair.standby.stop();
  await pause(200);
  const before = load.acknowledged;
  for (let i = 0; i < times; i++) {
    const waiting = `SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'ringbackd intake'`;
    const find = async () => (await world.db.rows(waiting))[0]?.pid;
    const pid = await eventually(find, { timeout: 15_000, what: 'a commit waits for the standby' });
    await world.db.rows(`SELECT pg_${i % 2 ? 'cancel' : 'terminate'}_backend($1)`, [pid]);
    await pause(between(5, 60));
  }
  await pause(300);
  const false_ = load.acknowledged - before;
  const faults = false_ ? [`${false_} events acknowledged while nothing could be replicated`] : [];
  await pair.standby.start();
  const seconds = (await load.served()) / 1000;
  const seen = await arena.verdict(load);
  return {
    did: `the standby gone, the wait for it broken off ${times} times: none of it acknowledged`,
    seconds,
    ...seen,
    faults: [...faults, ...seen.faults],
  };
}

export const rows = [
  { name: 'standby', title: 'fail-over to a synchronous standby', only: 'full', run: failOver },
  { name: 'waits', title: 'waits for a standby broken off', run: breakOff },
];
