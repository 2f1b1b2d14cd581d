// A Kamailio with the project's own configuration (gateways/kamailio) and settings for a test, on loopback.
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../flow/lib/paths.mjs';
import { must } from '../../flow/lib/program.mjs';
import { eventually } from '../../flow/lib/eventually.mjs';

// A UDP port that nobody has at the moment.
export async function freePort(address) {
  const socket = createSocket('udp4');
  await new Promise((done) => socket.bind(0, address, done));
  const { port } = socket.address();
  await new Promise((done) => socket.close(done));
  return port;
}

// Sends one SIP request from an address; gives the status of the first answer, or 0 when none came in time.
export async function ask(from, to, method, user, within = 300) {
  const socket = createSocket('udp4');
  await new Promise((done) => socket.bind(0, from, done));
  const mark = crypto.randomUUID();
  const lines = [
    `${method} sip:${user}@${to.address}:${to.port} SIP/2.0`,
    `Via: SIP/2.0/UDP ${from}:${socket.address().port};branch=z9hG4bK-${mark}`,
    `From: <sip:15410000000@stranger.test>;tag=${mark}`,
    `To: <sip:${user}@gateway.test>`,
    `Call-ID: ${mark}`,
    `CSeq: 1 ${method}`,
    `Contact: <sip:15410000000@${from}:${socket.address().port}>`,
    'Max-Forwards: 5',
    'Content-Length: 0',
  ];
  const answer = once(socket, 'message').then(([bytes]) => Number(/^SIP\/2\.0 (\d{3})/.exec(bytes)?.[1]));
  socket.send(`${lines.join('\r\n')}\r\n\r\n`, to.port, to.address);
  const status = await Promise.race([answer, new Promise((done) => setTimeout(() => done(0), within))]);
  socket.close();
  return status;
}

export class Kamailio {
  // settings: {url, key, source, numbers, pbx: {address, port}, trunk: {address, port}}. log: file for what it says.
  static async start(settings, log) {
    const kamailio = new Kamailio();
    kamailio.folder = await mkdtemp(join(tmpdir(), 'ringback-kamailio-'));
    kamailio.address = '127.0.0.1';
    kamailio.port = await freePort(kamailio.address);
    kamailio.log = log;
    for (const name of ['kamailio.cfg', 'ringback.cfg'])
      await copyFile(join(root, 'gateways/kamailio', name), join(kamailio.folder, name));
    await writeFile(join(kamailio.folder, 'settings.cfg'), kamailio.settings(settings));
    await kamailio.run();
    return kamailio;
  }

  settings({ url, key, source, numbers, pbx, trunk }) {
    return [
      `#!define RINGBACK_URL "${url}"`,
      `#!define RINGBACK_KEY "${key}"`,
      `#!define RINGBACK_SOURCE "${source}"`,
      `#!define RINGBACK_NUMBERS "${numbers}"`,
      `listen=udp:${this.address}:${this.port}`,
      `#!define PBX_ADDRESS "${pbx.address}"`,
      `#!define PBX_PORT "${pbx.port}"`,
      `#!define TRUNK_ADDRESS "${trunk.address}"`,
      `#!define TRUNK_PORT "${trunk.port}"`,
      '',
    ].join('\n');
  }

  async run() {
    const state = join(this.folder, 'run');
    await mkdir(state);
    const args = ['-f', join(this.folder, 'kamailio.cfg'), '-DD', '-E', '-Y', state, '-m', '64', '-M', '8'];
    this.child = spawn('kamailio', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.said = [];
    this.child.stderr.on('data', (bytes) => this.said.push(bytes));
    this.exited = once(this.child, 'close').then(([code, signal]) => (this.ended = { code, signal }));
    await eventually(
      async () => {
        if (this.ended) throw new Error(`kamailio ended: ${JSON.stringify(this.ended)}\n${this.words}`);
        return (await ask('127.0.0.1', this, 'OPTIONS', 'ping')) === 200;
      },
      { timeout: 15_000, what: 'kamailio answers' },
    );
  }

  get words() {
    return Buffer.concat(this.said).toString();
  }

  // Lines that it logged as wrong, but for those of an HTTP connection that ended early.
  get faults() {
    return this.words.split('\n').filter((line) => /\b(ERROR|CRITICAL|ALERT|BUG)\b(?!.*curl \(52\))/.test(line));
  }

  // Events that wait to be sent, as an administrator asks for them.
  async waiting() {
    const control = `unix:${join(this.folder, 'run', 'kamailio_ctl')}`;
    const { stdout } = await must('kamcmd', ['-s', control, 'mqueue.get_size', 'ringback']);
    return Number(/size: (\d+)/.exec(stdout)[1]);
  }

  async stop() {
    this.child.kill('SIGTERM');
    const hurry = setTimeout(() => this.child.kill('SIGKILL'), 8_000);
    await this.exited;
    clearTimeout(hurry);
    await writeFile(this.log, this.words);
    await rm(this.folder, { recursive: true, force: true });
  }
}
