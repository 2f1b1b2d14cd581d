// Orders at a fixed rate while people log in: a hundred at once, and as soon as all of them are in, the next
// hundred, as long as the orders are measured.
import { Client } from '../../flow/lib/client.mjs';
import { load, startDaemon } from './http.mjs';

const atOnce = 100;
const account = { name: 'bench', password: 'a good password' };

// Logs in until told to stop; gives how many were in, and how long a hundred took at the median.
function keepLoggingIn(daemon) {
  const client = new Client(daemon.console, { sockets: atOnce });
  const body = JSON.stringify(account);
  const headers = { 'content-type': 'application/json' };
  const seen = { logins: 0, hundred: [], going: true };
  const one = async () => {
    const answer = await client.request('POST', '/api/v1/session', { headers, body, timeout: 60_000 });
    if (answer.status !== 200) throw new Error(`a log-in was answered ${answer.status}: ${answer.text}`);
    seen.logins++;
  };
  const run = async () => {
    while (seen.going) {
      const begin = performance.now();
      await Promise.all(Array.from({ length: atOnce }, one));
      seen.hundred.push(performance.now() - begin);
    }
    client.close();
  };
  const ended = run();
  ended.catch(() => {}); // told when it is stopped
  return async () => {
    seen.going = false;
    await ended;
    seen.hundred.sort((a, b) => a - b);
    return { logins: seen.logins, hundred_ms: seen.hundred[Math.floor(seen.hundred.length / 2)] };
  };
}

export async function loginsUnderLoad(place, options) {
  await place.tool(options.database, ['user', 'add', account.name, '--role', 'operator', '--password-stdin'], {
    stdin: account.password,
  });
  const daemon = await startDaemon(place, options.database);
  try {
    const address = `${daemon.gateway.host}:${daemon.gateway.port}`;
    const stop = keepLoggingIn(daemon);
    const got = await load(place, { ...options, address, servers: [daemon.pid] });
    return { ...got, ...(await stop()) };
  } finally {
    await daemon.stop();
  }
}
