// The comparator: intake as one would write it with Fastify and node-postgres. Two workers with a pool of eight
// connections each take orders in binary mode, check key and form, and call the same write function once for each
// request. Prints the port once both listen; ends with its standard input.
// environment: DATABASE (JSON for pg), KEY, BRANCH, GATEWAY
import cluster from 'node:cluster';
import { createHash, timingSafeEqual } from 'node:crypto';
import Fastify from 'fastify';
import pg from 'pg';

const { DATABASE, KEY, BRANCH, GATEWAY } = process.env;
const workers = 2;

const line = {
  type: 'object',
  required: ['product', 'cartons'],
  properties: { product: { type: 'string', minLength: 1 }, cartons: { type: 'integer', minimum: 1, maximum: 100000 } },
};
const schema = {
  headers: {
    type: 'object',
    required: ['ce-specversion', 'ce-type', 'ce-source', 'ce-id'],
    properties: { 'ce-specversion': { const: '1.0' }, 'ce-type': { const: 'ringback.order.placed' } },
  },
  body: {
    type: 'object',
    required: ['retailer', 'lines'],
    properties: {
      retailer: { type: 'string', minLength: 1 },
      lines: { type: 'array', minItems: 1, maxItems: 200, items: line },
    },
  },
};

const statement = {
  name: 'take_events',
  text: `SELECT outcome, answer, code, errors FROM take_events(${Array.from({ length: 41 }, (_, i) => `$${i + 1}`).join(', ')})`,
};
const unused = Array(22).fill('{}'); // the columns of complaints and calls

function parameters(headers, data, text) {
  const head = `{"outcome":"accepted","source":${JSON.stringify(headers['ce-source'])},"event":${JSON.stringify(headers['ce-id'])}`;
  return [
    [BRANCH], [GATEWAY], [headers['ce-source']], [headers['ce-id']], [createHash('md5').update(text).digest()],
    [headers['ce-type']], [headers['ce-time'] ?? null], [head], [text],
    '{1}', [data.retailer], '{NULL}', [data.call ?? null], [data.operator ?? null], [data.note ?? null],
    data.lines.map(() => 1), data.lines.map((_, i) => i + 1), data.lines.map((l) => l.product),
    data.lines.map((l) => l.cartons),
    ...unused,
  ];
}

async function work() {
  const pool = new pg.Pool({ ...JSON.parse(DATABASE), max: 8 });
  const expected = Buffer.from(`Bearer ${KEY}`);
  const app = Fastify({ logger: false });
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, text, done) => {
    request.text = text;
    try {
      done(null, JSON.parse(text));
    } catch (error) {
      done(Object.assign(error, { statusCode: 400 }));
    }
  });
  app.addHook('onRequest', async (request, reply) => {
    const given = Buffer.from(request.headers.authorization ?? '');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return reply.code(401).send();
  });
  app.post('/v1/events', { schema }, async (request, reply) => {
    const { rows } = await pool.query({ ...statement, values: parameters(request.headers, request.body, request.text) });
    const [{ outcome, answer, code, errors }] = rows;
    if (outcome === 'accepted' || outcome === 'replayed') return reply.type('application/json').send(answer);
    return reply.code(outcome === 'conflict' ? 409 : 422).send({ code, errors: JSON.parse(errors) });
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
}

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', (worker, { port }) => {
    if (++listening === workers) console.log(JSON.stringify({ port, pids: Object.values(cluster.workers).map((w) => w.process.pid) }));
  });
  cluster.on('exit', () => process.exit(1));
  for (let i = 0; i < workers; i++) cluster.fork();
  process.stdin.resume().on('end', () => process.exit(0));
} else {
  process.on('disconnect', () => process.exit(0));
  await work();
}
