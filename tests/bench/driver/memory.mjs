// What a thousand idle connections cost the daemon: its proportional set size with them, less without.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventually, pause } from '../../flow/lib/eventually.mjs';
import { startDaemon } from './http.mjs';
import { build } from './place.mjs';
import { memory } from './processes.mjs';

const connections = 1000;

async function ready(daemon) {
  const answer = await fetch(`http://${daemon.gateway.host}:${daemon.gateway.port}/readyz`);
  return answer.status === 200;
}

async function once1000(place) {
  const daemon = await startDaemon(place, 'round');
  try {
    await eventually(() => ready(daemon), { what: 'the daemon is ready' });
    await pause(1000); // what start-up freed has gone back
    const idle = await memory(daemon.pid);
    const holder = spawn(join(build, 'bench/hold'), [`${daemon.gateway.host}:${daemon.gateway.port}`, `${connections}`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(holder, 'close');
    await once(holder.stdout, 'data');
    await pause(1000);
    const held = await memory(daemon.pid);
    holder.stdin.end();
    await ended;
    return { idle, held, more: held - idle };
  } finally {
    await daemon.stop();
  }
}

export async function measureMemory(place, { rounds, told }) {
  const samples = [];
  await place.copy(place.base, 'round');
  for (let round = 0; round < rounds; round++) {
    samples.push(await once1000(place));
    told(round, 'memory', samples.at(-1));
  }
  await place.drop('round');
  return samples;
}
