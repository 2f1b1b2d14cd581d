// The comparators that pgbench drives: the same write function with one order a transaction, and an ordinary
// statement on the same tables with ordinary foreign keys. Their scripts are written here, since they name codes.
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { cleanEnv } from '../../flow/lib/program.mjs';
import { familySeconds } from './processes.mjs';
import { conninfoParts } from '../../flow/lib/database.mjs';

const lines = [1, 2, 3, 4, 5];
const cartons = 10;

// Random values of one order: five different products by a random permutation, as cheap as pgbench can.
function variables(place) {
  return [
    '\\set n :n + 1',
    `\\set retailer random(${place.firstRetailer}, ${place.firstRetailer + place.retailers - 1})`,
    '\\set shuffle random(1, 1000000000)',
    ...lines.map((i) => `\\set p${i} 1 + permute(${i - 1}, ${place.products.length}, :shuffle)`),
    ...lines.map((i) => `\\set c${i} random(1, ${cartons})`),
  ].join('\n');
}

const id = ":client_id || '-' || :n";

// A constant array in the prepared plan: a look-up costs less than a microsecond.
const product = (place, i) => `('{${place.products.join(',')}}'::text[])[:p${i}]`;

function data(place) {
  const line = (i) => `'{"product":"' || ${product(place, i)} || '","cartons":' || :c${i} || '}`;
  return `'{"retailer":"' || :retailer || '","lines":[' || ${lines.map(line).join(",' || ")}]}'`;
}

function functionScript(place, source) {
  const head = `'{"outcome":"accepted","source":"${source}","event":"' || ${id} || '"'`;
  const none = (n) => Array(n).fill("'{}'").join(', ');
  return `${variables(place)}
SELECT outcome, answer FROM take_events(
  '{${place.branch}}', '{${place.gateway}}', '{${source}}', ARRAY[${id}], ARRAY[uuid_send(gen_random_uuid())],
  '{ringback.order.placed}', ARRAY[now()], ARRAY[${head}], ARRAY[${data(place)}],
  '{1}', ARRAY[:retailer::text], '{NULL}', '{NULL}', '{NULL}', '{NULL}',
  '{1,1,1,1,1}', '{1,2,3,4,5}', ARRAY[${lines.map((i) => product(place, i)).join(', ')}],
  ARRAY[${lines.map((i) => `:c${i}::integer`).join(', ')}],
  ${none(11)}, ${none(11)});
`;
}

// One statement stores event, body, order, counters and lines; the foreign keys check what the look-ups found.
function ordinaryScript(place, source) {
  const values = lines.map((i) => `(${i}, ${product(place, i)}, :c${i}::integer)`).join(', ');
  return `${variables(place)}
WITH asked AS MATERIALIZED (
  SELECT a.line, a.cartons, a.code, p.product_id, p.price_fen FROM (VALUES ${values}) AS a (line, code, cartons)
  JOIN products p ON p.branch_id = ${place.branch} AND p.code = a.code AND p.retired_at IS NULL
), head AS MATERIALIZED (
  SELECT r.retailer_id, c.cycle_id, s.source_id, reference_of(nextval('reference_of_branch_${place.branch}')) AS reference
  FROM retailers r, order_cycles c, sources s
  WHERE r.branch_id = ${place.branch} AND r.code = :retailer::text AND r.retired_at IS NULL
    AND c.branch_id = ${place.branch} AND c.starts_on = date_trunc('week', now() AT TIME ZONE 'Asia/Shanghai')::date
    AND s.branch_id = ${place.branch} AND s.source = '${source}'
), registered AS (
  INSERT INTO events (branch_id, source_id, event_id, content_hash, answer)
  SELECT ${place.branch}, source_id, ${id}, uuid_send(gen_random_uuid()),
    '{"outcome":"accepted","source":"${source}","event":"' || ${id} || '","order":{"reference":"' || reference
    || '","call": null,"lines":[' || (SELECT string_agg('{"product":"' || code || '","cartons":' || cartons
      || ',"granted":' || cartons || ',"reason": null,"cap": null,"used": 0}', ',' ORDER BY line) FROM asked) || '],"warnings":[]}}'
  FROM head
), kept AS (
  INSERT INTO event_bodies (branch_id, source_id, event_id, gateway_id, type, event_time, data)
  SELECT ${place.branch}, source_id, ${id}, ${place.gateway}, 'ringback.order.placed', now(), ${data(place)} FROM head
), placed AS (
  INSERT INTO orders (branch_id, reference, retailer_id, cycle_id, gateway_id, placed_at)
  SELECT ${place.branch}, reference, retailer_id, cycle_id, ${place.gateway}, now() FROM head
), counted AS (
  INSERT INTO cycle_uses AS u (branch_id, cycle_id, retailer_id, product_id, granted_cartons)
  SELECT ${place.branch}, cycle_id, retailer_id, product_id, cartons FROM head, asked ORDER BY product_id
  ON CONFLICT (branch_id, cycle_id, retailer_id, product_id)
    DO UPDATE SET granted_cartons = u.granted_cartons + excluded.granted_cartons
), lined AS (
  INSERT INTO order_lines (branch_id, reference, line, product_id, asked_cartons, granted_cartons, price_fen, used_cartons)
  SELECT ${place.branch}, reference, line, product_id, cartons, cartons, price_fen, 0 FROM head, asked
)
SELECT reference FROM head;
`;
}

