// What 2,000 open streams cost: the daemon's memory, and intake's p99 at half its peak with and without them. Beside the
// orders four calls a second begin, of which all streams are told.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, pause } from '../../flow/lib/eventually.mjs';
import { load, startDaemon } from './http.mjs';
import { build } from './place.mjs';
import { memory } from './processes.mjs';

const streams = 2000;
const ofAccount = 7; // sessions, of four streams each
const env = { RINGBACK_MAX_PER_ADDRESS: '4000' }; // streams and load come from one

async function ready(daemon) {
  const answer = await fetch(`http://${daemon.gateway.host}:${daemon.gateway.port}/readyz`);
  return answer.status === 200;
}

// Everybody at the call center, who sees everything.
const makeSessions = (place, hashes) =>
  place.query('round', async (db) => {
    const accounts = Math.ceil(hashes.length / ofAccount);
    await db.rows(
      `INSERT INTO accounts (branch_id, name, role, password_hash)
       SELECT $1, 'bench-' || n, 'operator', 'x' FROM generate_series(1, $2::integer) n ON CONFLICT DO NOTHING`,
      [place.branch, accounts],
    );
    await db.rows(
      `INSERT INTO sessions (branch_id, account_id, token_hash, ends_at, address)
       SELECT a.branch_id, a.account_id, decode(h.hash, 'hex'), now() + interval '1 day', '127.0.0.1'
       FROM unnest($1::text[]) WITH ORDINALITY AS h (hash, n) JOIN accounts a ON a.name = 'bench-' || 1 + (h.n - 1) / ${ofAccount}`,
      [hashes],
    );
  });

// Until it is stopped; every call that was not taken is a fault.
async function ringing(place, daemon, tag) {
  const key = (await readFile(place.key, 'utf8')).trim();
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/cloudevents-batch+json' };
  let going = true;
  const rings = async () => {
    for (let n = 0; going; n += 2) {
      const events = [n, n + 1].map((i) => ({
        specversion: '1.0', id: `call-${i}`, source: `/bench/calls/${tag}`, type: 'ringback.call.ringing',
        data: { call: `${tag}-${i}`, direction: 'inbound', from: '13800138000', to: '12313' },
      }));
      const url = `http://${daemon.gateway.host}:${daemon.gateway.port}/v1/events`;
      const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(events) });
      if (!(await answer.json()).every(({ status }) => status === 200)) throw new Error('a call was not taken');
      await pause(500);
    }
  };
  const rung = rings();
  return async () => ((going = false), await rung);
}

async function hold(place, daemon) {
  const address = `${daemon.console.host}:${daemon.console.port}`;
  const holder = spawn(join(build, 'bench/streams'), [address, `${streams}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(holder, 'close');
  const lines = createInterface({ input: holder.stdout })[Symbol.asyncIterator]();
  await makeSessions(place, (await lines.next()).value.split(' '));
  holder.stdin.write('\n');
  if ((await lines.next()).done) throw new Error('the streams were not opened');
  return async () => {
    holder.stdin.end();
    const [code] = await ended;
    if (code !== 0) throw new Error(`the holder of streams ended with ${code}`);
  };
}

async function under(place, options, withStreams) {
  const daemon = await startDaemon(place, 'round', env);
  try {
    await eventually(() => ready(daemon), { what: 'the daemon is ready' });
    await pause(1000); // what start-up freed has gone back
    const idle = await memory(daemon.pid);
    const letGo = withStreams ? await hold(place, daemon) : undefined;
    if (withStreams) await pause(1000);
    const held = await memory(daemon.pid);
    const address = `${daemon.gateway.host}:${daemon.gateway.port}`;
    const silence = await ringing(place, daemon, options.tag);
    const got = await load(place, { ...options, database: 'round', connections: 256, address, servers: [daemon.pid] });
    await silence();
    await letGo?.();
    return { ...got, idle, held, more: held - idle };
  } finally {
    await daemon.stop();
  }
}

export async function measureStreams(place, { rounds, seconds, warm, told }) {
  const samples = { streams: [], noStreams: [] };
  for (let round = 0; round < rounds; round++) {
    await place.copy(place.base, 'round');
    const peak = await under(place, { seconds, warm, tag: `streams-peak-${round}` }, false);
    const rate = Math.round(peak.rate / 2);
    const order = round % 2 ? ['streams', 'noStreams'] : ['noStreams', 'streams'];
    for (const name of order) {
      await place.checkpoint();
      const got = await under(place, { seconds, warm, rate, tag: `${name}-${round}` }, name === 'streams');
      samples[name].push(got);
      told(round, name, got);
    }
  }
  await place.drop('round');
  return samples;
}
