// The benchmark. tools/bench builds and starts it; its words are there.
import { cpus, loadavg, release, totalmem } from 'node:os';
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { measureMemory } from './driver/memory.mjs';
import { measureNotifications } from './driver/notifications.mjs';
import { measureOrders } from './driver/orders.mjs';
import { Place } from './driver/place.mjs';
import { measureProfile } from './driver/profile.mjs';
import { measurePromise } from './driver/promise.mjs';
import { measureStreams } from './driver/streams.mjs';
import { missed, rows, table } from './driver/table.mjs';

const sizes = {
  full: { rounds: 3, retailers: 500_000, seconds: 10, warm: 2, notifications: 20_000, followUps: 2_000_000, steps: 10_000, within: 60, claims: 100_000 },
  quick: { rounds: 1, retailers: 20_000, seconds: 3, warm: 1, notifications: 2_000, followUps: 50_000, steps: 1_000, within: 6, claims: 5_000 },
};

const begin = performance.now();
const say = (text) => console.error(`bench: ${String(Math.round((performance.now() - begin) / 1000)).padStart(4)} s  ${text}`);

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      markdown: { type: 'string' },
    },
  });
  const size = { ...(values.quick ? sizes.quick : sizes.full) };
  for (const key of ['rounds', 'seconds']) if (values[key]) size[key] = Number(values[key]);
  const unknown = positionals.filter((name) => !rows.some((row) => row.name === name));
  if (unknown.length || !(size.rounds >= 1) || !(size.seconds > 0)) {
    console.error(`bench: rows are ${rows.map((row) => row.name).join(', ')}; see tools/bench --help`);
    process.exit(2);
  }
  const chosen = rows.filter((row) => !positionals.length || positionals.includes(row.name));
  return { size, chosen, quick: values.quick, markdown: values.markdown };
}

function told(round, name, got) {
  const cpu = got.cpu && Object.entries(got.cpu).map(([who, us]) => `${who} ${us.toFixed(0)}`);
  const { rate, p50_us: p50, p99_us: p99, ...rest } = got;
  const words = [rate && `${Math.round(rate)}/s`, p50 && `p50 ${p50} p99 ${p99} µs`, cpu && `CPU µs each: ${cpu.join(', ')}`];
  say(`round ${round + 1}  ${name.padEnd(9)} ${words.filter(Boolean).join('  ') || JSON.stringify(rest)}`);
}

async function measure(place, size, chosen) {
  const names = new Set(chosen.map((row) => row.name));
  const orders = new Set(chosen.flatMap((row) => row.needs));
  const measured = {};
  if (orders.size) Object.assign(measured, await measureOrders(place, { ...size, wanted: orders, told }));
  if (names.has('memory')) measured.memory = await measureMemory(place, { ...size, told });
  if (names.has('streams')) Object.assign(measured, await measureStreams(place, { ...size, told }));
  if (names.has('notifications'))
    Object.assign(measured, await measureNotifications(place, { ...size, count: size.notifications, told }));
  if (names.has('profile')) Object.assign(measured, await measureProfile(place, { ...size, told }));
  if (['lateness', 'pace', 'look', 'claim'].some((name) => names.has(name))) {
    const { followUps: count, within: seconds, ...rest } = size;
    Object.assign(measured, await measurePromise(place, { ...rest, count, seconds, wanted: names, told }));
  }
  return measured;
}

async function machine(place) {
  const version = await place.admin.value("SELECT split_part(version(), ' ', 2)");
  const [core] = cpus();
  return (
    `${cpus().length} cores (${core.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, ` +
    `PostgreSQL ${version} with its own defaults (fsync and synchronous_commit on). ` +
    'PostgreSQL, the daemon or its comparator, and the load generator share all cores.'
  );
}

// Into a file that has the lines <!-- bench --> and <!-- /bench -->: between them. Another one is made of it alone.
async function writeMarkdown(file, text) {
  const old = await readFile(file, 'utf8').catch(() => '');
  const between = /(<!-- bench -->\n)[^]*(<!-- \/bench -->)/;
  await writeFile(file, between.test(old) ? old.replace(between, (_, from, to) => `${from}\n${text}\n\n${to}`) : `${text}\n`);
}

async function main(place, { size, chosen, quick, markdown }) {
  const [load] = loadavg();
  const measured = await measure(place, size, chosen);
  const text = [
    `${await machine(place)} ${size.rounds} ${size.rounds === 1 ? 'round' : 'interleaved rounds'} of ${size.seconds} s, ` +
      `${size.retailers.toLocaleString('en')} retailers, ${new Date().toISOString().slice(0, 10)}; ` +
      `load of others at the beginning ${load.toFixed(1)}.` +
      (quick ? ' A quick try with little data: its figures say little.' : ''),
    '',
    table(chosen, measured),
  ].join('\n');
  console.log(text);
  if (markdown) await writeMarkdown(markdown, text);
  const misses = missed(chosen, measured);
  if (misses.length) say(`missed: ${misses.join(', ')}`);
}

const wanted = options();
const place = await Place.open({ retailers: wanted.size.retailers, say });
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, async () => {
    await place.close();
    process.exit(130);
  });
try {
  await main(place, wanted);
  say('done');
} finally {
  await place.close();
}
