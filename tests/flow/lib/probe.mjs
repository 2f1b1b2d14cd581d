// A well-behaved client that keeps asking while others misbehave, and the latencies that it saw.
import { pause } from './eventually.mjs';

export class Probe {
  // ask(): one request; resolves to its latency in ms.
  static start(ask, every = 5) {
    const probe = new Probe();
    probe.running = probe.run(ask, every);
    return probe;
  }

  constructor() {
    this.latencies = [];
    this.stopping = false;
  }

  async run(ask, every) {
    while (!this.stopping) {
      this.latencies.push(await ask());
      await pause(every);
    }
  }

  async stop() {
    this.stopping = true;
    await this.running;
    const sorted = this.latencies.toSorted((a, b) => a - b);
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    return { n: sorted.length, p50: at(0.5), p99: at(0.99), most: sorted.at(-1) };
  }
}
