// The oracle of the crash tests: an fsynced book of what was sent and what was acknowledged, and its comparison with
// what is in the database afterwards.
import { open, readFile } from 'node:fs/promises';

export class Ledger {
  static async open(file) {
    const ledger = new Ledger();
    ledger.path = file;
    ledger.file = await open(file, 'a');
    return ledger;
  }

  pending = [];

  // what: "sent" or "acknowledged". Resolves when it is on disk; one fsync serves all that came meanwhile.
  write(what, { source, id }) {
    return new Promise((done, fail) => {
      this.pending.push({ line: `${what} ${source} ${id}\n`, done, fail });
      this.flushing ??= this.flush();
    });
  }

  async flush() {
    while (this.pending.length) {
      const some = this.pending.splice(0);
      try {
        await this.file.write(some.map(({ line }) => line).join(''));
        await this.file.datasync();
        for (const { done } of some) done();
      } catch (error) {
        for (const { fail } of some) fail(error);
      }
    }
    this.flushing = undefined;
  }

  close() {
    return this.file.close();
  }

  async read() {
    const book = { sent: new Set(), acknowledged: new Set() };
    for (const line of (await readFile(this.path, 'utf8')).split('\n')) {
      const [what, source, id] = line.split(' ');
      if (id) book[what].add(`${source} ${id}`);
    }
    return book;
  }

  // stored: one "source id" for every effect found in the database.
  async compare(stored) {
    const { sent, acknowledged } = await this.read();
    const once = new Set(stored);
    return {
      lost: [...acknowledged].filter((key) => !once.has(key)),
      twice: stored.length - once.size,
      never: [...once].filter((key) => !sent.has(key)),
      acknowledged: acknowledged.size,
    };
  }
}
