// Rows about the promise under weight: more complaints in a minute than a branch has in a month, with a receiver that
// hangs beside the others, and ladders that fall due while daemons die.
import { batched, complaint } from '../../flow/lib/events.mjs';
import { eventually, pause } from '../../flow/lib/eventually.mjs';
import { Sink } from '../../flow/lib/sink.mjs';

const between = (least, most) => least + Math.random() * (most - least);
const p99 = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length * 0.99)];
const twoDaemons = { env: { RINGBACK_REUSE_PORT: 'true' } };

// Sends complaints of these retailers at an even pace over so many seconds, in batches of 20; gives follow-up ids with
// their retailer and the moment of sending, and how long each batch took.
async function pour(world, retailers, count, seconds) {
  const size = 20;
  const sent = new Map();
  const took = [];
  const begin = performance.now();
  const one = async (n) => {
    const mine = Array.from({ length: size }, (_, i) => retailers[(n + i) % retailers.length]);
    const at = Date.now();
    const answer = await world.post(batched(mine.map((retailer) => complaint({ retailer, text: '催' }))));
    took.push(answer.took);
    if (answer.status !== 200) throw new Error(`a batch was answered ${answer.status}`);
    for (const [i, item] of answer.json.entries()) {
      if (item.status !== 200) throw new Error(`a complaint was answered ${item.status}`);
      sent.set(item.complaint.follow_up, { at, retailer: mine[i] });
    }
  };
  const running = [];
  for (let n = 0; n < count / size; n++) {
    running.push(one(n));
    await pause(Math.max(0, begin + ((n + 1) * size * seconds * 1000) / count - performance.now()));
  }
  await Promise.all(running);
  return { sent, took };
}

async function deluge({ short, open }) {
  const [count, seconds] = short ? [1000, 6] : [10_000, 60];
  const { world } = await open('deluge', twoDaemons);
  await world.start();
  const hung = await Sink.start(() => ({ hang: true }));
  const good = await Sink.start(() => ({ status: 204, delay: 5 }));
  await world.addTarget('AM3', hung.url());
  for (const person of ['AM1', 'AM2', 'AM4']) await world.addTarget(person, good.url(`/${person}`));
  const { sent, took } = await pour(world, ['R1', 'R2', 'R8', 'R7'], count, seconds);
  const hopeful = [...sent].filter(([, { retailer }]) => retailer !== 'R7');
  const heard = () => new Map(good.requests.map(({ json, at }) => [json.data.follow_up, at]));
  const faults = [];
  await eventually(() => heard().size >= hopeful.length, { timeout: 60_000, every: 200 }).catch(() => {});
  const arrived = heard();
  const forgotten = hopeful.filter(([id]) => !arrived.has(id)).length;
  if (forgotten) faults.push(`${forgotten} managers were not told`);
  const late = p99(hopeful.filter(([id]) => arrived.has(id)).map(([id, { at }]) => arrived.get(id) - at));
  if (late > 5000) faults.push(`told only ${late} ms after raising (p99)`);
  if (good.requests.length !== arrived.size) faults.push(`${good.requests.length - arrived.size} were told twice`);
  const rows = await world.db.row(`
    SELECT (SELECT count(*) FROM follow_ups) AS follow_ups, (SELECT count(*) FROM notifications WHERE type = 'assigned') AS made,
           (SELECT count(DISTINCT follow_up_id) FROM notifications WHERE type = 'assigned') AS of`);
  if (rows.follow_ups !== sent.size || rows.made !== sent.size || rows.of !== sent.size)
    faults.push(`${sent.size} acknowledged, ${rows.follow_ups} follow-ups, ${rows.made} first notifications of ${rows.of}`);
  if (hung.mostOpen > 32) faults.push(`${hung.mostOpen} connections to one target`);
  if (!hung.requests.length) faults.push('the hanging target was never tried: the test tests nothing');
  await Promise.all([hung, good].map((sink) => sink.close()));
  return {
    did: `${count.toLocaleString('en')} complaints in ${seconds} s with one of four receivers hanging: acknowledged within ${p99(took).toFixed(0)} ms a batch, managers told within ${late} ms (p99)`,
    faults,
  };
}

// Every step of many follow-ups falls due within seconds, while one of two daemons after the other is killed.
async function ladders({ short, many, open }) {
  const times = many(4, 40);
  const seconds = short ? 4 : 30;
  const { world } = await open('ladders', twoDaemons);
  const daemons = [world.daemon, await world.start()];
  const sink = await Sink.start();
  for (const person of ['AM1', 'AM2', 'AM4', 'MM1', 'MM2', 'S1']) await world.addTarget(person, sink.url(`/${person}`));
  const { sent } = await pour(world, ['R1', 'R2', 'R8', 'R9'], short ? 400 : 2000, 2);
  await world.db.rows(
    'UPDATE follow_up_steps SET due_at = now() + make_interval(secs => 1 + random() * $1) WHERE fired_at IS NULL',
    [seconds],
  );
  for (let i = 0; i < times; i++) {
    await pause(between(0.5, 1.2) * ((seconds * 1000) / times));
    await daemons.shift().kill();
    daemons.push(await world.start({}, { ready: false }));
  }
  const left = () => world.db.value("SELECT count(*) FROM follow_up_steps WHERE fired_at IS NULL AND due_at < now() + interval '1 minute'");
  const faults = [];
  await eventually(async () => (await left()) === 0, { timeout: 30_000, every: 200 }).catch(() => {});
  const seen = await world.db.row(`
    SELECT count(*) AS steps, count(*) FILTER (WHERE fired_at < due_at) AS early, count(*) FILTER (WHERE fired_at IS NULL) AS forgotten,
           max(extract(epoch FROM fired_at - due_at))::float8 AS latest,
           (SELECT count(*) FROM (SELECT FROM notifications WHERE step <> 'assigned' AND passed_on_from IS NULL
                                  GROUP BY follow_up_id, step HAVING count(*) > 1) q) AS twice,
           (SELECT count(*) FROM follow_up_steps s WHERE s.fired_at IS NOT NULL AND s.skipped IS NULL AND NOT EXISTS (
                SELECT FROM notifications n WHERE n.follow_up_id = s.follow_up_id AND n.step = s.step)) AS silent
    FROM follow_up_steps WHERE due_at < now() + interval '1 minute' OR fired_at IS NOT NULL`);
  for (const what of ['early', 'forgotten', 'twice', 'silent']) if (seen[what]) faults.push(`${seen[what]} steps ${what}`);
  if (seen.steps < 5 * sent.size) faults.push(`${seen.steps} steps of ${sent.size} follow-ups`);
  await sink.close();
  return {
    did: `${seen.steps.toLocaleString('en')} steps due within ${seconds} s, one of two daemons killed ${times} times: each once, none early, the latest ${seen.latest.toFixed(2)} s late`,
    faults,
  };
}

export const rows = [
  { name: 'deluge', title: 'complaints by the thousand', run: deluge },
  { name: 'ladders', title: 'ladders while daemons die', run: ladders },
];
