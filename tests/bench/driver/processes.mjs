// What processes use: processor time and memory, from the kernel's books.
import { readFile, readdir } from 'node:fs/promises';

const ticks = 100; // a second of user space, on every Linux

async function stat(pid) {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ').map(Number);
    return { parent: fields[1], own: (fields[11] + fields[12]) / ticks, ended: (fields[13] + fields[14]) / ticks };
  } catch {
    return undefined; // it ended
  }
}

export async function cpuOf(pids) {
  const all = await Promise.all(pids.map(stat));
  return all.reduce((sum, one) => sum + (one?.own ?? 0), 0);
}

// Of all that the postmaster started: those that run, and those that ended.
export async function familySeconds(postmaster) {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(names.map(stat));
  const running = all.filter((one) => one?.parent === postmaster).reduce((sum, one) => sum + one.own, 0);
  return running + (await stat(postmaster)).ended;
}

// Proportional set size in bytes: what would be free again if the process ended.
export async function memory(pid) {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+)/m.exec(text)[1]) * 1024;
}
