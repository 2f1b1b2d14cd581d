// The screen pop: the profile by phone over HTTP, asked at an even pace whether answers come or not, while orders come in at half
// the rate that the daemon was seen to take.
import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { load, startDaemon } from './http.mjs';

const pace = 500; // requests a second
const password = 'a password of the bench';

function request(agent, { host, port }, { method = 'GET', path, headers = {}, body }) {
  return new Promise((resolve, reject) => {
    const asked = http.request({ agent, host, port, method, path, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => (text += part));
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
    });
    asked.on('error', reject).end(body);
  });
}

async function logIn(agent, daemon) {
  const body = JSON.stringify({ name: 'bench', password });
  const answer = await request(agent, daemon.console, {
    method: 'POST', path: '/api/v1/session', headers: { 'content-type': 'application/json' }, body,
  });
  if (answer.status !== 200) throw new Error(`no log-in: ${answer.status} ${answer.text}`);
  return answer.headers['set-cookie'][0].split(';')[0];
}

// Latencies in ms from the moment each request was due.
async function ask(agent, daemon, { cookie, phones, warm, seconds }) {
  const begin = performance.now() + 100;
  const taken = [];
  const waiting = [];
  for (let n = 0; n < (warm + seconds) * pace; n++) {
    const due = begin + (n * 1000) / pace;
    const early = due - performance.now();
    if (early > 1) await pause(early);
    const path = `/api/v1/retailers?phone=${encodeURIComponent(phones[n % phones.length])}`;
    const one = request(agent, daemon.console, { path, headers: { cookie } }).then(({ status, text }) => {
      if (status !== 200 || !text.includes('"last_orders"')) throw new Error(`no profile: ${status} ${text.slice(0, 200)}`);
      if (n >= warm * pace) taken.push(performance.now() - due);
    });
    waiting.push(one);
  }
  await Promise.all(waiting);
  return taken.sort((a, b) => a - b);
}

async function round(place, options) {
  const daemon = await startDaemon(place, 'profile');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  try {
    const address = `${daemon.gateway.host}:${daemon.gateway.port}`;
    const orders = { ...options, address, servers: [daemon.pid], database: 'profile', connections: 256 };
    const peak = await load(place, { ...orders, tag: `profile-peak-${options.tag}` });
    await place.checkpoint();
    const cookie = await logIn(agent, daemon);
    const half = load(place, { ...orders, seconds: options.seconds + 1, rate: Math.round(peak.rate / 2), tag: `profile-half-${options.tag}` });
    const [{ rate }, taken] = await Promise.all([half, ask(agent, daemon, { ...options, cookie })]);
    const at = (share) => taken[Math.min(taken.length - 1, Math.floor(taken.length * share))];
    return { p50_ms: at(0.5), p99_ms: at(0.99), max_ms: taken.at(-1), orders: rate, peak: peak.rate };
  } finally {
    agent.destroy();
    await daemon.stop();
  }
}

export async function measureProfile(place, { rounds, seconds, warm, told }) {
  const samples = { profile: [] };
  await place.copy(place.base, 'profile');
  await place.tool('profile', ['user', 'add', 'bench', '--role', 'operator', '--password-stdin'], { stdin: `${password}\n` });
  const phones = await place.query('profile', async (db) =>
    (await db.rows('SELECT phone FROM retailer_phones ORDER BY md5(phone) LIMIT 20000')).map((row) => row.phone),
  );
  await place.query('profile', (db) => db.rows('SELECT cycle_at($1, now())', [place.branch]));
  for (let n = 0; n < rounds; n++) {
    await place.checkpoint();
    const got = await round(place, { seconds, warm, phones, tag: n });
    samples.profile.push(got);
    told(n, 'profile', got);
  }
  await place.drop('profile');
  return samples;
}
