// A test's eyes and hands in the database: queries as the superuser, and moving the rows of the promise
// clock in time instead of waiting for hours.
import pg from 'pg';

// Counts come as JavaScript numbers, times as text with microseconds.
pg.types.setTypeParser(20, Number);
pg.types.setTypeParser(1184, (text) => text);

// "host=/tmp/x port=5432 user=me" as an object; quotes are not needed for what tools/cluster prints.
export function conninfoParts(conninfo) {
  return Object.fromEntries(
    conninfo
      .trim()
      .split(/\s+/)
      .map((pair) => pair.split(/=(.*)/s).slice(0, 2)),
  );
}

export function conninfoText(parts) {
  return Object.entries(parts)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
}

export class Database {
  static async open(conninfo) {
    const parts = conninfoParts(conninfo);
    const client = new pg.Client({
      host: parts.host,
      port: Number(parts.port ?? 5432),
      user: parts.user,
      password: parts.password,
      database: parts.dbname ?? 'postgres',
      options: '-c search_path=ringback,public',
    });
    client.on('error', () => {}); // a test that stops PostgreSQL does so knowingly
    await client.connect();
    return new Database(client, conninfo);
  }

  constructor(client, conninfo) {
    this.client = client;
    this.conninfo = conninfo;
    this.last = Promise.resolve();
  }

  // Tests that run at the same time share the connection: one after the other.
  inTurn(work) {
    const mine = this.last.then(work);
    this.last = mine.catch(() => {});
    return mine;
  }

  rows(sql, params = []) {
    return this.inTurn(async () => (await this.client.query(sql, params)).rows);
  }

  async row(sql, params = []) {
    const rows = await this.rows(sql, params);
    if (rows.length !== 1) throw new Error(`${rows.length} rows instead of one: ${sql}`);
    return rows[0];
  }

  async value(sql, params = []) {
    return Object.values(await this.row(sql, params))[0];
  }

  // Changes rows that nobody may change, past every trigger.
  force(sql, params = []) {
    return this.inTurn(async () => {
      await this.client.query('BEGIN; SET LOCAL session_replication_role = replica');
      const result = await this.client.query(sql, params);
      await this.client.query('COMMIT');
      return result.rowCount;
    });
  }

  close() {
    return this.client.end();
  }
}
