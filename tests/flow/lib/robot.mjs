// Stand-ins for the robots of WeCom and DingTalk: they answer 200 whatever happens, check what they get as the
// real ones do, and throttle: WeCom refuses what is too much, DingTalk blocks for ten minutes. A minute may be
// made shorter. Each remembers what it took (messages) and how often it had to throttle (throttled).
import { createHmac } from 'node:crypto';
import { Sink } from './sink.mjs';

const json = (value, status = 200) => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});

class Robot {
  // script(n, robot): an answer of the test's own to the n-th request (from 0), or nothing.
  static async start({ minute = 60_000, limit = 20, script = () => undefined, ...more } = {}) {
    const robot = new this();
    Object.assign(robot, { minute, limit, script, messages: [], throttled: 0, times: [] }, more);
    robot.sink = await Sink.start((request, n) => robot.take(request, n));
    return robot;
  }

  take(request, n) {
    const scripted = this.script(n, this);
    if (scripted !== undefined) return typeof scripted === 'object' && !scripted.status ? json(scripted) : scripted;
    if (request.method !== 'POST') return json({ errcode: 40035, errmsg: 'method' });
    const now = Date.now();
    if (this.blockedUntil > now) return this.block();
    this.times = this.times.filter((at) => at > now - this.minute);
    if (this.times.length >= this.limit) return this.block(now);
    const fault = this.fault(request);
    if (fault) return json(fault);
    this.times.push(now);
    this.messages.push({ text: this.text(request.json), json: request.json, at: now });
    return json({ errcode: 0, errmsg: 'ok' });
  }

  close() {
    return this.sink.close();
  }
}

export class WeCom extends Robot {
  key = '693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa';

  url() {
    return this.sink.url(`/cgi-bin/webhook/send?key=${this.key}`);
  }

  block() {
    this.throttled++;
    return json({ errcode: 45009, errmsg: 'api freq out of limit' });
  }

  fault(request) {
    if (new URL(request.path, 'http://x').searchParams.get('key') !== this.key)
      return { errcode: 93000, errmsg: 'invalid webhook url' };
    const content = request.json?.markdown?.content;
    if (request.json?.msgtype !== 'markdown' || typeof content !== 'string') return { errcode: 40008, errmsg: 'type' };
    if (Buffer.byteLength(content) > 4096) return { errcode: 40058, errmsg: 'markdown.content exceed max length 4096' };
  }

  text(body) {
    return body.markdown.content;
  }
}

export class DingTalk extends Robot {
  token = '5f2a7c9e1b3d4f6a8c0e2d4b6a8f0c1e3d5b7a9f';

  url() {
    return this.sink.url(`/robot/send?access_token=${this.token}`);
  }

  block(now) {
    this.throttled++;
    this.blockedUntil ??= now + 10 * this.minute;
    return json({ errcode: 130101, errmsg: 'send too fast, exceed 20 times per minute' });
  }

  fault(request) {
    const query = new URL(request.path, 'http://x').searchParams;
    if (query.get('access_token') !== this.token) return { errcode: 300005, errmsg: 'token is not exist' };
    const timestamp = query.get('timestamp');
    if (this.secret) {
      const sign = createHmac('sha256', this.secret).update(`${timestamp}\n${this.secret}`).digest('base64');
      if (query.get('sign') !== sign || Math.abs(Date.now() - timestamp) > 3_600_000)
        return { errcode: 310000, errmsg: 'sign not match' };
    }
    if (!request.json?.[request.json?.msgtype]?.text) return { errcode: 40035, errmsg: 'missing parameter' };
  }

  text(body) {
    return body[body.msgtype].text;
  }
}
