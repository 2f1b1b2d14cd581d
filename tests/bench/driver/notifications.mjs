// Notifications: how fast the outbox empties itself into a local sink, against a bare libcurl-multi loop that posts
// bodies of the same size to the same kind of sink.
import { join } from 'node:path';
import { eventually } from '../../flow/lib/eventually.mjs';
import { must } from '../../flow/lib/program.mjs';
import { startDaemon } from './http.mjs';
import { build } from './place.mjs';
import { cpuOf, familySeconds } from './processes.mjs';
import { Sink, addTargets } from './sink.mjs';

const targets = 100;

// One open follow-up for each of the targets' people.
const followUps = `
  WITH owner AS (SELECT t.person_id, row_number() OVER (ORDER BY t.target_id) AS n FROM targets t),
  one AS (
    INSERT INTO complaints (branch_id, reference, kind, retailer_id, text, gateway_id, raised_at)
    SELECT $1, reference_of(100000000 + o.n), 'complaint', r.retailer_id, '送货晚了，两条包装破损，请回电', $2, now()
    FROM owner o CROSS JOIN LATERAL (
      SELECT retailer_id FROM retailers WHERE branch_id = $1 AND retailer_id > o.n ORDER BY retailer_id LIMIT 1) r
    RETURNING reference, retailer_id
  )
  INSERT INTO follow_ups (branch_id, complaint, retailer_id, owner_id, policy_id, raised_at, due_at)
  SELECT $1, one.reference, one.retailer_id, o.person_id, (SELECT min(policy_id) FROM policies), now(), now() + interval '1 day'
  FROM (SELECT *, row_number() OVER (ORDER BY reference) AS n FROM one) one JOIN owner o USING (n)`;

const notifications = `
  SELECT make_notifications(array_agg(f.branch_id), array_agg(f.follow_up_id), array_agg('assigned'::text),
                            array_agg('assigned'::text), array_agg(f.owner_id))
  FROM follow_ups f, generate_series(1, $1::integer) WHERE f.owner_id IN (SELECT person_id FROM targets)`;

const left = `SELECT EXISTS (SELECT FROM notifications WHERE state = 'waiting')
                  OR EXISTS (SELECT FROM notifications WHERE state = 'sending')`;

// The rate from the first request that the sink sees to the commit of the last outcome.
async function deliver(place, count) {
  const sink = await Sink.start();
  const database = 'round';
  await place.copy(place.base, database);
  await addTargets(place, database, { port: sink.port, condition: "p.role = 'account_manager'", limit: targets });
  const daemon = await startDaemon(place, database);
  try {
    return await place.query(database, async (db) => {
      await db.rows(followUps, [place.branch, place.gateway]);
      await db.rows('ANALYZE complaints, follow_ups');
      await place.checkpoint();
      const before = [await familySeconds(place.postmaster), await cpuOf([daemon.pid])];
      await db.rows(notifications, [count / targets]);
      await eventually(async () => !(await db.value(left)), { timeout: 120_000, what: 'every notification is delivered' });
      const end = Date.now();
      const after = [await familySeconds(place.postmaster), await cpuOf([daemon.pid])];
      const [postgres, server] = after.map((seconds, i) => ((seconds - before[i]) / count) * 1e6);
      const { delivered, attempts, bytes } = await db.row(
        `SELECT count(*) FILTER (WHERE state = 'delivered') AS delivered, (SELECT count(*) FROM notification_attempts) AS attempts,
                avg(octet_length(body))::integer AS bytes FROM notifications`,
      );
      const seen = await sink.stop();
      if (delivered !== count || attempts !== count || seen.requests !== count)
        throw new Error(`${count} notifications: ${delivered} delivered, ${attempts} attempts, ${seen.requests} at the sink`);
      const seconds = end / 1e3 - seen.first_us / 1e6;
      return { rate: count / seconds, seconds, bytes, sending: count / ((seen.last_us - seen.first_us) / 1e6), cpu: { postgres, server } };
    });
  } finally {
    await daemon.stop();
  }
}

async function bare(count, bytes) {
  const sink = await Sink.start();
  const args = ['--address', `127.0.0.1:${sink.port}`, '--posts', `${count}`, '--targets', `${targets}`, '--bytes', `${bytes}`];
  const done = await must(join(build, 'bench/multi'), args);
  const seen = await sink.stop();
  if (seen.requests !== count) throw new Error(`${count} posts, but ${seen.requests} at the sink`);
  return JSON.parse(done.stdout);
}

export async function measureNotifications(place, { rounds, count, told }) {
  const samples = { outbox: [], multi: [] };
  for (let round = 0; round < rounds; round++) {
    samples.outbox.push(await deliver(place, count));
    told(round, 'outbox', samples.outbox.at(-1));
    samples.multi.push(await bare(count, samples.outbox.at(-1).bytes));
    told(round, 'multi', samples.multi.at(-1));
  }
  await place.drop('round');
  return samples;
}
