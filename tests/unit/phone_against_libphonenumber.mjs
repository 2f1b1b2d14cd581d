// Compares common/phone with libphonenumber: valid Chinese numbers in many spellings, each read by both, and
// random digits of which libphonenumber says that they are a Chinese number. Closes with "N passed, N failed".
// usage: phone_against_libphonenumber.mjs PEER [SEED]   PEER: the program made of tests/peers/phone.c
import { spawnSync } from 'node:child_process';
import { parsePhoneNumberFromString } from 'libphonenumber-js/max';

const [peer, seedText = '20261121'] = process.argv.slice(2);
if (!peer) {
  console.error('usage: phone_against_libphonenumber.mjs PEER [SEED]');
  process.exit(2);
}

// A small generator of our own, so that a failure can be repeated from its seed.
let state = Number(seedText) >>> 0;
function random(below) {
  state = (state + 0x6d2b79f5) >>> 0;
  let x = Math.imul(state ^ (state >>> 15), state | 1);
  x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
  return ((x ^ (x >>> 14)) >>> 0) % below;
}
const pick = (list) => list[random(list.length)];
const digits = (n) => Array.from({ length: n }, () => random(10)).join('');

const reading = (text) => parsePhoneNumberFromString(text, 'CN');
const isChinese = (number) => number?.country === 'CN' && number.isValid();

function ours(texts) {
  const run = spawnSync(peer, { input: texts.join('\n') + '\n', encoding: 'utf8', maxBuffer: 1 << 26 });
  if (run.status !== 0) throw new Error(`${peer}: ${run.error ?? run.stderr}`);
  return run.stdout.split('\n').slice(0, texts.length);
}

// Numbers as their parts, without the trunk zero: [area or prefix, subscriber].
const kinds = {
  mobile: () => ['', '1' + (3 + random(7)) + digits(9)],
  city: () => [pick(['10', '20', '21', '22', '23', '24', '25', '27', '28', '29']), digits(8)],
  town7: () => [String(310 + random(690)), digits(7)],
  town8: () => [String(310 + random(690)), digits(8)],
  free: () => [pick(['400', '800']), digits(7)],
};

function validNumber(kind) {
  for (;;) {
    const parts = kinds[kind]();
    const number = reading('+86' + parts.join(''));
    // libphonenumber also knows service numbers inside an area (010-95xxx and the like); here only telephones
    if (isChinese(number) && ['MOBILE', 'FIXED_LINE', 'TOLL_FREE', 'SHARED_COST'].includes(number.getType()))
      return { kind, area: parts[0], rest: parts[1], e164: '+86' + parts.join('') };
  }
}

const isLandline = (n) => n.area !== '' && n.kind !== 'free';
const trunk = (n) => (isLandline(n) ? '0' : '') + n.area;
const split = (text) => {
  if (text.length === 7) return [text.slice(0, 3), text.slice(3)];
  if (text.length === 8) return [text.slice(0, 4), text.slice(4)];
  return [text.slice(0, 3), text.slice(3, 7), text.slice(7)];
};
const national = (n, dash) => [trunk(n), ...split(n.rest)].filter(Boolean).join(dash);
const wide = (text) => text.replace(/[0-9+()-]/g, (c) => String.fromCodePoint(c.codePointAt(0) + 0xfee0));

// Spellings that both must read. only: numbers that are spelled so.
const spellings = {
  'plain': (n) => trunk(n) + n.rest,
  'blanks': (n) => national(n, ' '),
  'dashes': (n) => national(n, '-'),
  'dots': (n) => national(n, '.'),
  'en dashes': (n) => national(n, '–'),
  'no-break spaces': (n) => national(n, '\u00a0'),
  'ideographic spaces': (n) => national(n, '\u3000'),
  'area and dash': (n) => [trunk(n), n.rest].filter(Boolean).join('-'),
  'area in brackets': (n) => (n.area ? `(${trunk(n)}) ` : '') + n.rest,
  'area in full-width brackets': (n) => (n.area ? `（${trunk(n)}）` : '') + n.rest,
  'E.164': (n) => n.e164,
  'country and blanks': (n) => '+86 ' + [n.area, ...split(n.rest)].filter(Boolean).join(' '),
  'country and dashes': (n) => '+86-' + [n.area, n.rest].filter(Boolean).join('-'),
  'country in brackets': (n) => '(+86) ' + n.area + n.rest,
  'dialled from China': (n) => '0086' + n.area + n.rest,
  'dialled with dashes': (n) => '00-86-' + [n.area, n.rest].filter(Boolean).join('-'),
  'full-width': (n) => wide(national(n, '-')),
  'full-width E.164': (n) => wide(n.e164),
  'trunk zero kept': (n) => '+86 ' + trunk(n) + ' ' + n.rest,
  'extension x': (n) => trunk(n) + n.rest + ' x' + digits(3),
  'extension ext.': (n) => trunk(n) + n.rest + ' ext. ' + digits(4),
  'extension #': (n) => trunk(n) + n.rest + '#' + digits(3),
  'tel': (n) => 'tel:' + n.e164,
};

