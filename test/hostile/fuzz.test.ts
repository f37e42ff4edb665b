import { inspect } from 'node:util';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createCertificateAuthority } from '../../sandbox/certificates.ts';
import { numberSettings, readConfig, textSettings } from '../../src/config.ts';
import { BrokerError, type ErrorCode } from '../../src/errors.ts';
import { parseClientCertificate } from '../../src/shared/client-certificate.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { parseTokenRecord } from '../../src/shared/token-record.ts';
import { parseRetryAfter, retryDelayMilliseconds } from '../../src/token-endpoint/retry-delay.ts';
import { readTokenResponse, tokenLifetime } from '../../src/token-endpoint/token-response.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { anyText, CANARY, damaged, seed, settings } from './seed.ts';

// Events, DER, Secrets Manager's answers and raw HTTP have fuzz tests and hostile servers beside their unit tests:
// test/events.test.ts, test/assertion/der-signature.test.ts, test/token-store, test/token-endpoint.

const LONGEST_MESSAGE_CHARACTERS = 4_000;
const LONG_CANARY = 'canary'.repeat(10);

/** A value, or a BrokerError with one of these codes: bounded, and without what it choked on. */
async function expectOrderly(work: () => unknown, ...codes: readonly ErrorCode[]): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    expect(codes).toContain(error.code);
    expect(error.message.length).toBeLessThan(LONGEST_MESSAGE_CHARACTERS);
    const shown = inspect(error, { depth: 5 });
    expect([CANARY, LONG_CANARY].filter((secret) => shown.includes(secret))).toEqual([]);
  }
}

describe(`fuzz, seed ${seed}`, () => {
  it('any environment is a configuration or CONFIG_INVALID', async () => {
    const variables = [...Object.values(textSettings), ...Object.values(numberSettings)].map(
      ({ variable }) => variable,
    );
    const plausible = fc.constantFrom(
      ...[
        'ISSUER0001',
        'production',
        'https://d1.example/authz/v1',
        'https://',
        'https://[',
        'https://a b',
        'alias/key',
      ],
      ...['300', '0', '-1', '1e3', '3.5', '00300', '999999999', 'd1/access-token', 'https://user:secret@d1.example'],
    );
    const anyVariable = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...variables) }, fc.string());
    // A short value is shown, so that a person sees the mistake; a long one, which could be a secret, is not.
    const long = fc.string({ minLength: 60 }).map((text) => `${CANARY}${text}`);
    const value = fc.oneof(
      plausible,
      anyText.filter((text) => !text.includes(CANARY)),
      long,
    );
    await fc.assert(
      fc.asyncProperty(fc.dictionary(anyVariable, value, { maxKeys: 20 }), (environment) =>
        expectOrderly(() => readConfig(environment), 'CONFIG_INVALID'),
      ),
      settings(3_000),
    );
  });

  it('any text is a token record, or is said not to be one', () => {
    const record = {
      ...{
        access_token: `${CANARY}.x.y`,
        token_type: 'Bearer',
        scope: 'a',
        expires_in: 900,
        expires_at: 1_800_000_900,
      },
      ...{ obtained_at: 1_800_000_000, issuer_id: 'ISSUER0001', key_id: 'k', correlation_id: 'c', schema_version: 1 },
    };
    fc.assert(
      fc.property(fc.oneof(anyText, damaged(JSON.stringify(record))), (text) => {
        const result = parseTokenRecord(text);
        if ('why' in result) {
          expect(result.why).not.toContain(CANARY);
          expect(result.why.length).toBeLessThan(200);
        } else
          expect(result.record.expires_at - result.record.obtained_at).toBeLessThanOrEqual(
            result.record.expires_in + 1,
          );
      }),
      settings(5_000),
    );
  });

  it('any answer of the token endpoint is a token with an end, or a known refusal', async () => {
    const clock = new FakeClock();
    const encoded = (claims: unknown) => Buffer.from(JSON.stringify(claims)).toString('base64url');
    const jwt = fc
      .oneof(fc.jsonValue(), fc.record({ exp: fc.double(), iat: fc.double() }))
      .map((c) => `a.${encoded(c)}.c`);
    const body = fc.oneof(
      anyText,
      fc
        .record(
          {
            access_token: fc.oneof(jwt, fc.string(), fc.jsonValue()),
            token_type: fc.oneof(fc.constantFrom('Bearer', 'bearer', 'mac', ''), fc.jsonValue()),
            expires_in: fc.oneof(fc.double(), fc.integer(), fc.jsonValue()),
            scope: fc.jsonValue(),
            // An endpoint's words are quoted, but for what could be a token.
            error: fc.constant(LONG_CANARY),
          },
          { requiredKeys: [] },
        )
        .map((value) => JSON.stringify(value)),
    );
    const status = fc.oneof({ weight: 3, arbitrary: fc.constant(200) }, fc.integer({ min: 200, max: 599 }));
    const type = fc.constantFrom('application/json', 'application/json; charset=utf-8', 'text/html', '');
    const header = fc.oneof(fc.integer().map(String), fc.stringMatching(/^[\x20-\x7e]{0,40}$/));
    await fc.assert(
      fc.asyncProperty(status, type, header, body, (code, contentType, retryAfter, text) => {
        const response = { status: code, contentType, retryAfter, body: text };
        return expectOrderly(
          () => {
            const read = readTokenResponse(response, 'an.assertion.sent', clock.now());
            const lifetime = tokenLifetime(read, clock.now(), 600);
            expect(lifetime > 0 && lifetime <= 86_400).toBe(true);
          },
          ...(['TOKEN_RESPONSE_INVALID', 'TOKEN_ENDPOINT_REJECTED', 'TOKEN_ENDPOINT_UNREACHABLE'] as const),
        );
      }),
      settings(5_000),
    );
  });

  it('any Retry-After ends in a delay that is a number', () => {
    fc.assert(
      fc.property(
        anyText,
        fc.nat({ max: 4_102_444_800_000 }),
        fc.integer({ min: 1, max: 100 }),
        (header, now, attempt) => {
          const delay = retryDelayMilliseconds(attempt, parseRetryAfter(header, now), 0.999);
          expect(Number.isSafeInteger(delay) && delay >= 0).toBe(true);
        },
      ),
      settings(5_000),
    );
  });

  describe('the client-certificate secret', () => {
    let secret: { certificate: string; private_key: string; ca_bundle: string };

    beforeAll(async () => {
      const authority = await createCertificateAuthority({ commonName: 'CA', clock: systemClock });
      const issued = await authority.issue({ commonName: 'TLSMA-ECC/ISSUER0001/PPR', usage: 'client' });
      const { certificatePem: ca_bundle } = authority;
      secret = { certificate: issued.certificatePem, private_key: issued.privateKeyPem, ca_bundle };
    });

    it('is a certificate, or a reason why not that shows nothing, however it is damaged', () => {
      const damagedField = fc
        .constantFrom('certificate' as const, 'private_key' as const, 'ca_bundle' as const)
        .chain((field) => damaged(secret[field]).map((text) => JSON.stringify({ ...secret, [field]: text })));
      const key = secret.private_key.split('\n')[1] ?? '';
      fc.assert(
        fc.property(fc.oneof(anyText, damaged(JSON.stringify(secret)), damagedField), (text) => {
          const result = parseClientCertificate(text, Date.now());
          if ('certificate' in result) return;
          expect(result.why).not.toContain(key.slice(0, 20));
          expect(result.why.length).toBeLessThan(200);
        }),
        settings(2_000),
      );
    });
  });
});
