import { createHash, generateKeyPairSync, sign, verify, webcrypto } from 'node:crypto';
import * as fc from 'fast-check';
import { CompactSign, compactVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { derToRaw } from '../../src/assertion/der-signature.ts';
import { BrokerError } from '../../src/errors.ts';
import { everythingPrintedOf, leakIn } from '../support/leaks.ts';
import { derOf, integer, integersOf, N, rawOf, sequence, tlv } from './der.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signDer = (message: Uint8Array) => sign('sha256', message, { key: privateKey, dsaEncoding: 'der' });
const scalar = fc.bigInt({ min: 1n, max: N - 1n });

/** What derToRaw makes of some bytes: 64 bytes, or a refusal. Anything else it throws fails the test. */
function outcome(der: Uint8Array): Buffer | 'refused' {
  try {
    return derToRaw(der);
  } catch (error) {
    if (!(error instanceof BrokerError) || error.code !== 'SIGNATURE_MALFORMED') throw error;
    return 'refused';
  }
}

describe('a signature that KMS makes', () => {
  it('verifies as a JWS signature under Node and under WebCrypto, thousands of times over', async () => {
    const webKey = await webcrypto.subtle.importKey(
      'spki',
      publicKey.export({ type: 'spki', format: 'der' }),
      { name: 'ECDSA', namedCurve: 'P-256' },
      false,
      ['verify'],
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (message) => {
        const raw = derToRaw(signDer(message));
        expect(raw).toHaveLength(64);
        expect(verify('sha256', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, raw)).toBe(true);
        const webAlgorithm = { name: 'ECDSA', hash: 'SHA-256' };
        expect(
          await webcrypto.subtle.verify(webAlgorithm, webKey, Uint8Array.from(raw), Uint8Array.from(message)),
        ).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  it('is a JWS that jose accepts, and no other message passes under it', async () => {
    const header = Buffer.from('{"alg":"ES256"}').toString('base64url');
    const jws = (payload: string, signature: Buffer) => `${header}.${payload}.${signature.toString('base64url')}`;
    const [payload, other] = ['pay this', 'pay that'].map((text) => Buffer.from(text).toString('base64url'));
    const raw = derToRaw(signDer(Buffer.from(`${header}.${payload}`)));
    await expect(compactVerify(jws(String(payload), raw), publicKey)).resolves.toBeDefined();
    await expect(compactVerify(jws(String(other), raw), publicKey)).rejects.toThrow('signature verification failed');
  });

  it('keeps the zero bytes in front of a short r or s', () => {
    const shortened = { r: 0, s: 0 };
    // One signature in 256 has a short r, and as many a short s: both are found after some hundred.
    for (let count = 0; shortened.r < 3 || shortened.s < 3; count += 1) {
      const message = Buffer.from(`message ${count}`);
      const raw = derToRaw(signDer(message));
      if (raw[0] !== 0 && raw[32] !== 0) continue;
      shortened.r += raw[0] === 0 ? 1 : 0;
      shortened.s += raw[32] === 0 ? 1 : 0;
      expect(verify('sha256', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, raw)).toBe(true);
    }
  });

  it('gives back exactly its two integers, whatever their length', () => {
    fc.assert(
      fc.property(
        fc.tuple(scalar, scalar, fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 255 })),
        ([bigR, bigS, cutR, cutS]) => {
          const [r, s] = [bigR >> BigInt(cutR) || 1n, bigS >> BigInt(cutS) || 1n];
          expect(derToRaw(derOf(r, s))).toEqual(rawOf(r, s));
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it.each([
    ['the smallest', 1n, 1n],
    ['the largest', N - 1n, N - 1n],
    ['the longest encoding there is', 1n << 255n, 1n << 255n],
    ['first bit clear', 0x7fn, 0x7fn],
    ['first bit set', 0x80n, 0x80n],
    ['a byte more', 0x100n, 0xffffn],
    ['31 full bytes', (1n << 248n) - 1n, (1n << 247n) - 1n],
    ['one long, one short', N - 1n, 1n],
  ])('gives back exactly its two integers: %s', (_name, r, s) => {
    expect(derToRaw(derOf(r, s))).toEqual(rawOf(r, s));
  });

  it('is read from any Uint8Array, also from a view into a larger buffer, and left as it was', () => {
    const der = signDer(Buffer.from('a message'));
    const larger = Buffer.concat([Buffer.from('before'), der, Buffer.from('after')]);
    const view = new Uint8Array(larger.buffer, larger.byteOffset + 6, der.length);
    expect(derToRaw(view)).toEqual(derToRaw(der));
    expect(Buffer.from(view)).toEqual(der);
  });
});

describe('what is not a canonical P-256 signature', () => {
  const [r, s] = [0x1122334455667788n, 0x2233445566778899n];
  const good = derOf(r, s);
  const body = good.subarray(2);
  const bytes = (...values: number[]) => Buffer.from(values);
  const raw = (hex: string) => tlv(0x02, Buffer.from(hex, 'hex'));

  it('has a well-formed neighbour: the table below fails for the reason that it gives', () => {
    expect(derToRaw(good)).toEqual(rawOf(r, s));
  });

  it.each<[string, Buffer]>([
    ['nothing at all', bytes()],
    ['a single byte', bytes(0x30)],
    ['an empty SEQUENCE', sequence()],
    ['one INTEGER', sequence(integer(r))],
    ['three INTEGERs', sequence(integer(r), integer(s), integer(1n))],
    ['a byte behind it', Buffer.concat([good, bytes(0)])],
    ['a second signature behind it', Buffer.concat([good, good])],
    ['a byte behind s, inside', sequence(integer(r), integer(s), bytes(0))],
    ['NULL behind s, inside', sequence(integer(r), integer(s), bytes(5, 0))],
    ['end-of-contents behind it', Buffer.concat([good, bytes(0, 0)])],
    ['the SEQUENCE length in the long form', Buffer.concat([bytes(0x30, 0x81, body.length), body])],
    ['the SEQUENCE length in the longer form', Buffer.concat([bytes(0x30, 0x82, 0, body.length), body])],
    ['the SEQUENCE length in eight bytes', Buffer.concat([bytes(0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, body.length), body])],
    ['a length of two gigabytes', Buffer.concat([bytes(0x30, 0x84, 0x7f, 0xff, 0xff, 0xff), body])],
    ['a length of which 127 bytes should follow', Buffer.concat([bytes(0x30, 0xff), body])],
    ['an indefinite length', Buffer.concat([bytes(0x30, 0x80), body, bytes(0, 0)])],
    ['an indefinite length without an end', Buffer.concat([bytes(0x30, 0x80), body])],
    ['an INTEGER length in the long form', sequence(bytes(0x02, 0x81, 1, 5), integer(s))],
    ['an INTEGER of indefinite length', sequence(bytes(0x02, 0x80, 5, 0, 0), integer(s))],
    ['a SEQUENCE length that is short by one', Buffer.concat([bytes(0x30, body.length - 1), body])],
    ['a SEQUENCE length that is long by one', Buffer.concat([bytes(0x30, body.length + 1), body])],
    ['r that reaches into s', sequence(bytes(0x02, 9), integer(r).subarray(2), integer(s))],
    ['r zero', derOf(0n, s)],
    ['s zero', derOf(r, 0n)],
    ['both zero', derOf(0n, 0n)],
    ['r of no bytes', sequence(bytes(0x02, 0), integer(s))],
    ['s of no bytes', sequence(integer(r), bytes(0x02, 0))],
    ['r negative', sequence(raw('ff'), integer(s))],
    ['s negative', sequence(integer(r), raw('8000'))],
    ['r without the zero byte that its first bit asks for', sequence(raw('ee'.repeat(32)), integer(s))],
    ['r padded with a zero byte', sequence(raw('0001'), integer(s))],
    ['s padded with a zero byte', sequence(integer(r), raw('0001'))],
    ['r padded with five zero bytes', sequence(raw('000000000001'), integer(s))],
    ['r negative and padded', sequence(raw('ffff'), integer(s))],
    ['r = n', derOf(N, s)],
    ['s = n', derOf(r, N)],
    ['r = n + 1', derOf(N + 1n, s)],
    ['s = 2^256 - 1', derOf(r, (1n << 256n) - 1n)],
    ['r of 33 bytes', derOf(1n << 256n, s)],
    ['integers of P-384 size', derOf((1n << 383n) + 1n, (1n << 382n) + 1n)],
    ['a SET', tlv(0x31, body)],
    ['a primitive SEQUENCE', tlv(0x10, body)],
    ['a context tag', tlv(0xa0, body)],
    ['an OCTET STRING around it', tlv(0x04, good)],
    ['a BIT STRING around it', tlv(0x03, Buffer.concat([bytes(0), good]))],
    ['a SEQUENCE around it', sequence(good)],
    ['a signature for r', sequence(good, integer(s))],
    ['r an OCTET STRING', sequence(tlv(0x04, bytes(5)), integer(s))],
    ['s a BOOLEAN', sequence(integer(r), tlv(0x01, bytes(0xff)))],
    ['r an ENUMERATED', sequence(tlv(0x0a, bytes(5)), integer(s))],
    ['r a constructed INTEGER', sequence(tlv(0x22, integer(5n)), integer(s))],
    ['r a NULL', sequence(bytes(5, 0), integer(s))],
    ['r a REAL', sequence(tlv(0x09, bytes(0x80, 0, 1)), integer(s))],
    ['a tag in the high-tag form', Buffer.concat([bytes(0x3f, 0x10, body.length), body])],
    ['a tag number without end', Buffer.alloc(40, 0xff)],
    ['zeros', Buffer.alloc(64)],
    ['a raw signature', rawOf(N - 1n, N - 2n)],
    ['base64 text of one', Buffer.from(good.toString('base64'))],
    ['HTML', Buffer.from('<html><body>502 Bad Gateway</body></html>')],
  ])('is refused: %s', (_name, der) => {
    expect(outcome(der)).toBe('refused');
  });

  it('is refused when it is cut off, at every byte', () => {
    const whole = derOf(N - 1n, N - 2n);
    expect(outcome(whole)).not.toBe('refused');
    for (let length = 0; length < whole.length; length += 1) {
      expect(outcome(whole.subarray(0, length))).toBe('refused');
    }
  });

  it('is refused when one of its bytes stands for a different length or tag', () => {
    const whole = derOf(N - 1n, N - 2n);
    // 30 len | 02 len r | 02 len s: the six bytes that are structure.
    for (const position of [0, 1, 2, 3, 4 + 33, 5 + 33]) {
      for (let flip = 1; flip < 256; flip += 1) {
        const mutated = Buffer.from(whole);
        mutated.writeUInt8(mutated.readUInt8(position) ^ flip, position);
        expect(outcome(mutated)).toBe('refused');
      }
    }
  });

  it('is refused by its size before a byte of it is read, so that noise costs nothing', () => {
    // Reading a byte of this one would throw; its size alone may be asked for.
    const unreadable = new Proxy(new Uint8Array(10_240), {
      get(target, property) {
        if (property === 'byteLength') return target.byteLength;
        throw new Error(`read ${String(property)}`);
      },
    });
    expect(outcome(unreadable)).toBe('refused');
    expect(outcome(Buffer.alloc(73, 0x30))).toBe('refused');
    expect(() => derToRaw(Buffer.alloc(73))).toThrow('73 bytes, at most 72 fit');
    expect(() => derToRaw(Buffer.alloc(72))).toThrow('not a SEQUENCE of two INTEGERs');
  });

  it('is refused as noise of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 10_240 }), (noise) => {
        expect(outcome(noise)).toBe('refused');
      }),
      { numRuns: 500 },
    );
  });

  const mutations = fc.array(
    fc.record({
      kind: fc.constantFrom('flip', 'insert', 'delete', 'swap'),
      position: fc.nat(80),
      value: fc.integer({ min: 1, max: 255 }),
    }),
    { minLength: 1, maxLength: 4 },
  );

  function mutate(der: Buffer, changes: readonly { kind: string; position: number; value: number }[]): Buffer {
    const mutated = [...der];
    for (const { kind, position: anywhere, value } of changes) {
      const position = anywhere % Math.max(1, mutated.length);
      if (kind === 'flip') mutated[position] = (mutated[position] ?? 0) ^ value;
      if (kind === 'insert') mutated.splice(position, 0, value);
      if (kind === 'delete') mutated.splice(position, 1);
      if (kind === 'swap') mutated.push(...mutated.splice(position, 1));
    }
    return Buffer.from(mutated);
  }

  it('is never taken for one: what is accepted after any damage is itself the one encoding of what comes out', () => {
    const tally = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(scalar, scalar, mutations, (r, s, changes) => {
        const mutated = mutate(derOf(r, s), changes);
        const result = outcome(mutated);
        if (result === 'refused') {
          tally.refused += 1;
          return;
        }
        tally.accepted += 1;
        const { r: gotR, s: gotS } = integersOf(result);
        expect(derOf(gotR, gotS)).toEqual(mutated);
        expect(gotR > 0n && gotR < N && gotS > 0n && gotS < N).toBe(true);
      }),
      { numRuns: 10_000 },
    );
    // Both ways were taken, or the test would prove nothing.
    expect(Math.min(tally.accepted, tally.refused)).toBeGreaterThan(100);
  });

  it('does not turn a signature that was changed into one that verifies', () => {
    const message = createHash('sha256').update('a message').digest();
    fc.assert(
      fc.property(mutations, (changes) => {
        const der = signDer(message);
        const mutated = mutate(der, changes);
        fc.pre(!mutated.equals(der));
        const result = outcome(mutated);
        if (result === 'refused') return;
        expect(verify('sha256', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, result)).toBe(false);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('the error for a malformed signature', () => {
  const thrownBy = (der: Uint8Array, ...signer: [string?]): BrokerError => {
    try {
      derToRaw(der, ...signer);
    } catch (error) {
      if (error instanceof BrokerError) return error;
    }
    throw new Error('no BrokerError was thrown');
  };

  it('names the signer, tells the reason and what to do, and can be tried again', () => {
    const error = thrownBy(derOf(N, 1n), 'KMS key alias/bank');
    expect(error).toMatchObject({ code: 'SIGNATURE_MALFORMED', retryable: true });
    expect(error.message).toBe(
      'KMS key alias/bank returned a signature that is not a canonical P-256 ECDSA signature: r is outside 1..n-1. ' +
        'Trying again can help. Check that the signing key has key spec ECC_NIST_P256, and report it to AWS support if it has.',
    );
  });

  it.each([
    [derOf(1n, N), 's is outside 1..n-1'],
    [Buffer.concat([derOf(1n, 1n), Buffer.alloc(1)]), 'not the canonical encoding'],
    [Buffer.from('3000', 'hex'), 'not a SEQUENCE of two INTEGERs'],
  ])('says which rule was broken (%#)', (der, why) => {
    expect(thrownBy(der).message).toContain(`KMS returned a signature that is not a canonical`);
    expect(thrownBy(der).message).toContain(why);
  });

  it('has no cause, and shows none of the bytes', () => {
    const der = Buffer.concat([signDer(Buffer.from('x')), Buffer.alloc(1)]);
    const error = thrownBy(der);
    expect(error).not.toHaveProperty('cause');
    expect(leakIn(everythingPrintedOf(error), [der.toString('hex'), der.toString('base64')])).toBeUndefined();
  });
});

it('jose makes the same kind of signature, so the comparison is with the standard and not with ourselves', async () => {
  const jws = await new CompactSign(Buffer.from('x')).setProtectedHeader({ alg: 'ES256' }).sign(privateKey);
  const joseRaw = Buffer.from(String(jws.split('.')[2]), 'base64url');
  const { r, s } = integersOf(joseRaw);
  expect(derToRaw(derOf(r, s))).toEqual(joseRaw);
});
