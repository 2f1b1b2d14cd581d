// What the tests ask the database: the rows behind an answer, and the promise clock moved by moving rows.

export const eventRows = (db, { source, id }) =>
  db.rows(
    'SELECT e.* FROM events e JOIN sources s USING (branch_id, source_id) WHERE s.source = $1 AND e.event_id = $2',
    [source, id],
  );

export const count = (db, table, where = 'true', params = []) =>
  db.value(`SELECT count(*) FROM ${table} WHERE ${where}`, params);

export const callRow = (db, call) => db.row('SELECT * FROM calls WHERE call = $1', [call]);

// Everything granted to a retailer of a product, by the lines that were stored and by the counter.
export async function granted(db, retailer, product) {
  const lines = await db.value(
    `SELECT coalesce(sum(l.granted_cartons), 0) FROM order_lines l JOIN orders o USING (branch_id, reference)
     JOIN retailers r USING (branch_id, retailer_id) JOIN products p ON p.product_id = l.product_id
     WHERE r.code = $1 AND p.code = $2`,
    [retailer, product],
  );
  const counter = await db.value(
    `SELECT coalesce(sum(u.granted_cartons), 0) FROM cycle_uses u JOIN retailers r USING (branch_id, retailer_id)
     JOIN products p ON p.product_id = u.product_id WHERE r.code = $1 AND p.code = $2`,
    [retailer, product],
  );
  return { lines: Number(lines), counter: Number(counter) };
}

export const followUp = (db, id) =>
  db.row(
    `SELECT f.*, p.code AS owner, r.code AS retailer FROM follow_ups f LEFT JOIN people p ON p.person_id = f.owner_id
     LEFT JOIN retailers r ON r.retailer_id = f.retailer_id WHERE f.follow_up_id = $1`,
    [id],
  );

// The ladder of lateness, with the hours from raised_at to each step; what is for silence is left out.
export const steps = (db, id) =>
  db.rows(
    `SELECT s.step, s.action, s.whom, s.fired_at, s.skipped,
            extract(epoch FROM s.due_at - f.raised_at)::float8 / 3600 AS hours
     FROM follow_up_steps s JOIN follow_ups f USING (branch_id, follow_up_id) WHERE follow_up_id = $1 AND s.action <> 'unacknowledged' ORDER BY s.due_at, s.step`,
    [id],
  );

export const notifications = (db, id) =>
  db.rows(
    `SELECT n.*, a.code AS addressee, r.code AS recipient FROM notifications n
     LEFT JOIN people a ON a.person_id = n.addressee_id LEFT JOIN people r ON r.person_id = n.recipient_id
     WHERE n.follow_up_id = $1 ORDER BY n.created_at, n.notification_id`,
    [id],
  );

// Moves a follow-up through time until one of its steps is due a moment from now. What is for silence stays, unless it is such
// a step: then it alone moves.
export async function bringDue(db, id, step) {
  const by = await db.value(
    `SELECT (due_at - clock_timestamp() - interval '100 milliseconds')::text FROM follow_up_steps
     WHERE follow_up_id = $1 AND step = $2`,
    [id, step],
  );
  if (step.startsWith('unacknowledged')) {
    await db.force('UPDATE follow_up_steps SET due_at = due_at - $3::interval WHERE follow_up_id = $1 AND step = $2', [id, step, by]);
    return;
  }
  await db.force(
    'UPDATE follow_ups SET raised_at = raised_at - $2::interval, due_at = due_at - $2::interval WHERE follow_up_id = $1',
    [id, by],
  );
  await db.force(
    `UPDATE follow_up_steps SET due_at = due_at - $2::interval
     WHERE follow_up_id = $1 AND fired_at IS NULL AND action <> 'unacknowledged'`,
    [id, by],
  );
}

// Lets every waiting attempt of a follow-up's notifications begin now; gives the pause in seconds that each had left.
export async function hurryAttempts(db, id) {
  const waits = await db.rows(
    `SELECT extract(epoch FROM next_attempt_at - clock_timestamp())::float8 AS seconds FROM notifications
     WHERE follow_up_id = $1 AND state = 'waiting'`,
    [id],
  );
  await db.force(
    `UPDATE notifications SET next_attempt_at = clock_timestamp() WHERE follow_up_id = $1 AND state = 'waiting'`,
    [id],
  );
  await db.force('UPDATE targets SET paused_until = NULL WHERE paused_until IS NOT NULL');
  return waits.map((row) => row.seconds);
}

// While work() goes on every transaction that stores events lingers before its commit, so that others meet
// what it did and cannot see it yet.
export async function lingering(db, work) {
  await db.rows(`CREATE OR REPLACE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.01); RETURN NULL; END $$`);
  await db.rows('CREATE TRIGGER linger AFTER INSERT ON events EXECUTE FUNCTION linger()');
  try {
    return await work();
  } finally {
    await db.rows('DROP TRIGGER linger ON events');
  }
}
