// Orders over HTTP: the daemon or a comparator under the load generator, and the check that exactly what was
// acknowledged is in the database.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { conninfoParts } from '../../flow/lib/database.mjs';
import { root } from '../../flow/lib/paths.mjs';
import { Daemon } from '../../flow/lib/daemon.mjs';
import { cleanEnv, must } from '../../flow/lib/program.mjs';
import { build } from './place.mjs';
import { cpuOf, familySeconds } from './processes.mjs';

const tuning = ['RINGBACK_WRITE_CONNECTIONS', 'RINGBACK_BATCH_EVENTS', 'RINGBACK_DELIVERY_CONNECTIONS'];

export function startDaemon(place, database, extra = {}) {
  const given = Object.fromEntries(tuning.filter((key) => process.env[key]).map((key) => [key, process.env[key]]));
  return Daemon.start({ build, env: place.env(database, { ...given, ...extra }), log: place.file('daemon.log') });
}

// Sends for warm + seconds to the address; rate: open loop. servers: process numbers of who answers. The answer has
// the processor time that each side took for an order, in µs.
export async function load(place, { address, servers, database, connections, seconds, warm, rate, tag }) {
  const source = `/bench/${tag}`;
  const ledger = place.file('ledger');
  const args = ['--address', address, '--key-file', place.key, '--source', source, '--ledger', ledger];
  args.push('--retailers', place.file('retailers'), '--products', place.file('products'));
  args.push('--connections', `${connections}`, '--seconds', `${seconds}`, '--warm', `${warm}`);
  if (rate) args.push('--rate', `${rate}`);
  const sums = async () => [await familySeconds(place.postmaster), await cpuOf(servers)];
  const before = await sums();
  const done = await must(join(build, 'bench/load'), args);
  const after = await sums();
  const got = JSON.parse(done.stdout);
  const each = (took) => (took / got.all_acknowledged) * 1e6;
  got.cpu = { postgres: each(after[0] - before[0]), server: each(after[1] - before[1]), load: each(got.cpu_seconds) };
  await checkLedger(place, { database, source, ledger, expect: got.all_acknowledged });
  return got;
}

// Set-based, both ways: every acknowledged event has its order with five lines, every stored one was acknowledged
// or is one whose fate the sender does not know.
export async function checkLedger(place, { database, source, ledger, expect }) {
  const sql = `
    SET search_path = ringback; SET work_mem = '256MB';
    CREATE TEMP TABLE ledger (event_id text, reference bigint);
    \\copy ledger FROM '${ledger}'
    CREATE TEMP TABLE stored AS
      SELECT e.event_id, (e.answer::json -> 'order' ->> 'reference')::bigint AS reference
      FROM events e JOIN sources s USING (branch_id, source_id) WHERE s.source = '${source}';
    CREATE TEMP TABLE lines AS
      SELECT l.reference, count(*) AS lines FROM order_lines l JOIN stored USING (reference) GROUP BY 1;
    SELECT count(*) FILTER (WHERE g.reference > 0),
           count(*) FILTER (WHERE g.reference > 0 AND s.reference IS DISTINCT FROM g.reference),
           count(*) FILTER (WHERE g.reference > 0 AND (o.reference IS NULL OR l.lines IS DISTINCT FROM 5)),
           count(*) FILTER (WHERE g.event_id IS NULL)
    FROM ledger g FULL JOIN stored s USING (event_id)
    LEFT JOIN orders o ON o.reference = s.reference LEFT JOIN lines l ON l.reference = s.reference;`;
  const done = await must('psql', ['-XqAt', '-v', 'ON_ERROR_STOP=1', place.database(database)], { stdin: sql });
  const [acknowledged, missing, incomplete, unasked] = done.stdout.trim().split('|').map(Number);
  if (acknowledged !== expect || missing || incomplete || unasked)
    throw new Error(
      `the database differs from what ${source} was told: ${acknowledged} of ${expect} acknowledged in the ledger, ` +
        `${missing} missing or with another reference, ${incomplete} without their order, ${unasked} never acknowledged`,
    );
}

export async function daemonUnderLoad(place, options) {
  const daemon = await startDaemon(place, options.database);
  try {
    const address = `${daemon.gateway.host}:${daemon.gateway.port}`;
    return await load(place, { ...options, address, servers: [daemon.pid] });
  } finally {
    await daemon.stop();
  }
}

// The comparator on Fastify. It takes any port, and ends with our end of its standard input.
export async function fastifyUnderLoad(place, options) {
  const { host, port, user } = conninfoParts(place.conninfo);
  const session = '-c role=ringback_app -c search_path=ringback,pg_temp -c jit=off -c plan_cache_mode=force_generic_plan';
  const database = { host, port: Number(port), user, database: options.database, options: session };
  const env = cleanEnv({
    NODE_ENV: 'production',
    DATABASE: JSON.stringify(database),
    KEY: (await readFile(place.key, 'utf8')).trim(),
    BRANCH: `${place.branch}`,
    GATEWAY: `${place.gateway}`,
  });
  const server = spawn(process.execPath, [join(root, 'tests/bench/fastify/server.mjs')], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(server, 'close');
  try {
    const [text] = await once(server.stdout, 'data');
    const { port: listening, pids } = JSON.parse(text);
    return await load(place, { ...options, address: `127.0.0.1:${listening}`, servers: pids });
  } finally {
    server.stdin.end();
    await ended;
  }
}

// The batched statement straight from libpq.
export async function batched(place, { database, seconds, warm, tag, batch = 64, connections = 2 }) {
  const source = `/bench/${tag}`;
  const ledger = place.file('ledger');
  const args = ['--database', place.database(database), '--source', source, '--gateway', `${place.gateway}`];
  args.push('--retailers', place.file('retailers'), '--products', place.file('products'), '--ledger', ledger);
  args.push('--seconds', `${seconds}`, '--warm', `${warm}`, '--batch', `${batch}`, '--connections', `${connections}`);
  const before = await familySeconds(place.postmaster);
  const done = await must(join(build, 'bench/batched'), args);
  const got = JSON.parse(done.stdout);
  got.cpu = { postgres: (((await familySeconds(place.postmaster)) - before) / got.all_acknowledged) * 1e6 };
  await checkLedger(place, { database, source, ledger, expect: got.all_acknowledged });
  return got;
}
