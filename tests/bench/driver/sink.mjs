// The local sink that notifications are sent to, and targets that lead there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { build } from './place.mjs';

export class Sink {
  static async start() {
    const sink = new Sink();
    sink.child = spawn(join(build, 'bench/sink'), [], { stdio: ['pipe', 'pipe', 'inherit'] });
    sink.text = '';
    sink.ended = once(sink.child, 'close');
    sink.child.stdout.on('data', (bytes) => (sink.text += bytes));
    while (!sink.text.includes('\n')) await once(sink.child.stdout, 'data');
    sink.port = Number(sink.text.split('\n')[0]);
    return sink;
  }

  // { requests, first_us, last_us }
  async stop() {
    this.child.stdin.end();
    await this.ended;
    return JSON.parse(this.text.split('\n')[1]);
  }
}

// Gives people (a condition on p) a target each at the sink; all of them share one sealed secret.
export async function addTargets(place, database, { port, condition, limit = null }) {
  const first = await place.query(database, (db) => db.value(`SELECT min(code) FROM people p WHERE ${condition}`));
  await place.tool(database, ['target', 'add', first, 'webhook', `http://127.0.0.1:${port}/first`]);
  await place.query(database, async (db) => {
    await db.rows(
      `INSERT INTO targets (branch_id, person_id, channel, address, sealed_secret)
       SELECT p.branch_id, p.person_id, 'webhook', 'http://127.0.0.1:' || $1::text || '/' || p.code, t.sealed_secret
       FROM people p, (SELECT sealed_secret FROM targets ORDER BY target_id DESC LIMIT 1) t
       WHERE ${condition} AND p.code <> $2 ORDER BY p.code LIMIT $3::bigint - 1`,
      [port, first, limit],
    );
    await db.rows('ANALYZE targets');
  });
}