// Spellings that libphonenumber does not read, or reads as something else; ours must read them all the same.
const oursAlone = {
  'country without plus': (n) => '86' + n.area + n.rest, // it takes 86 for a part of the number when that is long enough
  'country without plus, dash': (n) => '86-' + [n.area, n.rest].filter(Boolean).join('-'), // likewise
  'extension 转': (n) => trunk(n) + n.rest + '转' + digits(3), // a Chinese word: it stops there or finds nothing
  'extension 分机': (n) => trunk(n) + n.rest + ' 分机 ' + digits(4), // likewise
  'extension behind a dash': (n) => [trunk(n), n.rest].filter(Boolean).join('-') + '-' + digits(3), // it adds the digits
  'zero before a mobile': (n) => (n.kind === 'mobile' ? '0' : '') + trunk(n) + n.rest, // out of use since 2011 or so
  'SIP': (n) => `sip:${n.e164}@gateway.invalid;user=phone`, // it reads telephone numbers, not SIP
  'From header': (n) => `"A" <sip:${trunk(n)}${n.rest}@192.0.2.1>;tag=1`, // likewise
};

const tests = new Map(); // a test for each spelling and reader; to the examples of where it failed
function check(good, test, example) {
  if (!tests.has(test)) tests.set(test, []);
  if (!good) tests.get(test).push(example);
}

function compareSpellings(count) {
  const rows = [];
  for (const kind of Object.keys(kinds)) {
    for (let i = 0; i < count; i++) {
      const number = validNumber(kind);
      for (const [style, spell] of Object.entries(spellings)) rows.push({ number, style, text: spell(number), both: true });
      for (const [style, spell] of Object.entries(oursAlone)) rows.push({ number, style, text: spell(number) });
    }
  }
  const answers = ours(rows.map((row) => row.text));
  rows.forEach((row, i) => {
    const { e164 } = row.number;
    check(answers[i] === e164, `ours: ${row.style}`, `${row.text} became ${answers[i] || 'nothing'}`);
    if (!row.both) return;
    const theirs = reading(row.text)?.number;
    check(theirs === e164, `libphonenumber: ${row.style}`, `${row.text} became ${theirs}`);
  });
  return rows.length;
}

// Numbers that libphonenumber calls valid and that are none of ours, each with its reason.
const excluded = [
  // 10086 or 95xxx of an area, without the trunk zero: ours takes such digits for a local number; with the zero both agree
  (text, theirs) => !text.startsWith('0') && /^\+86(10|2\d|\d{3})(100\d\d|9[56]\d{3,4})$/.test(theirs),
  (text, theirs) => /^\+861010\d{4,5}$/.test(theirs), // shared cost numbers: called, but nobody calls from them
  (text, theirs) => /^\+8616\d{6}$/.test(theirs), // premium rate numbers: likewise
  (text, theirs) => /^\+8610800\d{7}$/.test(theirs), // freephone numbers of foreign companies: likewise
  (text, theirs) => /^\+86[3-9]\d\d12\d\d$/.test(theirs), // services of four digits in a few towns: likewise
];

function compareRandom(count) {
  const texts = [];
  while (texts.length < count) {
    const text = pick(['', '0', '0' + (310 + random(690)), '1', '010', '02' + random(10), '400', '800']) + digits(4 + random(8));
    if (isChinese(reading(text))) texts.push(text);
  }
  const answers = ours(texts);
  let left = 0;
  texts.forEach((text, i) => {
    const theirs = reading(text).number;
    if (excluded.some((is) => is(text, theirs))) return void left++;
    check(answers[i] === theirs, 'random digits', `${text}: ours ${answers[i] || 'nothing'}, theirs ${theirs}, ${reading(text).getType()}`);
  });
  return [texts.length, left];
}

const spelled = compareSpellings(60);
const [drawn, left] = compareRandom(4000);
console.log(`phone: ${spelled} spellings, ${drawn} random numbers of which ${left} are excluded, seed ${seedText}`);
const failures = [...tests].filter(([, examples]) => examples.length);
for (const [test, examples] of failures)
  console.log(`not ok ${test}: ${examples.length}, such as ${examples.slice(0, 3).join('; ')}`);
console.log(`${tests.size - failures.length} passed, ${failures.length} failed`);
process.exit(failures.length ? 1 : 0);
