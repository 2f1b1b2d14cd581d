// Runs the flow tests (those of the folder FLOW_FOLDER when it is set): one cluster for all, two files at a time,
// one line for a file, the details of failures only. Closes with "N passed, N failed".
import { run } from 'node:test';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeTemplates, startCluster, stopCluster } from './cluster.mjs';

const folder = process.env.FLOW_FOLDER ?? fileURLToPath(new URL('..', import.meta.url));
const limit = Number(process.env.FLOW_LIMIT ?? 240_000); // ms for one file
const longest = ['webhooks', 'startup', 'tool', 'steps']; // begin first, so that the end is not a wait for one
const alone = ['baddays']; // measure latency and memory: they have the machine for themselves, at the end

const all = readdirSync(folder)
  .filter((name) => name.endsWith('.test.mjs'))
  .map((name) => basename(name, '.test.mjs'));
const names = process.argv.slice(2).map((name) => basename(name, '.test.mjs'));
const strange = names.filter((name) => !all.includes(name));
if (strange.length) {
  console.error(`no such test: ${strange.join(' ')}; there are: ${all.join(' ')}`);
  process.exit(2);
}
const wanted = names.length ? names : all.toSorted((a, b) => longest.includes(b) - longest.includes(a));

const begin = performance.now();
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;
let passed = 0;
let failed = 0;

const foreign = /^\s+at .*(node:internal|processTicksAndRejections|node_modules)/;
const indent = (text) =>
  text
    .split('\n')
    .filter((line) => line.trim() && !foreign.test(line))
    .slice(0, 30)
    .map((line) => `      ${line}`)
    .join('\n');

const isWhole = (data) => data.details.type === 'suite' || data.name.endsWith('.test.mjs');

// A suite is the sum of its tests and a file that of its: such a failure counts only when it is one of its own
// (a hook's, a file that died), hence nothing in it was counted yet.
function isEcho(data, file) {
  const error = data.details.error;
  return (
    isWhole(data) &&
    (error?.failureType === 'subtestsFailed' || (file.faults.length && error?.message === 'test failed'))
  );
}

function faultText(data, said) {
  const error = data.details.error;
  const cause = error?.cause ?? error;
  const words = [cause?.stack ?? String(cause), ...(isWhole(data) ? said : [])].join('\n');
  return `  ✗ ${basename(data.name)}\n${indent(words)}`;
}

async function runFile(name) {
  const file = { began: performance.now(), passed: 0, faults: [], said: [] };
  const stream = run({ files: [join(folder, `${name}.test.mjs`)], timeout: limit, execArgv: ['--test-force-exit'] });
  stream.on('test:diagnostic', (data) => data.file && file.said.push(data.message));
  stream.on('test:pass', (data) => (file.passed += !isWhole(data) && data.skip === undefined ? 1 : 0));
  stream.on('test:fail', (data) => isEcho(data, file) || file.faults.push(faultText(data, file.said)));
  stream.on('test:stderr', (data) => process.stderr.write(data.message));
  stream.on('test:stdout', (data) => process.stdout.write(data.message));
  for await (const _ of stream); // to its end
  passed += file.passed;
  failed += file.faults.length;
  const sign = file.faults.length ? `✗ ${name.padEnd(12)} ${file.faults.length} failed, ` : `✓ ${name.padEnd(12)} `;
  console.log(`${sign}${file.passed} passed  (${seconds(file.began)})`);
  for (const fault of file.faults) console.log(fault);
}

async function runFiles(queue, atOnce) {
  const worker = async () => {
    while (queue.length) await runFile(queue.shift());
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

let cluster;
const leave = async (code) => {
  if (cluster) await stopCluster(cluster).catch((error) => console.error(error.message));
  process.exit(code);
};
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => leave(1));

try {
  cluster = await startCluster();
  Object.assign(cluster, await makeTemplates(cluster));
  console.log(`templates made  (${seconds(begin)})`);
  process.env.FLOW_CLUSTER = JSON.stringify(cluster);
  await runFiles(
    wanted.filter((name) => !alone.includes(name)),
    2,
  );
  await runFiles(
    wanted.filter((name) => alone.includes(name)),
    1,
  );
} catch (error) {
  failed++;
  console.log(`✗ the harness: ${error.stack}`);
}
console.log(`flow took ${seconds(begin)}`);
console.log(`${passed} passed, ${failed} failed`);
await leave(failed ? 1 : 0);
