// What must be true of the database after any bad day: everything acknowledged is there, nothing is there twice, and
// what belongs together is together.
const effects = `
  SELECT note AS id, reference::text FROM orders WHERE note IS NOT NULL
  UNION ALL SELECT text, reference::text FROM complaints
  UNION ALL SELECT call, NULL FROM calls`;

// Rows of a table of which not exactly n others refer to them.
const without = (table, key, n, others) => `
  SELECT count(*) FROM ${table} LEFT JOIN (SELECT ${key}, count(*) AS n FROM ${others} GROUP BY 1) x USING (${key})
  WHERE coalesce(x.n, 0) <> ${n}`;

// Each gives the number of rows that contradict it.
const truths = {
  'events without their effect, or the other way round': `
    SELECT count(*) FROM (${effects}) x FULL JOIN (
      SELECT event_id FROM events JOIN sources USING (branch_id, source_id) WHERE source = '/torture'
    ) e ON e.event_id = x.id
    WHERE x.id IS NULL OR e.event_id IS NULL`,
  'events without their body': `
    SELECT count(*) FROM events FULL JOIN event_bodies b USING (branch_id, source_id, event_id)
    WHERE b.type IS NULL OR answer IS NULL`,
  'orders without their three lines': without('orders', 'reference', 3, 'order_lines'),
  'complaints without exactly one follow-up': without(
    'complaints',
    'reference',
    1,
    '(SELECT complaint AS reference FROM follow_ups) f',
  ),
  'follow-ups without exactly one first notification': without(
    'follow_ups',
    'follow_up_id',
    1,
    "(SELECT follow_up_id FROM notifications WHERE step = 'assigned' AND passed_on_from IS NULL) n",
  ),
  'follow-ups without their five steps': without(
    'follow_ups',
    'follow_up_id',
    5,
    "(SELECT follow_up_id FROM follow_up_steps WHERE action <> 'unacknowledged') s",
  ),
  'counters that differ from the lines': `
    SELECT count(*) FROM cycle_uses u FULL JOIN (
      SELECT cycle_id, retailer_id, product_id, sum(granted_cartons) AS granted
      FROM order_lines JOIN orders USING (branch_id, reference) GROUP BY 1, 2, 3
    ) l USING (cycle_id, retailer_id, product_id)
    WHERE coalesce(u.granted_cartons, 0) <> coalesce(l.granted, 0)`,
  'references used twice': `
    SELECT count(*) - count(DISTINCT reference) FROM
      (SELECT reference FROM orders UNION ALL SELECT reference FROM complaints) r`,
};

// db: tests/flow/lib/database.mjs. answers: reference by event, as the gateway was told.
export async function judge(db, ledger, answers) {
  const rows = await db.rows(effects);
  const seen = await ledger.compare(rows.map(({ id }) => `/torture ${id}`));
  const faults = [];
  if (seen.never.length) faults.push(`${seen.never.length} effects of events that were never sent`);
  const stored = new Map(rows.map(({ id, reference }) => [id, reference]));
  const other = [...answers].filter(([id, reference]) => reference && stored.get(id) !== reference);
  if (other.length) faults.push(`${other.length} references that differ from what was acknowledged`);
  for (const [what, sql] of Object.entries(truths)) {
    const n = await db.value(sql);
    if (n) faults.push(`${n} ${what}`);
  }
  return { acknowledged: seen.acknowledged, lost: seen.lost.length, twice: seen.twice, faults };
}
