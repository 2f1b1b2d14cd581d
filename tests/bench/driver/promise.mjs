// The clock of the promise under the weight of two million open follow-ups: how late steps are that fall due within
// one minute or a thousand a second, what finding and claiming them costs beside a small branch, and what an empty look
// costs behind a hundred thousand claims.
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../../flow/lib/eventually.mjs';
import { startDaemon } from './http.mjs';
import { Sink, addTargets } from './sink.mjs';

const most = 1000; // steps in one of the daemon's looks

// Like complaints of the last day, all with their whole ladder in the far future. Loaded past the triggers and foreign
// keys, which would take most of the time; the joins see to it that all references hold.
const load = [
  'SET session_replication_role = replica',
  "SET maintenance_work_mem = '512MB'",
  'CREATE TEMP TABLE owned AS SELECT retailer_id, manager_id, row_number() OVER (ORDER BY retailer_id) - 1 AS n FROM retailers',
  'CREATE UNIQUE INDEX ON owned (n)',
  `INSERT INTO complaints (branch_id, reference, kind, retailer_id, text, gateway_id, raised_at)
   SELECT $1, reference_of(100000000 + g.n), 'complaint', s.retailer_id, '送货晚了，两条包装破损，请回电', $2,
          now() - interval '1 day' * random()
   FROM generate_series(1, $3::integer) AS g (n) JOIN owned s ON s.n = g.n % (SELECT count(*) FROM owned)`,
  `INSERT INTO follow_ups (branch_id, follow_up_id, complaint, retailer_id, owner_id, policy_id, raised_at, due_at)
   OVERRIDING SYSTEM VALUE
   SELECT c.branch_id, row_number() OVER (), c.reference, c.retailer_id, s.manager_id, p.policy_id, c.raised_at,
          c.raised_at + interval '3650 days'
   FROM complaints c JOIN owned s USING (retailer_id), (SELECT min(policy_id) AS policy_id FROM policies) p`,
  `INSERT INTO follow_up_steps (branch_id, follow_up_id, step, action, whom, due_at)
   SELECT f.branch_id, f.follow_up_id, s.step, s.action, s.whom, f.raised_at + (f.due_at - f.raised_at) * s.share::double precision + s.plus
   FROM follow_ups f JOIN policy_steps s USING (branch_id, policy_id)`,
  'CREATE SEQUENCE public.bench_used',
];

async function makeOpen(place, count) {
  const name = `promise_${count}`;
  await place.template(name, place.made, async () => {
    place.say(`loading ${count} open follow-ups with five steps each (kept for the next run)`);
    await place.copy(place.base, name);
    await place.query(name, async (db) => {
      const values = [place.branch, place.gateway, count];
      for (const sql of load) await db.rows(sql, sql.includes('$1') ? values.slice(0, sql.includes('$3') ? 3 : 2) : []);
    });
    await place.query(name, (db) => db.rows('VACUUM ANALYZE'));
  });
  return name;
}

// Moves the first reminder of follow-ups that were not used before: each falls due at a random moment of a span.
async function arm(db, steps, from, seconds) {
  const used = await db.value("SELECT setval('public.bench_used', last_value + $1) FROM public.bench_used", [steps]);
  await db.rows(
    `UPDATE follow_up_steps SET due_at = $1::timestamptz + random() * make_interval(secs => $2)
     WHERE follow_up_id > $3 AND follow_up_id <= $4 AND step = 'reminder-50'`,
    [from, seconds, used - steps, used],
  );
  return used;
}

async function usedUp(place, name, steps, count) {
  const used = await place.query(name, (db) => db.value('SELECT last_value FROM public.bench_used'));
  return used + steps > count;
}

// What earlier rounds left in the outbox is none of this one's work.
async function emptyOutbox(db) {
  await db.force("UPDATE notifications SET state = 'cancelled', finished_at = now() WHERE state IN ('waiting', 'sending')");
  await db.rows('VACUUM notifications');
}

