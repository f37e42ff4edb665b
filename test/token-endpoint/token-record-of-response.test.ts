import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/errors.ts';
import { tokenLifetime, toTokenRecord } from '../../src/token-endpoint/token-response.ts';

const sentAtSeconds = 1_800_000_000;
const DEFAULT_SECONDS = 600;

const jwt = (claims: unknown) =>
  ['{"alg":"ES256"}', typeof claims === 'string' ? claims : JSON.stringify(claims), 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');
const lifetime = (access_token: string, expires_in?: number) =>
  tokenLifetime(
    { access_token, token_type: 'Bearer', ...(expires_in !== undefined && { expires_in }) },
    sentAtSeconds * 1000,
    DEFAULT_SECONDS,
  );

describe('how long a token lives', () => {
  it('is what expires_in says, even if the token itself says otherwise', () => {
    expect(lifetime('opaque', 900)).toBe(900);
    expect(lifetime(jwt({ exp: sentAtSeconds + 60 }), 900)).toBe(900);
    expect(lifetime('opaque', 0.5)).toBe(0.5);
  });

  it('is never more than a day: more would be a unit mistaken', () => {
    expect(lifetime('opaque', 900_000)).toBe(86_400);
    expect(lifetime(jwt({ exp: (sentAtSeconds + 900) * 1000 }))).toBe(86_400);
  });

  it.each([
    ['exp', { exp: sentAtSeconds + 700 }, 700],
    ['exp and iat, by the same clock', { exp: sentAtSeconds + 700, iat: sentAtSeconds }, 700],
    ['exp and iat, by a clock that is ahead', { exp: sentAtSeconds + 1_000, iat: sentAtSeconds + 300 }, 700],
    ['exp and iat, by a clock that is behind', { exp: sentAtSeconds + 400, iat: sentAtSeconds - 300 }, 400],
    ['an exp with a fraction', { exp: sentAtSeconds + 0.25 }, 0.25],
  ])('is the more cautious reading of the token itself when expires_in is missing: %s', (_name, claims, seconds) => {
    expect(lifetime(jwt(claims))).toBe(seconds);
  });

  it.each([
    ['opaque', 'opaque'],
    ['two parts', 'a.b'],
    ['four parts', `${jwt({ exp: sentAtSeconds + 60 })}.more`],
    ['claims that are not JSON', jwt('not JSON')],
    ['claims that are null', jwt('null')],
    ['claims that are a list', jwt([1])],
    ['no exp', jwt({ iat: sentAtSeconds })],
    ['exp as text', jwt({ exp: '1800000900' })],
    ['exp null', jwt({ exp: null })],
    ['exp without end', jwt('{"exp":1e400}')],
    ['iat as text', jwt({ exp: sentAtSeconds + 60, iat: 'now' })],
    ['empty claims part', 'a..c'],
  ])('is the configured default when nothing tells it, never for ever: %s', (_name, token) => {
    expect(lifetime(token)).toBe(DEFAULT_SECONDS);
  });

  it.each([
    ['now', jwt({ exp: sentAtSeconds })],
    ['a second ago', jwt({ exp: sentAtSeconds - 1 })],
    ['before it was issued', jwt({ exp: sentAtSeconds + 60, iat: sentAtSeconds + 60 })],
  ])('is over: a token that died %s is refused', (_name, token) => {
    let thrown: unknown;
    try {
      lifetime(token);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(BrokerError);
    expect(thrown).toMatchObject({ code: 'TOKEN_RESPONSE_INVALID', retryable: true });
    expect(String(thrown)).not.toContain(token);
  });
});

describe('the record of a token', () => {
  const facts = {
    issuerId: 'ISSUER0001',
    keyId: 'bank-key-1',
    correlationId: 'story-1',
    sentAt: sentAtSeconds * 1000 + 250,
    defaultExpiresInSeconds: DEFAULT_SECONDS,
  };
  const record = {
    access_token: 'opaque',
    token_type: 'Bearer',
    expires_in: 900,
    expires_at: sentAtSeconds + 900,
    obtained_at: sentAtSeconds,
    issuer_id: 'ISSUER0001',
    key_id: 'bank-key-1',
    correlation_id: 'story-1',
    schema_version: 1,
  };
  const answer = { access_token: 'opaque', token_type: 'bearer', expires_in: 900 };

  it('counts its life from before the request was sent', () => {
    expect(toTokenRecord(answer, facts)).toStrictEqual(record);
  });

  it('holds a scope that says something, and no empty one', () => {
    expect(toTokenRecord({ ...answer, scope: 'a b' }, facts)).toStrictEqual({ ...record, scope: 'a b' });
    for (const scope of ['', null, undefined]) expect(toTokenRecord({ ...answer, scope }, facts)).toStrictEqual(record);
  });

  it('has the life that was assumed where none was told', () => {
    const expected = { ...record, expires_in: DEFAULT_SECONDS, expires_at: sentAtSeconds + DEFAULT_SECONDS };
    expect(toTokenRecord({ ...answer, expires_in: null }, facts)).toStrictEqual(expected);
  });

  it('is none when no life is left of it', () => {
    expect(toTokenRecord({ ...answer, expires_in: 0 }, facts)).toBeUndefined();
  });
});
