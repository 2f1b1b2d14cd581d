// Somebody guesses passwords: ten thousand of them, from one address and from many, for one account and for many
// names. Nearly none is looked at, and the telephone does not notice.
import { mib } from '../lib/memory.mjs';
import { beside } from './clients.mjs';
import { Client } from '../../flow/lib/client.mjs';
import { password } from '../../flow/lib/desk.mjs';

const headersFrom = (address) => ({ 'content-type': 'application/json', 'x-forwarded-for': address });
const anyOf = (i) => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;

// Each attack: whose name and from where the i-th guess comes, and how many may be looked at: the free ones, those
// that were on their way when they were used up, and one at the end of each growing wait.
const attacks = {
  'one account from one address': { name: () => 'am1', address: () => '198.51.100.1', most: 5 + 8 + 9 },
  'one account from everywhere': { name: () => 'am2', address: anyOf, most: 5 + 8 + 9 },
  'any name from one address': { name: (i) => `name ${i}`, address: () => '198.51.100.2', most: 50 + 8 + 9 },
  'any name from everywhere': { name: (i) => `other ${i}`, address: (i) => anyOf(i + 65_536), most: Infinity },
};

async function attack(client, { name, address }, times, clients) {
  const statuses = {};
  let next = 0;
  const guess = async () => {
    for (let i = next++; i < times; i = next++) {
      const body = JSON.stringify({ name: name(i), password: `guess ${i}` });
      const { status } = await client.request('POST', '/api/v1/session', { headers: headersFrom(address(i)), body });
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, guess));
  return statuses;
}

const logIn = async (client, name, address) => {
  const body = JSON.stringify({ name, password });
  return (await client.request('POST', '/api/v1/session', { headers: headersFrom(address), body })).status;
};

// Whether the attacked name, or address, is still closed: at the end of a wait one more guess closes it again, and
// then the right password is not looked at either.
async function closed(client, name, address) {
  await attack(client, { name: () => name, address: () => address }, 3, 1);
  return (await logIn(client, name, address)) === 429;
}

async function guesses({ short, many, open }) {
  const times = many(500, 2500);
  const arena = await open('logins', { env: { RINGBACK_TRUSTED_PROXIES: '127.0.0.1' } });
  const client = new Client(arena.world.daemon.console, { sockets: 64 });
  const faults = [];
  const looked = [];
  const seen = await beside(arena, async () => {
    for (const [what, one] of Object.entries(attacks)) {
      const statuses = await attack(client, one, times, 64);
      const strange = Object.keys(statuses).filter((status) => !['401', '429', '503'].includes(status));
      if (strange.length) faults.push(`${what}: answered ${strange}`);
      if ((statuses[401] ?? 0) > one.most) faults.push(`${what}: ${statuses[401]} of ${times} were looked at`);
      if (what !== 'any name from everywhere' && !statuses[429]) faults.push(`${what}: nothing was throttled`);
      looked.push(statuses[401] ?? 0);
    }
  });
  for (const [name, address] of [['am1', '203.0.113.1'], ['s1', '198.51.100.2']])
    if (!(await closed(client, name, address))) faults.push(`${name} at ${address} may guess on`);
  if ((await logIn(client, 's2', '203.0.113.1')) !== 200) faults.push('others cannot log in');
  client.close();
  // With others on the machine only a rough figure is one.
  const most = short ? 50 + 2 * seen.alone : Math.max(1.2 * seen.alone, seen.alone + 5);
  if (seen.p99 > most) faults.push(`intake's p99 was ${(seen.p99 / seen.alone).toFixed(2)} times that without`);
  if (seen.grown > 32 * mib) faults.push(`memory grew by ${(seen.grown / mib).toFixed(1)} MiB`);
  return {
    did: `${(4 * times).toLocaleString('en')} wrong passwords, looked at ${looked.join(', ')}; intake's p99 ${seen.p99.toFixed(1)} ms (alone ${seen.alone.toFixed(1)})`,
    faults: [...faults, ...new Set(seen.faults)],
  };
}

export const rows = [{ name: 'logins', title: 'wrong passwords by the thousand', run: guesses }];
