// Where the benchmark happens: a cluster of its own under var/bench with PostgreSQL's own settings, and template
// databases that are filled once and kept for the next run; every round works on fresh copies.
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Database } from '../../flow/lib/database.mjs';
import { cleanEnv, must } from '../../flow/lib/program.mjs';
import { root } from '../../flow/lib/paths.mjs';
import { withDatabase } from '../../flow/lib/cluster.mjs';

export const build = join(root, 'build/release');
export const folder = join(root, 'var/bench');
const cluster = join(folder, 'pg');
const recipe = 2; // of the templates: another number makes them anew
const kinds = ['people', 'products', 'retailers', 'caps'];

async function digest(...folders) {
  const hash = createHash('sha256');
  for (const under of folders)
    for (const name of (await readdir(join(root, under))).sort()) hash.update(await readFile(join(root, under, name)));
  return hash.digest('hex');
}

export class Place {
  // retailers: how many the branch has. say: tells what takes long.
  static async open({ retailers, say }) {
    const place = new Place();
    await mkdir(join(folder, 'state'), { recursive: true });
    const started = await must(join(root, 'tools/cluster'), ['start', cluster]);
    Object.assign(place, { conninfo: started.stdout.trim().split('\n').at(-1), retailers, say });
    place.admin = await Database.open(place.database('postgres'));
    place.postmaster = Number((await readFile(join(cluster, 'data/postmaster.pid'), 'utf8')).split('\n')[0]);
    place.made = `${recipe} ${await digest('schema/migrations', 'tools/sample')}`;
    await place.makeBase();
    return place;
  }

  database(name) {
    return withDatabase(this.conninfo, name);
  }

  file(name) {
    return join(folder, name);
  }

  env(name, extra = {}) {
    return cleanEnv({
      RINGBACK_CONFIG: '/dev/null',
      RINGBACK_DATABASE: this.database(name),
      RINGBACK_STATE_DIR: this.file('state'),
      RINGBACK_ALLOW_TARGETS: '127.0.0.0/8',
      RINGBACK_LISTEN_GATEWAY: '127.0.0.1:0',
      RINGBACK_LISTEN_CONSOLE: '127.0.0.1:0',
      ...extra,
    });
  }

  tool(name, args, options = {}) {
    return must(join(build, 'ringback'), args, { env: this.env(name), timeout: 600_000, ...options });
  }

  query(name, work) {
    return Database.open(this.database(name)).then(async (db) => {
      try {
        return await work(db);
      } finally {
        await db.close();
      }
    });
  }

  // A template: filled once by fill(name) and marked with what it was made of; its functions are always today's.
  async template(name, of, fill) {
    const mark = await this.admin.rows(
      "SELECT shobj_description(oid, 'pg_database') AS made FROM pg_database WHERE datname = $1",
      [name],
    );
    if (mark[0]?.made !== of) {
      await this.admin.rows(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await fill(name);
      await this.admin.rows(`COMMENT ON DATABASE ${name} IS '${of}'`);
    }
    await this.tool(name, ['migrate']);
  }

  async makeBase() {
    this.base = `base_${this.retailers}`;
    await this.template(this.base, this.made, async (name) => {
      this.say(`loading ${this.retailers} retailers (kept for the next run)`);
      const sample = this.file(`sample_${this.retailers}`);
      await must(join(build, 'ringback-sample'), ['--retailers', `${this.retailers}`, sample]);
      await this.admin.rows(`CREATE DATABASE ${name}`);
      await this.tool(name, ['migrate']);
      for (const kind of kinds) await this.tool(name, ['import', kind, join(sample, `${kind}.csv`)]);
      await rm(sample, { recursive: true });
      const key = await this.tool(name, ['gateway', 'add', 'bench']);
      await writeFile(this.file(`key_${this.retailers}`), key.stdout, { mode: 0o600 });
      await this.writeCodes();
      await this.placeOrders(name);
      await this.query(name, (db) => db.rows('VACUUM ANALYZE'));
    });
    this.key = this.file(`key_${this.retailers}`);
    await this.writeCodes();
  }

  // A branch that works already: plans that PostgreSQL makes for empty tables and keeps would spoil every contender,
  // and those most that have foreign keys.
  async placeOrders(name) {
    const args = ['--database', this.database(name), '--source', '/bench/before', '--gateway', `${this.gateway}`];
    args.push('--retailers', this.file('retailers'), '--products', this.file('products'), '--seconds', '5', '--warm', '0');
    for (let placed = 0, i = 0; placed < this.retailers / 5; i++) {
      args[3] = `/bench/before-${i}`;
      const done = await must(join(build, 'bench/batched'), args);
      placed += JSON.parse(done.stdout).all_acknowledged;
      if (i === 0) await this.query(name, (db) => db.rows('VACUUM ANALYZE'));
    }
  }

  // What the orders are made of: every retailer, and the products that are free to order.
  async writeCodes() {
    await this.query(this.base, async (db) => {
      const codes = async (sql) => (await db.rows(sql)).map((row) => row.code);
      const retailers = await codes('SELECT code FROM retailers ORDER BY code');
      this.products = await codes(
        `SELECT code FROM products p WHERE NOT scarce AND retired_at IS NULL
         AND NOT EXISTS (SELECT FROM caps c WHERE c.branch_id = p.branch_id AND c.product_id = p.product_id) ORDER BY code`,
      );
      this.firstRetailer = Number(retailers[0]);
      if (Number(retailers.at(-1)) !== this.firstRetailer + retailers.length - 1)
        throw new Error('the codes of the sample are no longer consecutive numbers, which the pgbench scripts lean on');
      await writeFile(this.file('retailers'), `${retailers.join('\n')}\n`);
      await writeFile(this.file('products'), `${this.products.join('\n')}\n`);
      this.gateway = await db.value("SELECT gateway_id FROM gateways WHERE name = 'bench'");
      this.branch = await db.value("SELECT branch_id FROM gateways WHERE name = 'bench'");
    });
  }

  async copy(template, name) {
    await this.admin.rows(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await this.admin.rows(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY file_copy`);
  }

  drop(name) {
    return this.admin.rows(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  }

  // Every measurement begins behind a checkpoint, so that none pays for the one before it.
  checkpoint() {
    return this.admin.rows('CHECKPOINT');
  }

  async close() {
    await this.admin.close();
    await must(join(root, 'tools/cluster'), ['stop', cluster]);
  }
}
