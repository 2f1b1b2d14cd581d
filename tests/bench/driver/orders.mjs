// The rows about orders: one round measures every contender once, each round in another order, on fresh copies of
// the same branch.
import { batched, daemonUnderLoad, fastifyUnderLoad } from './http.mjs';
import { loginsUnderLoad } from './logins.mjs';
import { bestClients, foreignKeys, pgbench } from './pgbench.mjs';

const contenders = {
  http256: (place, options) => daemonUnderLoad(place, { ...options, connections: 256 }),
  http64: (place, options) => daemonUnderLoad(place, { ...options, connections: 64 }),
  batched,
  fastify: (place, options) => fastifyUnderLoad(place, { ...options, connections: 64, warm: options.warm + 3 }),
  function: (place, options) => pgbench(place, { ...options, kind: 'function' }),
  ordinary: (place, options) => pgbench(place, { ...options, kind: 'ordinary', database: options.ordinary }),
};

async function makeOrdinary(place) {
  const name = `${place.base}_fk`;
  await place.template(name, place.made, async () => {
    place.say('making the copy with foreign keys');
    await place.copy(place.base, name);
    await place.query(name, async (db) => {
      for (const sql of foreignKeys) await db.rows(sql);
    });
  });
  return name;
}

async function freshCopies(place, ordinary) {
  await place.copy(place.base, 'round');
  if (!ordinary) return;
  await place.copy(ordinary, 'round_fk');
  await place.query('round_fk', (db) => db.rows('SELECT cycle_at($1, now())', [place.branch]));
}

// wanted: names of contenders, and "half" for the open loop at half the rate of http256,
// "logins" for the same while people log in.
export async function measureOrders(place, { wanted, rounds, seconds, warm, told }) {
  const samples = Object.fromEntries([...wanted].map((name) => [name, []]));
  const ordinary = wanted.has('ordinary') ? await makeOrdinary(place) : undefined;
  const options = { database: 'round', ordinary: 'round_fk', seconds, warm };
  const clients = {};
  await freshCopies(place, ordinary);
  for (const kind of ['function', 'ordinary'].filter((name) => wanted.has(name))) {
    const database = kind === 'ordinary' ? 'round_fk' : 'round';
    clients[kind] = await bestClients(place, { kind, database, seconds: Math.min(seconds, 4), warm: 1, tag: kind });
    place.say(`pgbench, ${kind}: fastest with ${clients[kind]} clients`);
  }
  const names = Object.keys(contenders).filter((name) => wanted.has(name));
  for (let round = 0; round < rounds; round++) {
    await freshCopies(place, ordinary);
    const order = names.map((_, i) => names[(i + round) % names.length]);
    for (const name of order) {
      await place.checkpoint();
      const got = await contenders[name](place, { ...options, clients: clients[name], tag: `${name}-${round}` });
      samples[name].push(got);
      told(round, name, got);
      if (name === 'http256' && wanted.has('half')) {
        await place.checkpoint();
        const rate = Math.round(got.rate / 2);
        const half = await daemonUnderLoad(place, { ...options, connections: 256, rate, tag: `half-${round}` });
        samples.half.push(half);
        told(round, 'half', half);
        if (wanted.has('logins')) {
          await place.checkpoint();
          const beside = await loginsUnderLoad(place, { ...options, connections: 256, rate, tag: `logins-${round}` });
          samples.logins.push(beside);
          told(round, 'logins', beside);
        }
      }
    }
  }
  await place.drop('round');
  await place.drop('round_fk');
  return samples;
}
