// Events as a gateway would make them, in the three modes of CloudEvents, and Standard Webhooks signatures
// made independently of the product and of the SDK.
import { createHmac, randomUUID } from 'node:crypto';

export const types = {
  order: 'ringback.order.placed',
  complaint: 'ringback.complaint.raised',
  ringing: 'ringback.call.ringing',
  answered: 'ringback.call.answered',
  ended: 'ringback.call.ended',
};

// over: attributes to change or add; undefined takes one away.
export function event(type, data, over = {}) {
  const whole = { specversion: '1.0', id: randomUUID(), source: '/test/pbx', type, data, ...over };
  return Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined));
}

export const order = (data, over) => event(types.order, data, over);
export const complaint = (data, over) => event(types.complaint, data, over);
export const call = (state, data, over) =>
  event(types[state], { direction: 'inbound', from: '15400009999', to: '12313', ...data }, over);

// Every character that binary mode wants encoded in a header, and no other.
export function percentEncode(text) {
  return text.replace(/[^\x21-\x7e]|["%]/gu, (c) =>
    [...Buffer.from(c)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

export function structured(event, contentType = 'application/cloudevents+json; charset=utf-8') {
  return { headers: { 'content-type': contentType }, body: JSON.stringify(event) };
}

export function binary({ data, datacontenttype, ...attributes }) {
  const headers = Object.fromEntries(
    Object.entries(attributes)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [`ce-${name}`, percentEncode(String(value))]),
  );
  return { headers: { 'content-type': datacontenttype ?? 'application/json', ...headers }, body: JSON.stringify(data) };
}

export function batched(events, contentType = 'application/cloudevents-batch+json') {
  return { headers: { 'content-type': contentType }, body: JSON.stringify(events) };
}

export const modes = { binary, structured, batched: (one) => batched([one]) };

// The headers of a signed request; several secrets make several signatures.
export function signed(
  secret,
  body = '',
  { id = `msg_${randomUUID()}`, at = Math.floor(Date.now() / 1000), more = [] } = {},
) {
  const sign = (key) =>
    `v1,${createHmac('sha256', Buffer.from(key.replace(/^whsec_/, ''), 'base64'))
      .update(`${id}.${at}.`)
      .update(body)
      .digest('base64')}`;
  return {
    'webhook-id': id,
    'webhook-timestamp': String(at),
    'webhook-signature': [...more, sign(secret)].join(' '),
  };
}

// Damm's check over the published quasigroup of order 10: 0 for a number that holds.
const damm = [
  '0317598642',
  '7092154863',
  '4206871359',
  '1750983426',
  '6123045978',
  '3674209581',
  '5869720134',
  '8945362017',
  '9438617205',
  '2581436790',
];

export function validReference(text) {
  return /^[1-9]\d{9}$/.test(text) && [...text].reduce((interim, digit) => Number(damm[interim][digit]), 0) === 0;
}
