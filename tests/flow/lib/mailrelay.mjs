// A stand-in for a mail relay: SMTP as RFC 5321 has it, with the refusals of a test. It remembers the mails it
// took, decoded, and what it was told.
import net from 'node:net';
import { once } from 'node:events';

export class MailRelay {
  // refuse(verb, n, argument): a whole reply instead of the usual one, 'drop' to reset the connection, 'hang' to
  // say nothing any more, or nothing; verb is EHLO, AUTH, MAIL, RCPT, DATA or END (of the content), n counts each verb.
  static async start({ refuse = () => undefined, user } = {}) {
    const relay = new MailRelay(refuse, user);
    relay.server.listen(0, '127.0.0.1');
    await once(relay.server, 'listening');
    relay.url = `smtp://127.0.0.1:${relay.server.address().port}`;
    return relay;
  }

  constructor(refuse, user) {
    Object.assign(this, { refuse, user, mails: [], tries: [], counts: {}, sockets: new Set() });
    this.server = net.createServer((socket) => this.talk(socket));
  }

  talk(socket) {
    const mail = {};
    let rest = '';
    let content;
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => {});
    socket.setEncoding('latin1');
    const say = (line) => socket.write(`${line}\r\n`, 'latin1');
    const step = (verb, argument, usual) => {
      const n = (this.counts[verb] = (this.counts[verb] ?? 0) + 1) - 1;
      const instead = this.refuse(verb, n, argument);
      if (instead === 'drop') return void socket.resetAndDestroy();
      if (instead === 'hang') return;
      if (instead) return say(instead);
      usual();
    };
    let awaited; // what takes the next line instead of a command
    const logIn = (response) => {
      const [, user, password] = Buffer.from(response, 'base64').toString().split('\0');
      mail.user = user;
      say(user === this.user?.name && password === this.user?.password ? '235 2.7.0 ok' : '535 5.7.8 no');
    };
    const commands = {
      EHLO: () => ['250-relay.test', ...(this.user ? ['250-AUTH PLAIN LOGIN'] : []), '250 8BITMIME'].forEach(say),
      HELO: () => say('250 relay.test'),
      AUTH: (argument) => {
        const [mechanism, response] = argument.split(' ');
        if (mechanism !== 'PLAIN') return void say('504 5.5.4 only PLAIN');
        if (response) return void logIn(response);
        awaited = logIn;
        say('334 ');
      },
      MAIL: (argument) => {
        mail.from = /<(.*)>/.exec(argument)?.[1];
        say('250 2.1.0 ok');
      },
      RCPT: (argument) => {
        mail.to = /<(.*)>/.exec(argument)?.[1];
        say('250 2.1.5 ok');
      },
      DATA: () => {
        content = [];
        say('354 go on');
      },
      QUIT: () => socket.end('221 bye\r\n'),
    };
    say('220 relay.test ESMTP');
    socket.on('data', (part) => {
      rest += part;
      for (let end; (end = rest.indexOf('\r\n')) >= 0; ) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 2);
        if (awaited) {
          const take = awaited;
          awaited = undefined;
          take(line);
        } else if (content && line === '.') {
          const read = { ...mail, ...readMail(content) };
          content = undefined;
          this.tries.push(read);
          step('END', '', () => {
            this.mails.push(read);
            say('250 2.0.0 queued');
          });
        } else if (content) {
          content.push(line.startsWith('.') ? line.slice(1) : line);
          if (this.refuse('LINE', content.length, line) === 'drop') return void socket.resetAndDestroy();
        } else {
          const verb = line.slice(0, 4).toUpperCase();
          if (!commands[verb]) say('502 5.5.1 what');
          else if (verb === 'QUIT') commands.QUIT();
          else step(verb, line.slice(5), () => commands[verb](line.slice(5)));
        }
      }
    });
  }

  async close() {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }
}

// Headers by small name, unfolded and decoded (RFC 2047); the text out of its base64.
function readMail(lines) {
  const gap = lines.indexOf('');
  const headers = {};
  const head = lines.slice(0, gap).join('\r\n').replace(/\r\n[ \t]+/g, ' ');
  for (const line of head.split('\r\n')) {
    const [, name, value] = /^([!-9;-~]+):\s*(.*)$/.exec(line);
    headers[name.toLowerCase()] = value
      .replace(/\?= =\?/g, '?==?')
      .replace(/=\?UTF-8\?B\?(.*?)\?=/g, (_, word) => Buffer.from(word, 'base64').toString('utf8'));
  }
  const text = Buffer.from(lines.slice(gap + 1).join(''), 'base64').toString('utf8');
  return { headers, text, raw: lines };
}
