// Runs rows of the torture one after the other: one cluster, one line a row. Called by tests/torture/run.
import { makeTemplate, startCluster, stopCluster } from '../../flow/lib/cluster.mjs';
import { fixture } from '../../flow/lib/paths.mjs';
import { Arena, settings } from './arena.mjs';
import { rows as killed } from '../rows/killed.mjs';
import { rows as database } from '../rows/database.mjs';
import { rows as events } from '../rows/events.mjs';
import { rows as outbox } from '../rows/outbox.mjs';
import { rows as promise } from '../rows/promise.mjs';
import { rows as standby } from '../rows/standby.mjs';
import { rows as machine } from '../rows/machine.mjs';
import { rows as clients } from '../rows/clients.mjs';
import { rows as logins } from '../rows/logins.mjs';

// A row: {name, title, only: "full" or nothing, run({short, many, open, adopt})}. many(few, lots) chooses a number,
// open(name, options) makes an arena that is closed when the row is over, adopt(cluster, end) lets it take place on
// another cluster. run gives {did, acknowledged, lost, twice, seconds, faults}: what was done, what the oracle saw, the
// longest time without service, and all else that is wrong.
const all = [...killed, ...database, ...events, ...outbox, ...promise, ...standby, ...machine, ...clients, ...logins];

const args = process.argv.slice(2);
const short = args.includes('--short');
const names = args.filter((arg) => arg !== '--short');
const strange = names.filter((name) => !all.some((row) => row.name === name));
if (strange.length) {
  console.error(`no such row: ${strange.join(' ')}; there are: ${all.map((row) => row.name).join(' ')}`);
  process.exit(2);
}
const wanted = all.filter((row) => (names.length ? names.includes(row.name) : !short || row.only !== 'full'));

const arenas = [];
const open = async (...args) => {
  const arena = await Arena.open(...args);
  arenas.push(arena);
  return arena;
};
// A cluster of the row's own, in place of the one for all until the row is over.
const atEnd = [];
const adopt = async (own, end) => {
  process.env.FLOW_CLUSTER = JSON.stringify(own);
  if (!end) return;
  atEnd.push(end);
  await makeTemplate(own, 'flow_small', fixture);
};
const context = { short, many: (few, lots) => (short ? few : lots), open, adopt };
const n = (count) => count.toLocaleString('en');
let passed = 0;
let failed = 0;

function verdict({ acknowledged, lost, twice, seconds, faults = [] }) {
  const all = [...faults];
  if (lost) all.push(`${n(lost)} acknowledged and lost`);
  if (twice) all.push(`${n(twice)} effects twice`);
  const words = [];
  if (acknowledged !== undefined) words.push(`${n(acknowledged)} acknowledged, ${n(lost)} lost, ${n(twice)} twice`);
  if (seconds !== undefined) words.push(`served again within ${seconds.toFixed(2)} s`);
  return { words, faults: all };
}

async function runRow(row) {
  const begin = performance.now();
  let seen;
  try {
    seen = await row.run(context);
  } catch (error) {
    seen = { did: row.title, faults: [error.stack] };
  }
  const remember = (error) => (seen.faults = [...(seen.faults ?? []), error.stack]);
  for (const arena of arenas.splice(0)) await arena.close().catch(remember);
  for (const end of atEnd.splice(0)) await end().catch(remember);
  process.env.FLOW_CLUSTER = JSON.stringify(cluster);
  const { words, faults } = verdict(seen);
  const took = ((performance.now() - begin) / 1000).toFixed(0);
  const line = [seen.did, ...words].join('; ');
  console.log(`${faults.length ? 'not ok' : 'ok'} ${passed + failed + 1} - ${row.name}: ${line}  (${took} s)`);
  for (const fault of faults) console.log(`    ${fault.split('\n').slice(0, 12).join('\n    ')}`);
  if (faults.length) failed++;
  else passed++;
}

let cluster;
const leave = async (code) => {
  for (const { world } of arenas) for (const daemon of world.daemons) daemon.signal('SIGKILL');
  for (const end of atEnd.splice(0)) await end().catch((error) => console.error(error.message));
  if (cluster) await stopCluster(cluster).catch((error) => console.error(error.message));
  process.exit(code);
};
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => leave(1));

process.once('uncaughtException', (error) => {
  process.on('uncaughtException', () => {}); // what follows from the first
  console.log(`not ok - the harness: ${error.stack}\n${passed} passed, ${failed + 1} failed`);
  leave(1);
});

const begin = performance.now();
try {
  cluster = await startCluster(settings);
  await makeTemplate(cluster, 'flow_small', fixture);
  process.env.FLOW_CLUSTER = JSON.stringify(cluster);
  for (const row of wanted) await runRow(row);
} catch (error) {
  failed++;
  console.log(`not ok - the harness: ${error.stack}`);
}
console.log(`torture took ${((performance.now() - begin) / 1000).toFixed(0)} s`);
console.log(`${passed} passed, ${failed} failed`);
await leave(failed ? 1 : 0);
