// One private PostgreSQL cluster for a run of the flow tests, with template databases that are migrated and
// filled once; every test file then gets a copy of its own. The runner starts and stops it; test files find
// it through FLOW_CLUSTER.
import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, fixture, root } from './paths.mjs';
import { cleanEnv, must } from './program.mjs';
import { password } from './desk.mjs';
import { Database, conninfoParts, conninfoText } from './database.mjs';

const fast = ['fsync=off', 'synchronous_commit=on', 'full_page_writes=off', 'max_connections=200'];
const order = ['people', 'products', 'retailers', 'caps'];

export function withDatabase(conninfo, dbname) {
  return conninfoText({ ...conninfoParts(conninfo), dbname });
}

export async function startCluster(wanted = fast, env = process.env) {
  const folder = await mkdtemp(join(tmpdir(), 'ringback-flow-'));
  const settings = wanted.flatMap((setting) => ['--set', setting]);
  const started = await must(join(root, 'tools/cluster'), ['start', join(folder, 'pg'), ...settings], { env });
  return { folder, conninfo: started.stdout.trim().split('\n').at(-1) };
}

export async function stopCluster(cluster) {
  await must(join(root, 'tools/cluster'), ['remove', join(cluster.folder, 'pg')]);
  await rm(cluster.folder, { recursive: true, force: true });
}

// Makes a database that copies can be taken of: the schema, the first branch, the files of a folder, and for
// each of its people an account with the password of desk.mjs.
export async function makeTemplate(cluster, name, csvFolder) {
  const admin = await Database.open(withDatabase(cluster.conninfo, 'postgres'));
  await admin.rows(`CREATE DATABASE ${name}`);
  const state = join(cluster.folder, `state-${name}`);
  const env = cleanEnv({
    RINGBACK_DATABASE: withDatabase(cluster.conninfo, name),
    RINGBACK_STATE_DIR: state,
    RINGBACK_CONFIG: '/dev/null',
  });
  await must(join(build, 'ringback'), ['migrate'], { env });
  for (const kind of csvFolder ? order : [])
    await must(join(build, 'ringback'), ['import', kind, join(csvFolder, `${kind}.csv`)], { env });
  const add = ['user', 'add', 'admin', '--role', 'administrator', '--password-stdin'];
  await must(join(build, 'ringback'), add, { env, stdin: password });
  const made = await Database.open(withDatabase(cluster.conninfo, name));
  await made.rows(
    `INSERT INTO accounts (branch_id, name, role, person_id, password_hash)
     SELECT p.branch_id, lower(p.code), p.role, p.person_id, a.password_hash FROM people p, accounts a WHERE a.name = 'admin'`,
  );
  await made.close();
  await admin.rows(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false IS_TEMPLATE true`);
  await admin.close();
}

export async function makeTemplates(cluster) {
  const sample = join(cluster.folder, 'sample');
  await mkdir(sample, { recursive: true });
  await must(join(build, 'ringback-sample'), [sample]);
  await makeTemplate(cluster, 'flow_small', fixture);
  await makeTemplate(cluster, 'flow_sample', sample);
  return { sample };
}

export function theCluster() {
  if (!process.env.FLOW_CLUSTER) throw new Error('run this through tests/flow/run');
  return JSON.parse(process.env.FLOW_CLUSTER);
}

let copies = 0;

// A database of one's own; template: "small", "sample" or null for an empty one.
export async function copyDatabase(template) {
  const cluster = theCluster();
  const name = `flow_${process.pid}_${++copies}`;
  const admin = await Database.open(withDatabase(cluster.conninfo, 'postgres'));
  await admin.rows(`CREATE DATABASE ${name} ${template ? `TEMPLATE flow_${template} STRATEGY file_copy` : ''}`);
  await admin.close();
  return { name, conninfo: withDatabase(cluster.conninfo, name) };
}

export async function dropDatabase(name) {
  const admin = await Database.open(withDatabase(theCluster().conninfo, 'postgres'));
  await admin.rows(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  await admin.close();
}
