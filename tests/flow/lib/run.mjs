// Runs the flow tests: one cluster for all, two files at a time, one line for a file, the details of failures
// only. Closes with "N passed, N failed".
import { run } from 'node:test';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeTemplates, startCluster, stopCluster } from './cluster.mjs';

const folder = fileURLToPath(new URL('..', import.meta.url));
const names = process.argv.slice(2);
const all = readdirSync(folder).filter((name) => name.endsWith('.test.mjs'));
const wanted = names.length ? names.map((name) => `${basename(name, '.test.mjs')}.test.mjs`) : all;
const strange = wanted.filter((name) => !all.includes(name));
if (strange.length) {
  console.error(`no such test: ${strange.join(' ')}`);
  process.exit(2);
}

// Files that measure latency and memory have the machine for themselves, at the end.
const alone = ['baddays.test.mjs'];
const phases = [
  [wanted.filter((name) => !alone.includes(name)), 2],
  [wanted.filter((name) => alone.includes(name)), 1],
];

const limit = Number(process.env.FLOW_LIMIT ?? 240_000); // ms for one file

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
const begin = performance.now();
let passed = 0;
let failed = 0;
const files = new Map();

function fileOf(data) {
  const name = basename(data.file ?? data.name ?? '?', '.test.mjs');
  if (!files.has(name)) files.set(name, { name, passed: 0, failed: 0, faults: [], said: [] });
  return files.get(name);
}

const foreign = /^\s+at .*(node:internal|processTicksAndRejections|node_modules)/;
const indent = (text) =>
  text
    .split('\n')
    .filter((line) => line.trim() && !foreign.test(line))
    .slice(0, 30)
    .map((line) => `      ${line}`);

function onPass(data) {
  if (data.details.type === 'suite' || data.skip !== undefined || data.name.endsWith('.test.mjs')) return;
  fileOf(data).passed++;
  passed++;
}

// A suite is the sum of its tests and a file that of its: such a failure counts only when it is one of its own
// (a hook's, a file that died), hence nothing in it was counted yet.
function onFail(data) {
  const file = fileOf(data);
  const error = data.details.error;
  const whole = data.details.type === 'suite' || data.name.endsWith('.test.mjs');
  if (whole && (error?.failureType === 'subtestsFailed' || (file.failed && error?.message === 'test failed'))) return;
  file.failed++;
  failed++;
  const cause = error?.cause ?? error;
  const words = [cause?.stack ?? String(cause), ...(whole ? file.said : [])].join('\n');
  file.faults.push([`  ✗ ${whole ? basename(data.name) : data.name}`, ...indent(words)].join('\n'));
  if (file.told) tell(file);
}

function tell(file) {
  file.told = true;
  const state = file.failed ? `${file.failed} failed, ${file.passed} passed` : `${file.passed} passed`;
  console.log(`${file.failed ? '✗' : '✓'} ${file.name.padEnd(14)} ${state}${file.took ? `  (${file.took})` : ''}`);
  for (const fault of file.faults.splice(0)) console.log(fault);
}

function onSummary(data) {
  if (!data.file) return;
  const file = fileOf(data);
  file.took = seconds(performance.now() - file.began);
  tell(file);
}

async function runFiles(some, concurrency) {
  const stream = run({
    files: some.map((name) => join(folder, name)),
    concurrency,
    timeout: limit,
    execArgv: ['--test-force-exit'],
  });
  // The first files begin before anybody can listen.
  for (const name of some) fileOf({ name }).began = performance.now();
  stream.on('test:dequeue', (data) => data.name === data.file && (fileOf(data).began = performance.now()));
  stream.on('test:diagnostic', (data) => data.file && fileOf(data).said.push(data.message));
  stream.on('test:pass', onPass);
  stream.on('test:fail', onFail);
  stream.on('test:stderr', (data) => process.stderr.write(data.message));
  stream.on('test:stdout', (data) => process.stdout.write(data.message));
  stream.on('test:summary', onSummary);
  for await (const _ of stream); // to its end
  for (const file of files.values()) if (!file.told) tell(file); // those that died before they could sum up
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
  console.log(`templates made  (${seconds(performance.now() - begin)})`);
  process.env.FLOW_CLUSTER = JSON.stringify(cluster);
  for (const [some, concurrency] of phases) if (some.length) await runFiles(some, concurrency);
} catch (error) {
  failed++;
  console.log(`✗ the harness: ${error.stack}`);
}
console.log(`flow took ${seconds(performance.now() - begin)}`);
console.log(`${passed} passed, ${failed} failed`);
await leave(failed ? 1 : 0);
