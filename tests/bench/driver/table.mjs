// The rows of the table: what is measured against what, what it must reach, and how the figure comes from the
// samples. A ratio is taken within each round; its median counts.
export const median = (list) => {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const of = (samples, key) => samples.map((one) => key.split('.').reduce((value, name) => value[name], one));
const ratio = (above, below, key = 'rate') => of(above, key).map((value, i) => value / of(below, key)[i]);
const two = (value) => value.toFixed(2);
const one = (value) => value.toFixed(1);
const whole = (value) => Math.round(value).toLocaleString('en');
const rate = (samples) => `${whole(median(of(samples, 'rate')))}/s`;
const ms = (samples, key) => one(median(of(samples, key)) / 1000);
const span = (list, show) => (list.length > 1 ? ` (${show(Math.min(...list))} to ${show(Math.max(...list))})` : '');
const mib = (bytes) => bytes / 2 ** 20;

// One figure of a row: the values of its rounds, and whether their median has to be at least or at most the limit.
const atLeast = (values, limit, show = two) => figure(values, limit, show, (value) => value >= limit);
const atMost = (values, limit, show = two) => figure(values, limit, show, (value) => value <= limit);

function figure(values, limit, show, holds) {
  const value = median(values);
  return { text: `${show(value)}${span(values, show)}`, value, ok: holds(value) };
}

const http = (m, name) => `${rate(m[name])}, p50 ${ms(m[name], 'p50_us')} ms, p99 ${ms(m[name], 'p99_us')} ms`;
const spread = (samples) => of(samples, 'p99_us').map((p99, i) => p99 / samples[i].p50_us);

export const rows = [
  {
    name: 'function',
    needs: ['http256', 'function'],
    work: 'orders of five lines acknowledged after commit, 256 keep-alive connections',
    against: '`pgbench` calling the same write function with one order a transaction, prepared, at its best number of clients',
    least: '2.5',
    aim: '3',
    figures: (m) => [atLeast(ratio(m.http256, m.function), 2.5)],
    beside: (m) => `${http(m, 'http256')}; pgbench ${rate(m.function)} with ${m.function[0].clients} clients`,
  },
  {
    name: 'foreign-keys',
    needs: ['http256', 'ordinary'],
    work: 'the same',
    against: '`pgbench` on the same tables with ordinary foreign keys, one order a transaction',
    least: '3.7',
    aim: '4.5',
    figures: (m) => [atLeast(ratio(m.http256, m.ordinary), 3.7)],
    beside: (m) => `${rate(m.http256)}; pgbench ${rate(m.ordinary)} with ${m.ordinary[0].clients} clients`,
  },
  {
    name: 'batched',
    needs: ['http256', 'http64', 'batched'],
    work: 'the same, at 256 and at 64 connections',
    against: 'the batched statement driven from libpq without HTTP',
    least: '0.50 and 0.40',
    aim: '0.62',
    figures: (m) => [atLeast(ratio(m.http256, m.batched), 0.5), atLeast(ratio(m.http64, m.batched), 0.4)],
    beside: (m) => `${rate(m.http256)} and ${rate(m.http64)}; libpq ${rate(m.batched)}`,
  },
  {
    name: 'fastify',
    needs: ['http64', 'fastify'],
    work: 'the same at 64 connections',
    against: 'Fastify 5 with pg, two workers, pool of 8, calling the same write function once a request',
    least: '4, and p99 at most 0.15 of its',
    aim: '6',
    figures: (m) => [atLeast(ratio(m.http64, m.fastify), 4), atMost(ratio(m.http64, m.fastify, 'p99_us'), 0.15)],
    beside: (m) => `${http(m, 'http64')}; Fastify ${http(m, 'fastify')}`,
  },
  {
    name: 'latency',
    needs: ['http256', 'half'],
    work: 'p99 against p50',
    against: 'at 256 connections, and at half the peak rate',
    least: 'at most 2.2, and 4',
    aim: '',
    figures: (m) => [atMost(spread(m.http256), 2.2), atMost(spread(m.half), 4)],
    beside: (m) => `${http(m, 'http256')}; open loop ${http(m, 'half')}`,
  },
  {
    name: 'logins',
    needs: ['http256', 'half', 'logins'],
    work: 'p99 at half the peak rate while a hundred people at once log in, again and again',
    against: 'the same without them',
    least: 'at most 1.5 times',
    aim: '',
    figures: (m) => [atMost(ratio(m.logins, m.half, 'p99_us'), 1.5)],
    beside: (m) =>
      `${http(m, 'logins')}; without ${http(m, 'half')}; ` +
      `${whole(median(of(m.logins, 'logins')))} log-ins, a hundred in ${two(median(of(m.logins, 'hundred_ms')) / 1000)} s`,
  },
  {
    name: 'memory',
    needs: [],
    work: 'memory for 1,000 idle plain connections',
    against: 'the idle daemon',
    least: 'at most 11 MiB more',
    aim: '6',
    figures: (m) => [atMost(of(m.memory, 'more').map(mib), 11, one)],
    beside: (m) => `${one(mib(median(of(m.memory, 'idle'))))} MiB idle, ${one(mib(median(of(m.memory, 'held'))))} MiB with them`,
  },
  {
    name: 'streams',
    needs: [],
    work: 'memory for 2,000 open streams of the console, and p99 of orders at half the peak rate with them',
    against: 'the same daemon without any',
    least: 'at most 64 MiB more, and 1.2 times',
    aim: '',
    figures: (m) => [atMost(of(m.streams, 'more').map(mib), 64, one), atMost(ratio(m.streams, m.noStreams, 'p99_us'), 1.2)],
    beside: (m) =>
      `${one(mib(median(of(m.streams, 'idle'))))} MiB idle, ${one(mib(median(of(m.streams, 'held'))))} MiB with them; ` +
      `open loop ${http(m, 'streams')}; without ${http(m, 'noStreams')}`,
  },
  {
    name: 'notifications',
    needs: [],
    work: 'notifications delivered and their outcome committed, 100 targets on one local sink',
    against: 'a bare libcurl-multi loop on the same sink',
    least: '0.25',
    aim: '0.5',
    figures: (m) => [atLeast(ratio(m.outbox, m.multi), 0.25)],
    beside: (m) => `${rate(m.outbox)}; libcurl ${rate(m.multi)}; bodies of ${m.outbox[0].bytes} bytes`,
  },
  {
    name: 'profile',
    needs: [],
    work: 'the profile by phone over HTTP with a session, 500 requests a second, while orders come at half the peak',
    against: 'the clock',
    least: 'p99 under 10 ms',
    aim: '',
    figures: (m) => [atMost(of(m.profile, 'p99_ms'), 10, (value) => `${one(value)} ms`)],
    beside: (m) =>
      `p50 ${one(median(of(m.profile, 'p50_ms')))} ms, latest ${one(median(of(m.profile, 'max_ms')))} ms, beside ` +
      `${whole(median(of(m.profile, 'orders')))} orders a second of ${whole(median(of(m.profile, 'peak')))}`,
  },
  {
    name: 'lateness',
    needs: [],
    work: 'lateness of 10,000 steps that fall in one minute, 2,000,000 open follow-ups',
    against: 'the clock',
    least: 'p99 under 1 s',
    aim: '100 ms',
    figures: (m) => [atMost(of(m.lateness, 'p99_ms'), 1000, (value) => `${one(value)} ms`)],
    beside: (m) =>
      `p50 ${one(median(of(m.lateness, 'p50_ms')))} ms, latest ${one(median(of(m.lateness, 'max_ms')))} ms; ` +
      `p99 by /metrics at most ${whole(median(of(m.lateness, 'metric_p99_ms')))} ms`,
  },
  {
    name: 'pace',
    needs: [],
    work: 'the same at 1,000 steps a second',
    against: 'the clock',
    least: 'p99 under 1 s',
    aim: '',
    figures: (m) => [atMost(of(m.pace, 'p99_ms'), 1000, (value) => `${one(value)} ms`)],
    beside: (m) => `p50 ${one(median(of(m.pace, 'p50_ms')))} ms, latest ${one(median(of(m.pace, 'max_ms')))} ms`,
  },
  {
    name: 'claim',
    needs: [],
    work: 'finding, claiming and firing 50 steps that are due among 2,000,000 open follow-ups',
    against: 'the same among 2,000',
    least: 'at most 1.5 times',
    aim: '',
    figures: (m) => [atMost(ratio(m.claim, m.claimFew, 'ms'), 1.5)],
    beside: (m) => `${two(median(of(m.claim, 'ms')))} ms against ${two(median(of(m.claimFew, 'ms')))} ms`,
  },
  {
    name: 'look',
    needs: [],
    work: 'an empty look for due steps after 100,000 claims',
    against: 'the same after VACUUM',
    least: 'at most 2 times',
    aim: '',
    figures: (m) => [atMost(ratio(of(m.look, 'before'), of(m.look, 'after'), 'cursor'), 2)],
    beside: (m) =>
      [['cursor', ''], ['whole', 'over the whole range '], ['first', 'the first of those ']]
        .map(([kind, word]) => [word, ...['before', 'after'].map((when) => median(of(m.look, `${when}.${kind}`)).toFixed(3))])
        .map(([word, before, after]) => `${word}${before} ms against ${after} ms`)
        .join(', '),
  },
];

// As Markdown: a figure that misses what it must reach is in bold and says so.
export function table(chosen, measured) {
  const head = ['work', 'against', 'at least', 'aim for', 'measured', 'figures'];
  const lines = chosen.map((row) => {
    const figures = row.figures(measured).map(({ text, ok }) => (ok ? text : `**${text}, missed**`));
    return [row.work, row.against, row.least, row.aim, figures.join(' and '), row.beside(measured)];
  });
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export const missed = (chosen, measured) => chosen.filter((row) => row.figures(measured).some(({ ok }) => !ok)).map((row) => row.name);
