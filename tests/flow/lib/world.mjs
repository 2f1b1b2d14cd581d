// A test file's world: its own database copied from a template, its own state folder, a daemon on free
// ports, gateways with their keys. Made at the top of a file; taken down, and the daemon's end checked, after it.
import { after } from 'node:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { build, leavings } from './paths.mjs';
import { cleanEnv, must, program } from './program.mjs';
import { copyDatabase, dropDatabase } from './cluster.mjs';
import { Database } from './database.mjs';
import { Daemon } from './daemon.mjs';
import { Client } from './client.mjs';
import { eventually } from './eventually.mjs';
import { Proxy } from './proxy.mjs';

// What openWorld makes, until the end of the test file.
export async function world(options) {
  const made = new World(options);
  after(() => made.close());
  await made.open();
  return made;
}

// template: "small" (tests/flow/data), "sample" or null for an empty database; env: further RINGBACK_
// settings; daemon: false starts none; proxy: true puts a relay between the daemon and PostgreSQL that can
// take the database away, a class of relays another such relay; programs: another build folder; logs: the
// folder for the daemons' words, emptied first.
export async function openWorld(options) {
  const made = new World(options);
  await made.open();
  return made;
}

class World {
  constructor({ template = 'small', env = {}, daemon = true, gateways = ['pbx'], proxy, programs = build, logs } = {}) {
    this.wanted = { template, env, daemon, gateways, proxy };
    this.programs = programs;
    this.daemons = [];
    this.clients = [];
    this.gateways = {};
    this.logs = logs ?? join(leavings, basename(process.argv[1], '.test.mjs'));
  }

  async open() {
    const { template, env, daemon, gateways, proxy } = this.wanted;
    await rm(this.logs, { recursive: true, force: true });
    await mkdir(this.logs, { recursive: true });
    this.state = await mkdtemp(join(tmpdir(), 'ringback-state-'));
    const { name, conninfo } = await copyDatabase(template);
    this.dbname = name;
    this.conninfo = conninfo;
    this.db = await Database.open(conninfo);
    if (proxy) this.proxy = await (proxy === true ? Proxy : proxy).start(conninfo);
    this.env = cleanEnv({
      RINGBACK_CONFIG: '/dev/null',
      RINGBACK_DATABASE: conninfo,
      RINGBACK_STATE_DIR: this.state,
      RINGBACK_LISTEN_GATEWAY: '127.0.0.1:0',
      RINGBACK_LISTEN_CONSOLE: '127.0.0.1:0',
      RINGBACK_PUBLIC_URL: 'http://console.test',
      RINGBACK_ALLOW_TARGETS: '127.0.0.0/8',
      ...env,
    });
    for (const name of gateways) await this.addGateway(name);
    if (daemon) await this.start();
  }

  // Another daemon on the same database becomes world.daemon, with a client for it. ready: wait until it serves.
  async start(env = {}, { args = [], under = [], ready = true } = {}) {
    const whole = { ...this.env, ...(this.proxy && { RINGBACK_DATABASE: this.proxy.conninfo }), ...env };
    const log = join(this.logs, `ringbackd-${this.daemons.length}.log`);
    const daemon = await Daemon.start({ build: this.programs, env: whole, log, args, under });
    this.daemons.push(daemon);
    this.daemon = daemon;
    this.client?.close();
    this.client = this.newClient();
    if (ready) await this.ready();
    return daemon;
  }

  ready() {
    const look = async () => (await this.client.get('/readyz')).status === 200;
    return eventually(look, { timeout: 15_000, what: 'ringbackd is ready' });
  }

  newClient(options = {}) {
    const client = new Client(this.daemon.gateway, {
      gateway: Object.values(this.gateways)[0],
      ...this.clientOptions,
      ...options,
    });
    this.clients.push(client);
    return client;
  }

  tool(args, { stdin, env = {} } = {}) {
    return program(join(this.programs, 'ringback'), args, { env: { ...this.env, ...env }, stdin });
  }

  must(args, { stdin, env = {} } = {}) {
    return must(join(this.programs, 'ringback'), args, { env: { ...this.env, ...env }, stdin });
  }

  async addGateway(name) {
    const { stdout } = await this.must(['gateway', 'add', name]);
    this.gateways[name] = { name, key: stdout.trim() };
    return this.gateways[name];
  }

  // Gives a person a webhook target; returns its signing secret.
  async addTarget(person, url) {
    const { stdout } = await this.must(['target', 'add', person, 'webhook', url]);
    return stdout.trim();
  }

  // A file of the test's own; gives its path.
  async file(name, content) {
    const path = join(this.state, name);
    await writeFile(path, content);
    return path;
  }

  // Imports rows that a test needs beyond its template; the daemon knows them within a second.
  async import(kind, csv) {
    await this.must(['import', kind, await this.file(`${kind}.csv`, csv)]);
  }

  post(message, options) {
    return this.client.post(message, options);
  }

  // The one number of a metric, or the sum over its label sets that match the given ones.
  async metric(name, labels = {}) {
    const { text } = await this.client.get('/metrics');
    const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
    return text
      .split('\n')
      .filter(
        (line) =>
          (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) && wanted.every((one) => line.includes(one)),
      )
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  async close() {
    for (const client of this.clients) client.close();
    const faults = [];
    for (const daemon of this.daemons) if (!daemon.asked) await daemon.stop().catch((fault) => faults.push(fault));
    await this.proxy?.close();
    await this.db?.close();
    if (this.dbname) await dropDatabase(this.dbname);
    if (this.state) await rm(this.state, { recursive: true, force: true });
    if (faults.length) throw faults[0];
  }
}