async function lateness(place, name, { steps, seconds }) {
  await place.query(name, emptyOutbox);
  const daemon = await startDaemon(place, name);
  try {
    return await place.query(name, async (db) => {
      await place.checkpoint();
      const from = await db.value("SELECT now() + interval '10 seconds'");
      const used = await arm(db, steps, from, seconds);
      const mine = `step = 'reminder-50' AND follow_up_id > ${used - steps} AND follow_up_id <= ${used}`;
      const late = await db.value('SELECT now() > $1::timestamptz', [from]);
      if (late) throw new Error('arming the steps took longer than ten seconds');
      await pause((seconds + 10) * 1000);
      await eventually(async () => !(await db.value(`SELECT EXISTS (SELECT FROM follow_up_steps WHERE ${mine} AND fired_at IS NULL)`)), {
        timeout: 60_000,
        every: 200,
        what: 'every step has fired',
      });
      const got = await db.row(`
        SELECT count(*) AS steps,
               1000 * percentile_disc(0.5) WITHIN GROUP (ORDER BY late) AS p50_ms,
               1000 * percentile_disc(0.99) WITHIN GROUP (ORDER BY late) AS p99_ms, 1000 * max(late) AS max_ms
        FROM (SELECT extract(epoch FROM fired_at - due_at)::double precision AS late FROM follow_up_steps WHERE ${mine}) q`);
      const metrics = await fetch(`http://${daemon.gateway.host}:${daemon.gateway.port}/metrics`);
      return { ...got, metric_p99_ms: p99OfHistogram(await metrics.text(), 'lateness_seconds', steps) };
    });
  } finally {
    await daemon.stop();
  }
}

// The upper bound of the bucket in which the 99th of a hundred lies, in ms.
function p99OfHistogram(text, name, least) {
  const buckets = [...text.matchAll(new RegExp(`^\\w+${name}_bucket\\{le="([^"]+)"\\} (\\d+)`, 'gm'))].map((found) => ({
    bound: found[1] === '+Inf' ? Infinity : Number(found[1]),
    count: Number(found[2]),
  }));
  const all = buckets.at(-1)?.count ?? 0;
  if (all < least) throw new Error(`/metrics knows of ${all} steps, not ${least}`);
  return buckets.find(({ count }) => count >= 0.99 * all).bound * 1000;
}

// One look of the daemon's kind, in ms of the server's own time.
async function look(db, after) {
  const [row] = await db.rows(`EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) SELECT * FROM fire_due_steps(${after}, ${most})`);
  return row['QUERY PLAN'][0]['Execution Time'];
}

// After a look that found nothing: behind the daemon's cursor, which stays two seconds back, and over the whole range.
async function looks(db, times) {
  const first = await look(db, 'NULL');
  const until = await db.value(
    `SELECT quote_literal(looked_until - interval '2 seconds') FROM fire_due_steps(NULL, ${most}) WHERE action IS NULL`,
  );
  const took = { cursor: [], whole: [] };
  for (let i = 0; i < times; i++) {
    took.cursor.push(await look(db, until));
    took.whole.push(await look(db, 'NULL'));
  }
  const median = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)];
  return { cursor: median(took.cursor), whole: median(took.whole), first };
}

async function emptyLook(place, name, { claims }) {
  return place.query(name, async (db) => {
    await db.rows('ALTER TABLE follow_up_steps SET (autovacuum_enabled = off)');
    try {
      await arm(db, claims, await db.value("SELECT now() - interval '1 hour'"), 3000);
      await db.rows('VACUUM follow_up_steps');
      let fired;
      let all = 0;
      let until = null;
      do {
        const got = await db.row(`SELECT count(action) AS fired, max(looked_until) AS until FROM fire_due_steps($1, ${most})`, [until]);
        ({ fired, until } = got);
        all += fired;
      } while (fired);
      if (all < claims) throw new Error(`${all} steps claimed, not ${claims}`);
      const before = await looks(db, 100);
      await db.rows('VACUUM follow_up_steps');
      const after = await looks(db, 100);
      return { claims: all, before, after };
    } finally {
      await db.rows('ALTER TABLE follow_up_steps RESET (autovacuum_enabled)');
    }
  });
}

