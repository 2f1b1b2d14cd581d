// A running ringbackd: finds its ports in its log, keeps the log, and takes a sanitizer's report, a death
// nobody asked for or a bad exit as the test's failure.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventually } from './eventually.mjs';

const sanitizer = /ERROR: (Address|Leak)Sanitizer|runtime error:|invariant broken|UndefinedBehaviorSanitizer/;

export class Daemon {
  // env: complete environment. log: file that keeps what it says. under: a command that becomes the daemon.
  static async start({ build, env, log, args = [], under = [] }) {
    const daemon = new Daemon(build, env, log, args, under);
    await daemon.listening();
    return daemon;
  }

  constructor(build, env, log, args, under) {
    this.lines = [];
    this.logFile = log;
    this.asked = false;
    const [file, ...rest] = [...under, join(build, 'ringbackd'), ...args];
    this.child = spawn(file, rest, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    this.pid = this.child.pid;
    this.keep = createWriteStream(log, { flags: 'a' });
    createInterface({ input: this.child.stderr }).on('line', (line) => {
      this.lines.push(line);
      this.keep.write(`${line}\n`);
    });
    this.exited = once(this.child, 'close').then(([code, signal]) => {
      this.ended = { code, signal };
      this.keep.end();
      return this.ended;
    });
  }

  address(listener) {
    const said = new RegExp(`\\blistening name=${listener} address=(\\S+):(\\d+)`);
    const line = this.lines.map((text) => said.exec(text)).findLast((found) => found);
    return line && { host: line[1].replace(/^\[|\]$/g, ''), port: Number(line[2]) };
  }

  async listening() {
    await eventually(
      () => {
        if (this.ended) throw new Error(`ringbackd ended: ${JSON.stringify(this.ended)}\n${this.tail()}`);
        return this.address('gateway') && this.address('console');
      },
      { timeout: 20_000, what: 'ringbackd listens' },
    );
    this.gateway = this.address('gateway');
    this.console = this.address('console');
  }

  tail(n = 25) {
    return this.lines.slice(-n).join('\n');
  }

  signal(name) {
    this.child.kill(name);
  }

  // Resident memory in bytes, from the kernel's books.
  async memory() {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) * 1024;
  }

  // SIGKILL: no questions about how it ended.
  async kill() {
    this.asked = true;
    this.child.kill('SIGKILL');
    await this.exited;
    this.check();
  }

  // SIGTERM, and it must leave by itself with exit 0. Returns how long that took in ms.
  async stop({ within = 15_000 } = {}) {
    const begin = performance.now();
    const early = this.ended;
    this.asked = true;
    if (!early) this.child.kill('SIGTERM');
    const hurry = setTimeout(() => this.child.kill('SIGKILL'), within);
    const { code, signal } = await this.exited;
    clearTimeout(hurry);
    this.check();
    if (early || code !== 0)
      throw new Error(
        `ringbackd ${early ? 'died' : 'left'} with ${code ?? signal}; log in ${this.logFile}\n${this.tail()}`,
      );
    return performance.now() - begin;
  }

  check() {
    const at = this.lines.findIndex((line) => sanitizer.test(line));
    if (at >= 0)
      throw new Error(`ringbackd is unsound; log in ${this.logFile}\n${this.lines.slice(at, at + 25).join('\n')}`);
  }
}
