// Two PostgreSQL clusters, one the synchronous standby of the other, that change places.
import { chmod, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { conninfoParts, conninfoText, Database } from '../../flow/lib/database.mjs';
import { eventually } from '../../flow/lib/eventually.mjs';
import { root } from '../../flow/lib/paths.mjs';
import { must } from '../../flow/lib/program.mjs';

const settings = ['max_connections=60', 'wal_keep_size=256MB', 'wal_retrieve_retry_interval=100ms'];
const cluster = (...args) => must(join(root, 'tools/cluster'), args);

class Node {
  constructor(folder) {
    this.folder = folder;
  }

  async start() {
    const { stdout } = await cluster('start', this.folder, ...settings.flatMap((setting) => ['--set', setting]));
    this.conninfo = stdout.trim().split('\n').at(-1);
  }

  stop() {
    return cluster('stop', this.folder, '--immediate');
  }

  async kill() {
    const { stdout } = await cluster('status', this.folder);
    process.kill(Number(/process (\d+)/.exec(stdout)[1]), 'SIGKILL');
  }

  // One statement on a connection of its own.
  async rows(sql, params) {
    const db = await eventually(() => Database.open(this.conninfo), { timeout: 30_000, what: 'a node answers' });
    try {
      return await db.rows(sql, params);
    } finally {
      await db.close();
    }
  }
}

export class Pair {
  static async start() {
    const pair = new Pair();
    pair.folder = await mkdtemp(join(tmpdir(), 'ringback-pair-'));
    await chmod(pair.folder, 0o755); // PostgreSQL's user must get in
    for (const name of ['a', 'b']) await mkdir(join(pair.folder, name), { mode: 0o755 });
    [pair.primary, pair.standby] = ['a', 'b'].map((name) => new Node(join(pair.folder, name, 'pg')));
    await pair.primary.start();
    await pair.rebuild();
    return pair;
  }

  // As the harness knows a cluster.
  get cluster() {
    return { folder: this.folder, conninfo: this.primary.conninfo };
  }

  // One connection string for both; libpq finds the one that takes writes.
  conninfo(dbname) {
    const nodes = [this.primary, this.standby].map((node) => conninfoParts(node.conninfo));
    const both = (key) => nodes.map((parts) => parts[key]).join();
    return conninfoText({ ...nodes[0], host: both('host'), port: both('port'), dbname });
  }

  // Makes the standby anew from the primary; from then on nothing commits without it.
  async rebuild() {
    const data = join(this.standby.folder, 'data');
    const { host, port, user } = conninfoParts(this.primary.conninfo);
    await rm(data, { recursive: true, force: true });
    await mkdir(this.standby.folder, { recursive: true });
    const program = join('/usr/lib/postgresql/15/bin/pg_basebackup');
    await must(program, ['-h', host, '-p', port, '-U', user, '-D', data, '-R', '-X', 'stream', '-c', 'fast']);
    const { uid, gid } = await stat(join(this.primary.folder, 'data'));
    if (uid !== process.getuid()) await must('chown', ['-R', `${uid}:${gid}`, data]);
    await this.standby.start();
    await this.wait(true);
  }

  // Whether commits wait for the standby.
  async wait(yes) {
    await this.primary.rows(`ALTER SYSTEM SET synchronous_standby_names = '${yes ? '*' : ''}'`);
    await this.primary.rows('SELECT pg_reload_conf()');
    if (!yes) return;
    const sync = "SELECT count(*) AS n FROM pg_stat_replication WHERE sync_state = 'sync' AND replay_lsn >= sent_lsn";
    await eventually(async () => (await this.primary.rows(sync))[0].n === 1, { timeout: 30_000, what: 'in step' });
  }

  // The primary dies at once and the standby takes over, alone.
  async failOver() {
    await this.primary.kill();
    [this.primary, this.standby] = [this.standby, this.primary];
    await this.primary.rows("ALTER SYSTEM SET synchronous_standby_names = ''").catch(() => {});
    await this.primary.rows('SELECT pg_promote()');
    await this.wait(false);
    await this.standby.stop().catch(() => {});
  }

  async stop() {
    for (const node of [this.primary, this.standby]) await cluster('remove', node.folder);
    await rm(this.folder, { recursive: true, force: true });
  }
}