const few = 2000; // open follow-ups of the small branch that the large one is held against
const batch = 50; // steps that fall due at the same moment

// What a look costs that finds and fires a batch of due steps, spread evenly over all follow-ups, in ms of the server's
// own time; the median of many, the first ones not counted.
async function claimCost(place, name, { count, times, spare = 5 }) {
  return place.query(name, async (db) => {
    await emptyOutbox(db);
    await db.rows('VACUUM ANALYZE follow_up_steps');
    const took = [];
    for (let i = 0; i < times + spare; i++) {
      const from = await db.value("SELECT quote_literal(now() - interval '2 seconds')");
      const due = await db.rows(
        `UPDATE follow_up_steps SET due_at = now() - interval '10 milliseconds', fired_at = NULL, skipped = NULL
         WHERE branch_id = $1 AND step = 'reminder-75'
           AND follow_up_id = ANY (ARRAY(SELECT 1 + ($2::bigint + k * ($3::bigint / $4)) % $3::bigint FROM generate_series(0, $4 - 1) AS k))
         RETURNING follow_up_id`,
        [place.branch, i * 7, count, batch],
      );
      if (due.length !== batch) throw new Error(`${due.length} steps made due, not ${batch}`);
      const ms = await look(db, from);
      if (i >= spare) took.push(ms);
    }
    const fired = await db.value("SELECT count(*) FROM follow_up_steps WHERE step = 'reminder-75' AND fired_at IS NOT NULL");
    if (fired < batch) throw new Error('nothing was fired');
    return { ms: took.sort((a, b) => a - b)[Math.floor(took.length / 2)] };
  });
}

// wanted: "lateness", "pace", "look", "claim". count: open follow-ups. steps fall due within seconds; at the pace 1,000 of
// them every second.
export async function measurePromise(place, { wanted, rounds, count, steps, seconds, claims, told }) {
  const samples = { lateness: [], pace: [], look: [], claim: [], claimFew: [] };
  const small = wanted.has('claim') ? await makeOpen(place, few) : undefined;
  let name = await makeOpen(place, count);
  const paced = { steps: 2 * steps, seconds: (2 * steps) / 1000 };
  if (await usedUp(place, name, rounds * (steps + paced.steps + claims), count)) {
    await place.drop(name);
    name = await makeOpen(place, count);
  }
  const sink = await Sink.start();
  for (const one of [name, small].filter(Boolean)) {
    await place.query(one, (db) => db.rows("UPDATE targets SET retired_at = now(), retired_because = 'removed' WHERE retired_at IS NULL"));
    await addTargets(place, one, { port: sink.port, condition: "p.role = 'account_manager'" });
  }
  for (let round = 0; round < rounds; round++) {
    if (wanted.has('lateness')) {
      samples.lateness.push(await lateness(place, name, { steps, seconds }));
      told(round, 'lateness', samples.lateness.at(-1));
    }
    if (wanted.has('pace')) {
      samples.pace.push(await lateness(place, name, paced));
      told(round, 'pace', samples.pace.at(-1));
    }
    if (wanted.has('claim')) {
      samples.claim.push(await claimCost(place, name, { count, times: 30 }));
      samples.claimFew.push(await claimCost(place, small, { count: few, times: 30 }));
      told(round, 'claim', { many: samples.claim.at(-1).ms, few: samples.claimFew.at(-1).ms });
    }
    if (wanted.has('look')) {
      samples.look.push(await emptyLook(place, name, { claims }));
      told(round, 'look', samples.look.at(-1));
    }
  }
  await sink.stop();
  return samples;
}
