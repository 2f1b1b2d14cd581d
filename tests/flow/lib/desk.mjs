// Somebody at the console. Every template has an account for each of its people, named like the person in lower
// case (am1, mm1, s1, op1, in1, dv1 of tests/flow/data), and "admin"; all have the password below.
//
//   const am1 = await atDesk(w, 'am1');                     // logged in; w: a world
//   const answer = await am1.get('/follow-ups?state=open'); // paths below /api/v1; answer.status, .json, .headers
//   await am1.patch(`/follow-ups/${id}`, { … }, { etag: answer.headers.etag }); // If-Match; also post, put, del
//   assert.equal((await am1.get('/x')).code, 'not-found');  // the code of a problem document
//
// Options: etag; headers; csrf: false leaves X-CSRF-Token out; cookie: false the session; check: false does not
// hold the answer against the OpenAPI document, which is done to every answer otherwise: an undocumented status,
// media type or member fails the test.
import { Client } from './client.mjs';
import { Document } from './openapi.mjs';

export const password = 'a good password';

export async function atDesk(world, name, { as = password, headers = {} } = {}) {
  const desk = new Desk(world, name);
  const answer = await desk.logIn(as, { headers });
  if (answer.status !== 200) throw new Error(`${name} cannot log in: ${answer.status} ${answer.text}`);
  return desk;
}

export class Desk {
  constructor(world, name) {
    this.world = world;
    this.name = name;
    this.client = new Client(world.daemon.console, { sockets: 16, ca: world.clientOptions?.ca });
    world.clients.push(this.client);
  }

  // {name, role, person, csrf} and the cookie stay with this desk.
  async logIn(as = password, options = {}) {
    const answer = await this.post('/session', { name: this.name, password: as }, { cookie: false, ...options });
    if (answer.status === 200) {
      this.session = answer.json;
      this.cookie = answer.headers['set-cookie'][0].split(';')[0];
    }
    return answer;
  }

  async ask(method, path, { body, etag, headers = {}, csrf = true, cookie = true, check = true, timeout } = {}) {
    const all = {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(cookie && this.cookie && { cookie: this.cookie }),
      ...(csrf && this.session && method !== 'GET' && method !== 'HEAD' && { 'x-csrf-token': this.session.csrf }),
      ...(etag && { 'if-match': etag }),
      ...headers,
    };
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await this.client.request(method, `/api/v1${path}`, { headers: all, body: text, timeout });
    if (check) (await Document.of(this.world)).hold(method, path, answer);
    return answer;
  }

  get(path, options) {
    return this.ask('GET', path, options);
  }

  post(path, body, options) {
    return this.ask('POST', path, { body, ...options });
  }

  put(path, body, options) {
    return this.ask('PUT', path, { body, ...options });
  }

  patch(path, body, options) {
    return this.ask('PATCH', path, { body, ...options });
  }

  del(path, options) {
    return this.ask('DELETE', path, options);
  }
}
