// The oracle of the crash tests: an fsynced book of what was sent and what was acknowledged, and its
// comparison with the database afterwards.
import { fsyncSync, openSync, writeSync, closeSync, readFileSync } from 'node:fs';

export class Ledger {
  constructor(file) {
    this.file = file;
    this.fd = openSync(file, 'a');
  }

  // what: "sent" or "acknowledged". On disk before this returns.
  write(what, event) {
    writeSync(this.fd, `${what} ${event.source} ${event.id}\n`);
    fsyncSync(this.fd);
  }

  close() {
    closeSync(this.fd);
  }

  read() {
    const book = { sent: new Set(), acknowledged: new Set() };
    for (const line of readFileSync(this.file, 'utf8').split('\n')) {
      const [what, source, id] = line.split(' ');
      if (id) book[what].add(`${source} ${id}`);
    }
    return book;
  }

  // stored: one "source id" for every effect found in the database.
  compare(stored) {
    const { sent, acknowledged } = this.read();
    const once = new Set(stored);
    return {
      lost: [...acknowledged].filter((key) => !once.has(key)),
      twice: stored.length - once.size,
      never: [...once].filter((key) => !sent.has(key)),
      acknowledged: acknowledged.size,
    };
  }
}
