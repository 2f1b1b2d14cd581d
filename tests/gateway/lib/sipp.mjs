// Telephone calls by sipp: a phone that is called and callers that call it through the gateway.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { program } from '../../flow/lib/program.mjs';
import { freePort } from './kamailio.mjs';

const scenario = (name) => fileURLToPath(new URL(`../sipp/${name}.xml`, import.meta.url));

async function sipp(folder, name, { address, port }, more) {
  const errors = join(folder, `${name}.errors`);
  const args = ['-sf', scenario(name), '-i', address, '-p', String(port), ...more];
  const common = ['-nostdin', '-timeout', '30s', '-timeout_error', '-trace_err', '-error_file', errors];
  const done = await program('sipp', [...args, ...common], { cwd: folder, timeout: 40_000 });
  if (done.code === 0) return;
  const why = await readFile(errors, 'utf8').catch(() => done.stderr || done.stdout.slice(-2000));
  throw new Error(`sipp ${name}: exit ${done.code ?? done.signal}\n${why}`);
}

// calls: pairs of the caller's number and the number called, a tenth of a second apart. caller, phone: scenarios.
// from: the callers' address; to: {address, port} where the phone is; talk: ms until whoever hangs up does so.
export async function telephone(gateway, { calls, caller, phone, from, to, talk }) {
  const folder = await mkdtemp(join(tmpdir(), 'ringback-sipp-'));
  const numbers = join(folder, 'numbers.csv');
  await writeFile(numbers, `SEQUENTIAL\n${calls.map((pair) => `${pair.join(';')}\n`).join('')}`);
  const common = ['-m', String(calls.length), '-d', String(talk)];
  const callers = { address: from, port: await freePort(from) };
  await Promise.all([
    sipp(folder, phone, to, common),
    sipp(folder, caller, callers, [...common, '-r', '10', '-inf', numbers, `${gateway.address}:${gateway.port}`]),
  ]);
  await rm(folder, { recursive: true, force: true });
}
