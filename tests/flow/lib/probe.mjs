// A well-behaved client that keeps sending orders while others misbehave, and the latencies that it saw. It
// lives in a thread of its own, so that what the test itself is busy with is not counted as the daemon's.
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from './client.mjs';
import { order, structured } from './events.mjs';

export class Probe {
  // world: whose daemon and gateway are used. every: ms between an answer and the next request.
  static async start(world, every = 5) {
    const probe = new Probe();
    const data = { address: world.daemon.gateway, gateway: Object.values(world.gateways)[0], every };
    probe.worker = new Worker(new URL(import.meta.url), { workerData: data });
    probe.worker.unref();
    await once(probe.worker, 'message');
    return probe;
  }

  // {n, p50, p99, most} in ms of what was asked while work() went on; faults: answers other than 200, connections lost.
  async during(work) {
    this.worker.postMessage('begin');
    await work();
    this.worker.postMessage('end');
    const [{ latencies, faults }] = await once(this.worker, 'message');
    latencies.sort((a, b) => a - b);
    const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
    return { n: latencies.length, p50: at(0.5), p99: at(0.99), most: latencies.at(-1), faults };
  }
}

async function work({ address, gateway, every }) {
  const client = new Client(address, { gateway, sockets: 1 });
  let latencies = [];
  let faults = [];
  let asking = false;
  const ask = async () => {
    try {
      const answer = await client.post(structured(order({ retailer: 'R1', lines: [{ product: 'A1', cartons: 1 }] })));
      latencies.push(answer.took);
      if (answer.status !== 200) faults.push(`${answer.status} ${answer.text}`);
    } catch (error) {
      faults.push(error.message);
    }
  };
  const keepAsking = async () => {
    while (asking) {
      await ask();
      await pause(every);
    }
    parentPort.postMessage({ latencies, faults });
  };
  parentPort.on('message', (what) => {
    asking = what === 'begin';
    if (!asking) return;
    latencies = [];
    faults = [];
    keepAsking();
  });
  for (let i = 0; i < 50; i++) await ask(); // its own code is warm before anything counts
  parentPort.postMessage('ready');
}

if (!isMainThread && workerData?.gateway) await work(workerData);
