// Where a row of the torture takes place: a database, daemons on a port that stays, a ledger, a load; and the hands on
// PostgreSQL, which belongs to the rows alone.
import { createServer } from 'node:net';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { build, release, root } from '../../flow/lib/paths.mjs';
import { theCluster } from '../../flow/lib/cluster.mjs';
import { Database } from '../../flow/lib/database.mjs';
import { eventually } from '../../flow/lib/eventually.mjs';
import { must } from '../../flow/lib/program.mjs';
import { openWorld } from '../../flow/lib/world.mjs';
import { Ledger } from './ledger.mjs';
import { judge } from './oracle.mjs';
import { Load } from './load.mjs';

export const settings = ['max_connections=100', 'log_min_messages=warning'];

// Below the range that the kernel hands out by itself, so that a restart finds the port free again.
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const free = await new Promise((done) => {
      server.once('error', () => done(false));
      server.listen(port, '127.0.0.1', () => done(true));
    });
    if (free) {
      await new Promise((done) => server.close(done));
      return port;
    }
  }
}

export class Arena {
  // checked: the build with ASan and UBSan; else the release build, which starts faster. Further options: openWorld's.
  static async open(name, { checked = false, env = {}, ...options } = {}) {
    const arena = new Arena();
    arena.logs = join(root, 'build/torture', name);
    arena.world = await openWorld({
      logs: arena.logs,
      programs: checked ? build : release,
      env: { RINGBACK_LISTEN_GATEWAY: `127.0.0.1:${await freePort()}`, ...env },
      ...options,
    });
    await mkdir(arena.logs, { recursive: true });
    arena.ledger = await Ledger.open(join(arena.logs, 'ledger'));
    return arena;
  }

  loads = [];

  load(options) {
    const load = Load.start(this.world, this.ledger, options);
    this.loads.push(load);
    return load;
  }

  // Ends the load and compares; connections: whether clients may have been cut off on the way.
  async verdict(load, { connections = 'whole' } = {}) {
    await load.stop();
    await this.reopen();
    const seen = await judge(this.world.db, this.ledger, load.answers);
    const faults = [...seen.faults, ...new Set(load.wrong)];
    const broken = Object.entries(load.broken).map(([why, n]) => `${n} × ${why}`);
    if (connections === 'whole' && broken.length) faults.push(`clients were cut off: ${broken.join(', ')}`);
    return { ...seen, faults };
  }

  // The test's own connection, after PostgreSQL went away under it.
  async reopen() {
    const { world } = this;
    await world.db.close().catch(() => {});
    world.db = await eventually(() => Database.open(world.conninfo), { timeout: 30_000, what: 'PostgreSQL answers' });
  }

  async close() {
    for (const load of this.loads) if (!load.stopping) await load.stop(100);
    await this.ledger.close();
    await this.reopen();
    await this.world.close();
  }
}

const folder = () => join(theCluster().folder, 'pg');
const cluster = (...args) => must(join(root, 'tools/cluster'), args);

export const postgres = {
  start: () => cluster('start', folder(), ...settings.flatMap((setting) => ['--set', setting])),
  stop: () => cluster('stop', folder()),
  async postmaster() {
    const { stdout } = await cluster('status', folder());
    return Number(/process (\d+)/.exec(stdout)[1]);
  },
  // Resolves when it takes connections.
  async answers(conninfo) {
    const db = await eventually(() => Database.open(conninfo), {
      timeout: 30_000,
      every: 5,
      what: 'PostgreSQL answers',
    });
    await db.close();
  },
};