// The references that leave events, orders and lines: the rows that the write function checks by its joins.
export const foreignKeys = [
  'ALTER TABLE events ADD FOREIGN KEY (branch_id, source_id) REFERENCES sources',
  'ALTER TABLE orders ADD FOREIGN KEY (branch_id, retailer_id) REFERENCES retailers',
  'ALTER TABLE orders ADD FOREIGN KEY (branch_id, cycle_id) REFERENCES order_cycles',
  'ALTER TABLE orders ADD FOREIGN KEY (branch_id, gateway_id) REFERENCES gateways',
  'ALTER TABLE orders ADD FOREIGN KEY (branch_id, operator_id) REFERENCES people',
  'ALTER TABLE order_lines ADD FOREIGN KEY (branch_id, reference) REFERENCES orders',
  'ALTER TABLE order_lines ADD FOREIGN KEY (branch_id, product_id) REFERENCES products',
];

const scripts = { function: functionScript, ordinary: ordinaryScript };

function run(args, env) {
  return new Promise((done, fail) => {
    const child = spawn('/usr/lib/postgresql/15/bin/pgbench', args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const text = [];
    child.stdout.on('data', (bytes) => text.push(bytes));
    child.stderr.on('data', (bytes) => text.push(bytes));
    child.on('error', fail);
    child.on('close', (code) => {
      const said = Buffer.concat(text).toString();
      if (code === 0) done(said);
      else fail(new Error(`pgbench: exit ${code}\n${said}`));
    });
  });
}

// Transactions a second, without those of the first `warm` seconds.
export async function pgbench(place, { kind, database, clients, seconds, warm, tag }) {
  const source = `/bench/${tag}`;
  const script = place.file(`${kind}.sql`);
  await writeFile(script, scripts[kind](place, source));
  if (kind === 'ordinary')
    await place.query(database, (db) =>
      db.rows('INSERT INTO sources (branch_id, source) VALUES ($1, $2) ON CONFLICT DO NOTHING', [place.branch, source]),
    );
  const { host, port, user } = conninfoParts(place.conninfo);
  const role = kind === 'function' ? '-c role=ringback_app ' : '';
  const env = cleanEnv({
    PGHOST: host,
    PGPORT: port,
    PGUSER: user,
    PGOPTIONS: `${role}-c search_path=ringback,pg_temp -c jit=off -c plan_cache_mode=force_generic_plan`,
  });
  const whole = Math.round(seconds + warm);
  const before = await familySeconds(place.postmaster);
  const said = await run(
    ['-n', '-M', 'prepared', '-c', `${clients}`, '-j', '1', '-T', `${whole}`, '-P', '1', '-D', 'n=0', '-f', script, database],
    env,
  );
  const transactions = Number(/transactions actually processed: (\d+)/.exec(said)[1]);
  const cpu = { postgres: (((await familySeconds(place.postmaster)) - before) / transactions) * 1e6 };
  const rates = [...said.matchAll(/^progress: ([\d.]+) s, ([\d.]+) tps, lat ([\d.]+) ms/gm)].map((found) => ({
    at: Number(found[1]),
    rate: Number(found[2]),
  }));
  const counted = rates.filter(({ at }) => at > warm + 0.5);
  if (!counted.length) throw new Error(`pgbench said nothing of its progress\n${said}`);
  return { rate: counted.reduce((sum, { rate }) => sum + rate, 0) / counted.length, clients, cpu };
}

// The number of clients with which it is fastest.
export async function bestClients(place, options) {
  let best;
  for (const clients of [2, 4, 8, 16]) {
    const got = await pgbench(place, { ...options, clients, tag: `${options.tag}-${clients}` });
    if (!best || got.rate > best.rate) best = got;
  }
  return best.clients;
}
