import * as fc from 'fast-check';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { describe, expect, it } from 'vitest';
import { type AssertionSettings, signingInput } from '../../src/assertion/claims.ts';

const settings: AssertionSettings = {
  issuerId: 'ISSUER0001',
  subject: 'ISSUER0001',
  keyId: 'bank-key-1',
  assertionLifetimeSeconds: 300,
};
const now = 1_800_000_000;
const jti = '0b0e6a5c-5f0e-4b0a-9a55-0d6c0b0f7a11';

/** Read by jose; the signature is of no interest here. */
const read = (input: string) => ({ header: decodeProtectedHeader(`${input}.`), claims: decodeJwt(`${input}.`) });

describe('what the assertion says', () => {
  it('is the header that D1 asks for, and nothing else', () => {
    expect(read(signingInput(settings, now, jti)).header).toStrictEqual({
      alg: 'ES256',
      typ: 'JWT',
      kid: 'bank-key-1',
    });
  });

  it('is the claims that D1 asks for: begun 30 s ago, over in 300 s, and no nbf, no aud unless configured', () => {
    expect(read(signingInput(settings, now, jti)).claims).toStrictEqual({
      iss: 'ISSUER0001',
      sub: 'ISSUER0001',
      iat: now - 30,
      exp: now + 300,
      jti,
    });
  });

  it('has an audience when one is configured', () => {
    const audience = 'https://api.d1.thalescloud.io';
    expect(read(signingInput({ ...settings, audience }, now, jti)).claims.aud).toBe(audience);
    expect(read(signingInput({ ...settings, audience: undefined }, now, jti)).claims).not.toHaveProperty('aud');
  });

  it('has a subject of its own when one is configured', () => {
    const { claims } = read(signingInput({ ...settings, subject: 'AGGREGATED' }, now, jti));
    expect(claims).toMatchObject({ iss: 'ISSUER0001', sub: 'AGGREGATED' });
  });

  it.each([30, 300, 900])('lives as long as configured: %i s', (assertionLifetimeSeconds) => {
    const { claims } = read(signingInput({ ...settings, assertionLifetimeSeconds }, now, jti));
    expect(claims.exp).toBe(now + assertionLifetimeSeconds);
  });

  it('is written in base64url without padding, whatever the configuration holds', () => {
    const visible = fc.string({ minLength: 1, maxLength: 256, unit: 'grapheme-ascii' });
    fc.assert(
      fc.property(
        visible,
        visible,
        visible,
        fc.uuid(),
        fc.integer({ min: 0, max: 4e9 }),
        (issuerId, keyId, audience, id, at) => {
          const input = signingInput({ ...settings, issuerId, subject: issuerId, keyId, audience }, at, id);
          expect(input).toMatch(/^[\w-]+\.[\w-]+$/);
          const { header, claims } = read(input);
          expect(header.kid).toBe(keyId);
          expect(claims).toStrictEqual({
            iss: issuerId,
            sub: issuerId,
            aud: audience,
            iat: at - 30,
            exp: at + 300,
            jti: id,
          });
        },
      ),
    );
  });
});
