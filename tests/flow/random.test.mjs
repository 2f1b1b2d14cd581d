// Events with a few bytes changed by chance, in every mode: each gets one answer that the contract knows, and
// the daemon (with its sanitizers) goes on. The seed is printed when it fails and can be given as FLOW_SEED.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { world } from './lib/world.mjs';
import { call, complaint, modes, order } from './lib/events.mjs';

const w = await world();
const seed = Number(process.env.FLOW_SEED ?? Date.now() % 1_000_000);

// A small generator (mulberry32), so that a run can be had again.
let state = seed;
function chance(n) {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) % n;
}

const snippets = [
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '\0',
  '\\u0000',
  '\\ud83d',
  '\xff',
  '\xc3',
  '1e999',
  '-',
  'null',
  'true',
  '""',
  '\n',
  '{"',
  '%',
  ' ',
];

function mutate(text) {
  let bytes = Buffer.from(text);
  for (let n = 1 + chance(4); n > 0; n--) {
    const at = chance(bytes.length + 1);
    const till = Math.min(bytes.length, at + chance(6));
    const put = chance(2) ? Buffer.from(snippets[chance(snippets.length)], 'latin1') : Buffer.from([chance(256)]);
    bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(chance(2) ? at : till)]);
  }
  return bytes;
}

const makers = [
  () =>
    order({
      retailer: 'R1',
      lines: [
        { product: 'A1', cartons: 1 + chance(9) },
        { product: 'X1', cartons: 2 },
      ],
      note: '备注',
    }),
  () => complaint({ caller: '+8615400010001', text: '文字 😀 \u2028', severity: 2, kind: 'report' }),
  () => call('ended', { call: `c${chance(20)}`, seconds: chance(100) }),
];

describe('events changed by chance', () => {
  it('get an answer of the contract, each of 3,000', async () => {
    const kinds = Object.values(modes);
    const seen = {};
    const workers = Array.from({ length: 16 }, async () => {
      for (let n = 0; n < 188; n++) {
        const message = kinds[chance(kinds.length)](makers[chance(makers.length)]());
        const body = mutate(message.body);
        const answer = await w.post({ headers: message.headers, body });
        const known = [200, 400, 409, 413, 415, 422].includes(answer.status);
        assert.ok(known, `seed ${seed}: ${answer.status} ${answer.text} to ${JSON.stringify(body.toString('latin1'))}`);
        if (answer.status !== 200) assert.ok(answer.code);
        seen[answer.status] = (seen[answer.status] ?? 0) + 1;
      }
    });
    await Promise.all(workers);
    assert.ok(seen[200] > 50 && seen[400] > 500, JSON.stringify(seen));
  });
});
