// temporary
import { Place } from './driver/place.mjs';
import { pgbench, bestClients, foreignKeys } from './driver/pgbench.mjs';
import { daemonUnderLoad, fastifyUnderLoad, batched } from './driver/http.mjs';
const place = await Place.open({ retailers: 500000, say: console.error });
const what = process.argv.slice(2);
const seconds = 5, warm = 1;
await place.copy(place.base, 'round');
for (let i = 0; i < 3; i++) for (const w of what) {
  await place.checkpoint();
  const tag = `${w}-${i}-${Date.now()}`;
  const o = { database: 'round', seconds, warm, tag };
  if (w.startsWith('http')) { const g = await daemonUnderLoad(place, { ...o, connections: Number(w.slice(4)) }); console.log(w, g); }
  else if (w === 'fastify') console.log(w, await fastifyUnderLoad(place, { ...o, connections: 64 }));
  else if (w === 'batched') console.log(w, await batched(place, o));
  else if (w.startsWith('fn')) console.log(w, await pgbench(place, { ...o, kind: 'function', clients: Number(w.slice(2)) }));
  else if (w.startsWith('fk')) console.log(w, await pgbench(place, { ...o, kind: 'ordinary', clients: Number(w.slice(2)) }));
}
await place.drop('round');
await place.close();
