// Rows about what is sent: one event by everybody at once, one that the database chokes on.
import { batched, complaint, order, structured } from '../../flow/lib/events.mjs';
import { count } from '../../flow/lib/look.mjs';

// Everybody sends what message(client, n) gives, n times one after the other; gives all the answers.
async function everybody(arena, clients, n, message) {
  const key = Object.values(arena.world.gateways)[0];
  const client = arena.world.newClient({ gateway: key, sockets: clients });
  const one = async (i) => {
    const answers = [];
    for (let k = 0; k < n; k++) answers.push(await client.post(message(i, k)));
    return answers;
  };
  return (await Promise.all(Array.from({ length: clients }, (_, i) => one(i)))).flat();
}

const tally = (list) =>
  Object.entries(Object.groupBy(list, (one) => one)).map(([what, { length }]) => `${length} × ${what}`);

async function storm({ many, open }) {
  const n = many(10, 1000);
  const arena = await open('storm');
  const { db } = arena.world;
  const faults = [];
  const wish = (what, right) => right || faults.push(what);
  const id = crypto.randomUUID();
  const line = (cartons) => ({ retailer: 'R1', note: id, lines: [{ product: 'A2', cartons }] });

  const same = structured(order(line(1), { id }));
  const answers = await everybody(arena, 100, n, () => same);
  const statuses = tally(answers.map(({ status }) => status)).join(', ');
  wish(
    `answers: ${statuses}`,
    answers.every(({ status }) => status === 200),
  );
  wish('several different answers', new Set(answers.map(({ text }) => text)).size === 1);
  const first = answers.filter(({ headers }) => !headers['ringback-replayed']).length;
  wish(`${first} answers say that they are the first`, first === 1);
  wish('several orders', (await count(db, 'orders')) === 1);

  const others = await everybody(arena, 20, 5, (i, k) => structured(order(line(2 + i * 5 + k), { id })));
  const conflicts = others.filter((answer) => answer.status === 409 && answer.code === 'event-conflict').length;
  wish(`other contents: ${conflicts} of 100 are a conflict`, conflicts === 100);
  const audited = await count(db, 'audit_log', "action = 'event-conflict'");
  wish(`${audited} conflicts in the audit log`, audited === 100);

  const disputed = crypto.randomUUID();
  const claims = await everybody(arena, 100, 2, (i) =>
    structured(complaint({ retailer: 'R2', text: `${i % 10}` }, { id: disputed })),
  );
  const won = claims.filter(({ status }) => status === 200);
  wish('several contents of one id won', new Set(won.map(({ text }) => text)).size === 1);
  wish(
    `answers: ${tally(claims.map(({ status }) => status))}`,
    claims.every(({ status }) => status === 200 || status === 409),
  );
  wish('several complaints', (await count(db, 'complaints')) === 1 && (await count(db, 'follow_ups')) === 1);

  const sent = (100 * n).toLocaleString('en');
  return { did: `one event ${sent} times from 100 clients, 100 other contents under its id, one disputed id`, faults };
}

async function poison({ many, open }) {
  const rounds = many(3, 30);
  const arena = await open('poison', { checked: true });
  const { world } = arena;
  const faults = [];
  await world.db.rows(`CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.note LIKE 'poison %' THEN RAISE EXCEPTION 'poison'; END IF; RETURN NEW; END $$`);
  await world.db.rows('CREATE TRIGGER poison BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION poison()');
  for (let round = 0; round < rounds; round++) {
    const at = Math.floor(Math.random() * 101);
    const events = Array.from({ length: 101 }, (_, i) =>
      order({
        retailer: 'R1',
        note: `${i === at ? 'poison' : 'good'} ${round} ${i}`,
        lines: [{ product: 'A2', cartons: 1 }],
      }),
    );
    const items =
      round % 2
        ? (await Promise.all(events.map((event) => world.post(structured(event))))).map(({ status }) => status)
        : (await world.post(batched(events))).json.map(({ status }) => status);
    const harmed = items.filter((status, i) => (i === at ? status < 400 : status !== 200)).length;
    if (harmed) faults.push(`round ${round}, poison at ${at}: ${tally(items).join(', ')}`);
  }
  const stored = await count(world.db, 'orders', "note LIKE 'good %'");
  if (stored !== rounds * 100) faults.push(`${stored} of ${rounds * 100} good orders are there`);
  if (await count(world.db, 'orders', "note LIKE 'poison %'")) faults.push('poison was stored');
  return {
    did: `one poisonous order among a hundred good ones, ${rounds} times, as a batch and singly: none harmed`,
    faults,
  };
}

export const rows = [
  { name: 'storm', title: 'one event by everybody', run: storm },
  { name: 'poison', title: 'poison in a batch', run: poison },
];
