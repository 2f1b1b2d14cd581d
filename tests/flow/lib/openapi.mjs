// The OpenAPI document as the daemon serves it, and answers held against it: each must have a status that its
// operation lists, with the media type and exactly the members that are described there.
import Ajv from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { Client } from './client.mjs';

const methods = ['get', 'post', 'put', 'patch', 'delete'];
const pointer = (...parts) => parts.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

export class Document {
  // One for each world.
  static of(world) {
    return (world.document ??= Document.read(world));
  }

  static async read(world) {
    const client = new Client(world.daemon.console, { ca: world.clientOptions?.ca });
    const answer = await client.get('/api/v1/openapi.json');
    client.close();
    return new Document(answer.json);
  }

  constructor(json) {
    this.json = json;
    this.checks = {};
    this.ajv = new Ajv({ strict: false, allErrors: true });
    formats(this.ajv);
    this.ajv.addSchema(json, 'openapi');
    this.operations = Object.entries(json.paths)
      .filter(([path]) => path.startsWith('/api/v1/'))
      .flatMap(([path, item]) =>
        methods.filter((method) => item[method]).map((method) => new Operation(path, method, item[method], item)),
      )
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  // The operation that takes this request; concrete paths come before those with parameters.
  find(method, path) {
    const wanted = method === 'HEAD' ? 'GET' : method;
    return this.operations.find((one) => one.method === wanted && one.matches(`/api/v1${path.split('?')[0]}`));
  }

  resolve(value, at) {
    if (!value?.$ref) return { value, at };
    const parts = value.$ref.slice(2).split('/');
    return { value: parts.reduce((whole, part) => whole[part], this.json), at: pointer(...parts) };
  }

  // Throws when a value is not as the schema of that name says.
  holdValue(schema, value) {
    const check = (this.checks[schema] ??= this.ajv.compile({ $ref: `openapi#${pointer('components', 'schemas', schema)}` }));
    if (!check(value)) throw new Error(`no ${schema}: ${this.ajv.errorsText(check.errors)}\n${JSON.stringify(value)}`);
  }

  // Throws when the answer is not as the document says.
  hold(method, path, answer) {
    const operation = this.find(method, path);
    if (!operation) return; // a route that nobody described is a 404
    const name = `${operation.id} ${answer.status}`;
    const key = operation.responses[answer.status] ? String(answer.status) : 'default';
    if (!operation.responses[key]) throw new Error(`${name} is not in the OpenAPI document: ${answer.text.slice(0, 500)}`);
    const { value: response, at } = this.resolve(
      operation.responses[key],
      pointer('paths', operation.path, operation.method.toLowerCase(), 'responses', key),
    );
    const type = answer.headers['content-type']?.split(';')[0];
    if (!response.content) {
      if (answer.bytes.length) throw new Error(`${name} has a body, but none is described: ${answer.text.slice(0, 500)}`);
      return;
    }
    if (!response.content[type]) throw new Error(`${name} is ${type}, not ${Object.keys(response.content)}`);
    if (!/json$/.test(type) || method === 'HEAD') return;
    const check = this.ajv.compile({ $ref: `openapi#${at}${pointer('content', type, 'schema')}` });
    if (!check(answer.json)) {
      const faults = check.errors.map((one) => `${one.instancePath || '/'} ${one.message} ${JSON.stringify(one.params)}`);
      throw new Error(`${name} is not as described: ${faults.slice(0, 5).join('; ')}\n${answer.text.slice(0, 1000)}`);
    }
  }
}

class Operation {
  constructor(path, method, said, item) {
    Object.assign(this, { path, method: method.toUpperCase(), id: said.operationId, responses: said.responses, said });
    this.roles = said['x-roles'];
    this.parameters = [...(item.parameters ?? []), ...(said.parameters ?? [])];
    this.names = [...path.matchAll(/\{([^}]+)\}/g)].map((found) => found[1]);
    this.pattern = new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`);
  }

  matches(path) {
    return this.pattern.test(path);
  }
}
