// Runs a program to its end and gives back what it printed. Never through a shell.
import { spawn } from 'node:child_process';

// The environment without any RINGBACK_ setting of the caller, plus what is given.
export function cleanEnv(extra = {}) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('RINGBACK_')));
  return { ...env, LC_ALL: 'C.UTF-8', UBSAN_OPTIONS: 'print_stacktrace=1', ...extra };
}

export function program(file, args, { env = process.env, stdin = '', cwd, timeout = 120_000 } = {}) {
  return new Promise((done, fail) => {
    const child = spawn(file, args, { env, cwd, timeout });
    const out = [];
    const err = [];
    child.stdout.on('data', (bytes) => out.push(bytes));
    child.stderr.on('data', (bytes) => err.push(bytes));
    child.on('error', fail);
    child.on('close', (code, signal) =>
      done({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    );
    child.stdin.on('error', () => {}); // it may end without reading
    child.stdin.end(stdin);
  });
}

// The same, but anything other than exit 0 is a failure of the test.
export async function must(file, args, options) {
  const done = await program(file, args, options);
  if (done.code !== 0)
    throw new Error(`${file} ${args.join(' ')}: exit ${done.code ?? done.signal}\n${done.stderr}${done.stdout}`);
  return done;
}
