// Rows about bad clients: slow headers, slow bodies, readers that never read, bodies without end. Others must not
// notice, memory stays flat, and what they held is given back.
import { getPriority, setPriority } from 'node:os';
import { MemoryWatch, descriptors, mib } from '../lib/memory.mjs';
import { Wire } from '../../flow/lib/client.mjs';
import { Probe } from '../../flow/lib/probe.mjs';
import { eventually, pause } from '../../flow/lib/eventually.mjs';

const type = 'Content-Type: application/cloudevents+json';
const head = (gateway, ...lines) =>
  [
    'POST /v1/events HTTP/1.1',
    'Host: ringback.test',
    `Authorization: Bearer ${gateway.key}`,
    type,
    ...lines,
    '',
    '',
  ].join('\r\n');

// Runs work beside a well-behaved client; gives what that one saw, alone (before or after) and in bad company, and by
// how much the daemon grew. From then on this process takes what time the others leave: how the daemon treats its clients is what
// counts, not how the kernel treats its processes.
export async function beside({ world }, work) {
  const probe = await Probe.start(world);
  const quiet = await probe.during(() => pause(1500));
  setPriority(Math.max(10, getPriority()));
  const memory = await MemoryWatch.start(world.daemon);
  const seen = await probe.during(work);
  const grown = await memory.stop();
  const after = await probe.during(() => pause(1500));
  return { ...seen, alone: Math.max(quiet.p99, after.p99), grown };
}

function judged({ p99, n, alone, grown, faults: told }) {
  const faults = [...new Set(told)];
  if (p99 > 50 + 2 * alone || n < 20) faults.push(`others waited: p99 ${p99.toFixed(1)} ms of ${n} requests`);
  if (grown > 32 * mib) faults.push(`memory grew by ${(grown / mib).toFixed(1)} MiB`);
  return faults;
}

const figures = ({ p99, alone, grown }) =>
  `others' p99 ${p99.toFixed(1)} ms (alone ${alone.toFixed(1)}), memory +${(grown / mib).toFixed(1)} MiB`;

async function slow({ short, open }) {
  const many = 125; // of each kind: 500
  const patience = short ? 30_000 : 60_000;
  const arena = await open('slow');
  const { daemon, gateways } = arena.world;
  const gateway = Object.values(gateways)[0];
  const before = await descriptors(daemon);
  const wires = [];
  const drip = async (begin, more) => {
    const wire = await Wire.open(daemon.gateway);
    wires.push(wire);
    await wire.write(begin);
    while (!wire.ended) {
      wire.socket.write(more);
      await Promise.race([wire.closed, pause(500)]);
    }
  };
  const deaf = async () => {
    const wire = await Wire.open(daemon.gateway);
    wires.push(wire);
    wire.socket.pause();
    wire.socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1000));
  };
  let back = NaN;
  const seen = await beside(arena, async () => {
    const all = Array.from({ length: many }, () => [
      drip('POST /v1/events HTTP/1.1\r\nHost: x\r\n', 'X-a: b\r\n'),
      drip(head(gateway, 'Content-Length: 60000'), ' '),
      drip(head(gateway, 'Transfer-Encoding: chunked'), '1\r\n \r\n'),
      deaf(),
    ]).flat();
    await eventually(async () => (await descriptors(daemon)) >= before + 4 * many, { what: 'all are connected' });
    const begin = performance.now();
    await eventually(async () => (await descriptors(daemon)) <= before + 5, {
      timeout: patience,
      every: 200,
      what: 'descriptors are back',
    });
    back = (performance.now() - begin) / 1000;
    for (const wire of wires) wire.close();
    await Promise.all(all);
  });
  return {
    did: `500 connections with slow headers, bodies and readers: ${figures(seen)}, descriptors back in ${back.toFixed(0)} s`,
    faults: judged(seen),
  };
}

async function flood({ many, open }) {
  const rounds = many(1, 10);
  const arena = await open('flood');
  const gateway = Object.values(arena.world.gateways)[0];
  const block = Buffer.alloc(65_536, 0x5b);
  const chunk = Buffer.concat([Buffer.from('10000\r\n'), block, Buffer.from('\r\n')]);
  const pour = async (chunked) => {
    const wire = await Wire.open(arena.world.daemon.gateway);
    await wire.write(head(gateway, chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${10 * mib}`));
    for (let sent = 0; sent < 10 * mib && !wire.ended && !wire.statuses.length; sent += block.length)
      await Promise.race([wire.write(chunked ? chunk : block), wire.closed]);
    await Promise.race([wire.closed, pause(3000)]);
    wire.close();
    return wire.statuses.join() || 'cut off';
  };
  const ends = [];
  const seen = await beside(arena, async () => {
    for (let i = 0; i < rounds; i++)
      for (const chunked of [false, true])
        ends.push(...(await Promise.all(Array.from({ length: 100 }, () => pour(chunked)))));
    await pause(300);
  });
  const faults = judged(seen);
  const strange = ends.filter((end) => end !== '413' && end !== 'cut off');
  if (strange.length) faults.push(`bodies without end were told ${[...new Set(strange)]}`);
  if (ends.filter((end) => end === '413').length < ends.length / 2) faults.push('most of them were not told why');
  return { did: `100 bodies of 10 MB at once, by length and in chunks, ${rounds} times: ${figures(seen)}`, faults };
}

export const rows = [
  { name: 'slow', title: 'slow clients', run: slow },
  { name: 'flood', title: 'bodies without end', run: flood },
];
