import * as fc from 'fast-check';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { describe, expect, it } from 'vitest';
import { type AssertionSettings, signingInput } from '../../src/assertion/assertion.ts';

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

  it('is the claims that D1 asks for: begun 60 s ago, over 300 s after that, and no nbf, no aud unless configured', () => {
    expect(read(signingInput(settings, now, jti)).claims).toStrictEqual({
      iss: 'ISSUER0001',
      sub: 'ISSUER0001',
      iat: now - 60,
      exp: now + 240,
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

  it.each([120, 300, 840])('lives as long as configured, from iat to exp: %i s', (assertionLifetimeSeconds) => {
    const { claims } = read(signingInput({ ...settings, assertionLifetimeSeconds }, now, jti));
    expect(Number(claims.exp) - Number(claims.iat)).toBe(assertionLifetimeSeconds);
  });

  it.each([120, 300, 840])(
    'passes at a D1 that counts 15 minutes from iat or from its own clock, 60 s before and behind: %i s',
    (assertionLifetimeSeconds) => {
      const { iat = 0, exp = 0 } = read(signingInput({ ...settings, assertionLifetimeSeconds }, now, jti)).claims;
      expect(exp - iat).toBeLessThanOrEqual(900);
      for (const clockOfD1 of [now - 60, now, now + 59]) {
        expect(iat).toBeLessThanOrEqual(clockOfD1);
        expect(exp).toBeLessThanOrEqual(clockOfD1 + 900);
        expect(exp).toBeGreaterThan(clockOfD1);
      }
    },
  );

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
            iat: at - 60,
            exp: at + 240,
            jti: id,
          });
        },
      ),
    );
  });
});
