// Waiting for something to become true, instead of sleeping and hoping.
import { setTimeout as pause } from 'node:timers/promises';

// Calls look() until it returns something truthy (and returns that) or the time is over. What look() threw
// last is part of the failure.
export async function eventually(look, { timeout = 10_000, every = 20, what = look.toString() } = {}) {
  const end = performance.now() + timeout;
  let last;
  for (;;) {
    try {
      const seen = await look();
      if (seen) return seen;
      last = `last seen: ${JSON.stringify(seen)}`;
    } catch (error) {
      last = error.message;
    }
    if (performance.now() > end) throw new Error(`not within ${timeout} ms: ${what}; ${last}`);
    await pause(every);
  }
}

export { pause };
