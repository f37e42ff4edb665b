import { createHash } from 'node:crypto';
import { derOf, integer, N, sequence, tlv } from '../test/assertion/der.ts';

/** Ten well-formed signatures, the same ones in every run: pairs of numbers in 1..n-1. */
export const signatures = Array.from({ length: 10 }, (_, index) => ({
  r: scalar(`r ${index}`),
  s: scalar(`s ${index}`),
}));

function scalar(seed: string): bigint {
  return (BigInt(`0x${createHash('sha256').update(seed).digest('hex')}`) % (N - 1n)) + 1n;
}

const bytes = (...values: number[]) => Buffer.from(values);
const hex = (value: bigint) => value.toString(16).padStart(64, '0');
const raw = (text: string) => tlv(0x02, Buffer.from(text, 'hex'));

/** What is wrong, and how it is made of a good signature. None of them may pass for one (X.690 section 10, SEC 1). */
const kinds: Record<string, (r: bigint, s: bigint) => Buffer> = {
  'a byte behind it': (r, s) => Buffer.concat([derOf(r, s), bytes(0)]),
  'a byte behind s, inside': (r, s) => sequence(integer(r), integer(s), bytes(0)),
  'a NULL behind s, inside': (r, s) => sequence(integer(r), integer(s), bytes(5, 0)),
  'a third INTEGER': (r, s) => sequence(integer(r), integer(s), integer(1n)),
  'no s': (r) => sequence(integer(r)),
  'an empty SEQUENCE': () => sequence(),
  'no bytes': () => Buffer.alloc(0),
  'SEQUENCE length in the long form': (r, s) => {
    const body = Buffer.concat([integer(r), integer(s)]);
    return Buffer.concat([bytes(0x30, 0x81, body.length), body]);
  },
  'SEQUENCE length in the longer form': (r, s) => {
    const body = Buffer.concat([integer(r), integer(s)]);
    return Buffer.concat([bytes(0x30, 0x82, 0, body.length), body]);
  },
  'INTEGER length in the long form': (r, s) => {
    const short = integer(r).subarray(2);
    return sequence(bytes(0x02, 0x81, short.length), short, integer(s));
  },
  'an indefinite length': (r, s) => Buffer.concat([bytes(0x30, 0x80), integer(r), integer(s), bytes(0, 0)]),
  'SEQUENCE length short by one': (r, s) => changed(derOf(r, s), 1, -1),
  'SEQUENCE length long by one': (r, s) => changed(derOf(r, s), 1, 1),
  'r length long by one': (r, s) => changed(derOf(r, s), 3, 1),
  'r zero': (_, s) => derOf(0n, s),
  's zero': (r) => derOf(r, 0n),
  'r of no bytes': (_, s) => sequence(bytes(0x02, 0), integer(s)),
  's of no bytes': (r) => sequence(integer(r), bytes(0x02, 0)),
  'r negative': (r, s) => sequence(raw(`ff${hex(r)}`), integer(s)),
  's negative': (r) => sequence(integer(r), raw('8000')),
  'r without the zero byte before a high bit': (r, s) => sequence(raw(hex(r | (1n << 255n))), integer(s)),
  'r padded with a zero byte': (r, s) => sequence(raw(`0000${hex(r)}`), integer(s)),
  's padded with a zero byte': (r, s) => sequence(integer(r), raw(`0000${hex(s)}`)),
  's padded with five zero bytes': (r, s) => sequence(integer(r), raw(`0000000000${hex(s)}`)),
  'r = n': (_, s) => derOf(N, s),
  's = n': (r) => derOf(r, N),
  'r = n + 1': (_, s) => derOf(N + 1n, s),
  's = 2^256 - 1': (r) => derOf(r, (1n << 256n) - 1n),
  'r of 33 bytes': (_, s) => derOf(1n << 256n, s),
  'integers of P-384 size': (r, s) => derOf((r << 128n) | 1n, (s << 128n) | 1n),
  'a SET': (r, s) => tlv(0x31, Buffer.concat([integer(r), integer(s)])),
  'a primitive SEQUENCE': (r, s) => tlv(0x10, Buffer.concat([integer(r), integer(s)])),
  'a context tag': (r, s) => tlv(0xa0, Buffer.concat([integer(r), integer(s)])),
  'an OCTET STRING around it': (r, s) => tlv(0x04, derOf(r, s)),
  'a SEQUENCE around it': (r, s) => sequence(derOf(r, s)),
  'r an OCTET STRING': (r, s) => sequence(tlv(0x04, integer(r).subarray(2)), integer(s)),
  's a BOOLEAN': (r) => sequence(integer(r), tlv(0x01, bytes(0xff))),
  'r a constructed INTEGER': (r, s) => sequence(tlv(0x22, integer(r)), integer(s)),
  'cut off in the middle': (r, s) => derOf(r, s).subarray(0, 40),
  'cut off by one byte': (r, s) => derOf(r, s).subarray(0, -1),
  'a raw signature': (r, s) => Buffer.from(hex(r) + hex(s), 'hex'),
  'base64 text of one': (r, s) => Buffer.from(derOf(r, s).toString('base64')),
  HTML: () => Buffer.from('<html><body>502 Bad Gateway</body></html>'),
};

function changed(der: Buffer, position: number, by: number): Buffer {
  der.writeUInt8(der.readUInt8(position) + by, position);
  return der;
}

/** Every kind made of every signature. */
export const malformed = Object.entries(kinds).flatMap(([kind, make]) =>
  signatures.map(({ r, s }) => ({ kind, der: make(r, s) })),
);
