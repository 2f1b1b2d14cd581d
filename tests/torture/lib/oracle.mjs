// What must be true of the database after any bad day: everything acknowledged is there, nothing is there twice, and
// what belongs together is together.
const effects = `
  SELECT note AS id, reference::text FROM orders WHERE note IS NOT NULL
  UNION ALL SELECT text, reference::text FROM complaints
  UNION ALL SELECT call, NULL FROM calls`;

// Each gives the number of rows that contradict it.
const truths = {
  'events without their effect, or the other way round': `
    SELECT count(*) FROM (${effects}) x FULL JOIN
      (SELECT event_id FROM events JOIN sources USING (branch_id, source_id) WHERE source = '/torture') e ON e.event_id = x.id
    WHERE x.id IS NULL OR e.event_id IS NULL`,
  'events without their body': `
    SELECT count(*) FROM events e LEFT JOIN event_bodies b USING (branch_id, source_id, event_id) WHERE b.event_id IS NULL`,
  'orders without their lines': `
    SELECT count(*) FROM orders o WHERE (SELECT count(*) FROM order_lines l WHERE l.reference = o.reference) <> 3`,
  'complaints without exactly one follow-up': `
    SELECT count(*) FROM complaints c WHERE (SELECT count(*) FROM follow_ups f WHERE f.complaint = c.reference) <> 1`,
  'follow-ups without exactly one first notification': `
    SELECT count(*) FROM follow_ups f WHERE
      (SELECT count(*) FROM notifications n WHERE n.follow_up_id = f.follow_up_id AND n.type = 'assigned') <> 1`,
  'follow-ups without their five steps': `
    SELECT count(*) FROM follow_ups f WHERE
      (SELECT count(*) FROM follow_up_steps s WHERE s.follow_up_id = f.follow_up_id) <> 5`,
  'counters that differ from the lines': `
    SELECT count(*) FROM cycle_uses u WHERE u.granted_cartons <>
      (SELECT coalesce(sum(l.granted_cartons), 0) FROM order_lines l JOIN orders o USING (branch_id, reference)
       WHERE o.retailer_id = u.retailer_id AND l.product_id = u.product_id AND o.cycle_id = u.cycle_id)`,
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
