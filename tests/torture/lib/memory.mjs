// What a daemon holds, by the kernel's books: descriptors, and resident memory while something goes on.
import { readdir } from 'node:fs/promises';
import { pause } from '../../flow/lib/eventually.mjs';

export const mib = 1024 * 1024;

export const descriptors = async ({ pid }) => (await readdir(`/proc/${pid}/fd`)).length;

export class MemoryWatch {
  static async start(daemon) {
    const watch = new MemoryWatch();
    watch.begin = watch.most = await daemon.memory();
    watch.running = watch.run(daemon);
    return watch;
  }

  over = false;

  async run(daemon) {
    while (!this.over) {
      this.most = Math.max(this.most, await daemon.memory());
      await pause(20);
    }
  }

  async stop() {
    this.over = true;
    await this.running;
    return this.most - this.begin;
  }
}
