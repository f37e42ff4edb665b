import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EndpointError, EndpointError as EndpointErrorClass } from '../../src/token-endpoint/endpoint-error.ts';
import { readTokenResponse } from '../../src/token-endpoint/token-response.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { everythingPrintedOf, leakIn } from '../support/leaks.ts';

const clock = new FakeClock();
const token = 'eyJhbGciOiJFUzI1NiJ9.eyJqdGkiOiI0MmE3ZDhjMTIzIn0.c2lnbmF0dXJlLW9mLWEtdG9rZW4tdGhhdC1pcy1zZWNyZXQ';

function read(
  body: unknown,
  { status = 200, headers = {} }: { status?: number; headers?: Record<string, string> } = {},
) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const { 'content-type': contentType = 'application/json', 'retry-after': retryAfter } = headers;
  return readTokenResponse({ status, contentType, retryAfter, body: text }, 'an.assertion.sent', clock.now());
}

function refusal(...given: Parameters<typeof read>): EndpointError {
  const error = thrownBy(() => read(...given));
  if (!(error instanceof EndpointErrorClass)) throw new Error(`not an EndpointError: ${error}`);
  expect(error).not.toHaveProperty('cause');
  expect(leakIn(everythingPrintedOf(error), [token])).toBeUndefined();
  return error;
}

function thrownBy(work: () => unknown): unknown {
  try {
    return work();
  } catch (thrown) {
    return thrown;
  }
}

const good = { access_token: token, expires_in: 900, token_type: 'Bearer', scope: 'a b' };

describe('a token response that is accepted', () => {
  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['as D1 documents it', good, good],
    [
      'without expires_in',
      { ...good, expires_in: undefined },
      { access_token: token, token_type: 'Bearer', scope: 'a b' },
    ],
    ['without token_type', { access_token: token }, { access_token: token }],
    [
      'with null for what it leaves out',
      { ...good, expires_in: null, scope: null, token_type: null },
      { access_token: token, expires_in: null, scope: null, token_type: null },
    ],
    ['token_type bearer', { ...good, token_type: 'bearer' }, { ...good, token_type: 'bearer' }],
    ['token_type BEARER', { ...good, token_type: 'BEARER' }, { ...good, token_type: 'BEARER' }],
    ['with fields that nobody knows yet', { ...good, issued_for: { a: 1 }, refresh_token: null }, good],
    ['with an empty scope', { ...good, scope: '' }, { ...good, scope: '' }],
    ['with a part of a second', { ...good, expires_in: 899.5 }, { ...good, expires_in: 899.5 }],
    ['with an opaque token', { ...good, access_token: '~!x' }, { ...good, access_token: '~!x' }],
  ])('%s', (_name, body, expected) => {
    expect(read(body)).toStrictEqual(expected);
  });

  it.each(['application/json; charset=utf-8', 'Application/JSON', 'application/json ;charset=utf-8'])(
    'with content-type %s',
    (type) => {
      expect(read(good, { headers: { 'content-type': type } })).toStrictEqual(good);
    },
  );
});

describe('a response with status 200 that is not a token response', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['expires_in "900"', { ...good, expires_in: '900' }, 'expires_in'],
    ['expires_in "3600abc"', { ...good, expires_in: '3600abc' }, 'expires_in'],
    ['expires_in negative', { ...good, expires_in: -1 }, 'expires_in'],
    ['expires_in true', { ...good, expires_in: true }, 'expires_in'],
    ['expires_in a list', { ...good, expires_in: [900] }, 'expires_in'],
    ['token_type mac', { ...good, token_type: 'mac' }, 'token_type'],
    ['token_type DPoP', { ...good, token_type: 'DPoP' }, 'token_type'],
    ['token_type empty', { ...good, token_type: '' }, 'token_type'],
    ['token_type with a space', { ...good, token_type: ' Bearer' }, 'token_type'],
    ['no access_token', { ...good, access_token: undefined }, 'access_token'],
    ['access_token empty', { ...good, access_token: '' }, 'access_token'],
    ['access_token with a space', { ...good, access_token: `${token} ` }, 'access_token'],
    ['access_token of two lines', { ...good, access_token: `${token}\r\nx-injected: 1` }, 'access_token'],
    ['access_token with a control character', { ...good, access_token: `${token}\u0000` }, 'access_token'],
    ['access_token with a letter beyond ASCII', { ...good, access_token: `${token}é` }, 'access_token'],
    ['access_token a number', { ...good, access_token: 42 }, 'access_token'],
    ['access_token inside an object', { ...good, access_token: { value: token } }, 'access_token'],
    ['scope a list', { ...good, scope: ['a'] }, 'scope'],
  ])('%s: the field is named, its value is not', (_name, body, field) => {
    const error = refusal(body);
    expect(error).toMatchObject({ code: 'TOKEN_RESPONSE_INVALID', retryable: true, certificateRefused: false });
    expect(error.what).toContain(`field ${field} is missing or wrong`);
    expect(error.remedy).toContain('D1_ENVIRONMENT');
  });

  it.each([
    ['a number too large', `{"access_token":"${token}","expires_in":1e400}`, 'field expires_in is missing or wrong'],
    ['NaN', `{"access_token":"${token}","expires_in":NaN}`, 'its body is not JSON'],
    ['nothing', '', 'its body is not JSON'],
    ['half of one', `{"access_token":"${token}"`, 'its body is not JSON'],
    ['a token alone', token, 'its body is not JSON'],
    ['a form', `access_token=${token}&expires_in=900`, 'its body is not JSON'],
    ['null', 'null', 'its JSON is not an object'],
    ['a list', `["${token}"]`, 'field access_token is missing or wrong'],
    ['text', `"${token}"`, 'its JSON is not an object'],
    ['brackets, 30,000 deep', '['.repeat(30_000), 'its body is not JSON'],
    ['a prototype', `{"__proto__":{"access_token":"${token}"}}`, 'field access_token is missing or wrong'],
  ])('a body that is %s', (_name, body, why) => {
    const error = refusal(body);
    expect(error.code).toBe('TOKEN_RESPONSE_INVALID');
    expect(error.what).toContain(why);
  });

  it.each(['text/html', 'text/plain', 'application/jwt', 'application/jsonp', ''])('of type %j', (type) => {
    const error = refusal(good, { headers: { 'content-type': type } });
    expect(error.what).toContain('HTTP 200, but not application/json');
  });

  it('of no type', () => {
    const response = { status: 200, body: JSON.stringify(good) };
    expect(() => readTokenResponse(response, 'an.assertion.sent', clock.now())).toThrow('but not application/json');
  });
});

describe('a refusal', () => {
  it.each([
    [400, 'the public key provisioned at D1', false],
    [401, 'the public key provisioned at D1', true],
    [401, 'the client certificate', true],
    [403, 'the public key provisioned at D1', true],
    [403, 'the client certificate', true],
    [404, 'Check D1_ENVIRONMENT', false],
    [405, 'Check D1_ENVIRONMENT', false],
    [418, 'Check D1_ENVIRONMENT', false],
    [499, 'Check D1_ENVIRONMENT', false],
    [201, 'Check D1_ENVIRONMENT', false],
  ])('HTTP %i is final, and says what to check', (status, advice, certificateRefused) => {
    const error = refusal({ error: 'invalid_grant' }, { status });
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_REJECTED', retryable: false, certificateRefused });
    expect(error.what).toBe(`The token endpoint refused the request: HTTP ${status}, invalid_grant.`);
    expect(error.remedy).toContain(advice);
  });

  it.each([301, 302, 303, 307, 308])('HTTP %i is a redirect, which is never followed', (status) => {
    const error = refusal('', { status, headers: { location: 'https://elsewhere.example/' } });
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_REJECTED', retryable: false });
    expect(error.what).toContain(`HTTP ${status}, a redirect, which is never followed`);
    expect(error.message).not.toContain('elsewhere');
  });

  it.each([204, 205, 304])('HTTP %i has no body to be read', (status) => {
    expect(refusal('', { status })).toMatchObject({ code: 'TOKEN_ENDPOINT_REJECTED', retryable: false });
  });

  it.each([408, 425, 429, 500, 502, 503, 504, 599])('HTTP %i can be tried again', (status) => {
    const error = refusal('<html>down</html>', { status, headers: { 'content-type': 'text/html' } });
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: true, certificateRefused: false });
    expect(error.what).toBe(`The token endpoint is not available: HTTP ${status}.`);
    expect(error.retryAfterMilliseconds).toBeUndefined();
  });

  it('says when to come back', () => {
    const headers = { 'retry-after': '7' };
    expect(refusal({}, { status: 503, headers })).toMatchObject({ retryAfterMilliseconds: 7_000 });
    const date = { 'retry-after': new Date(clock.now() + 9_000).toUTCString() };
    expect(refusal({}, { status: 429, headers: date })).toMatchObject({ retryAfterMilliseconds: 9_000 });
  });
});

describe('what the endpoint says about an error', () => {
  const what = (body: unknown) => refusal(body, { status: 400 }).what;

  it('is quoted', () => {
    expect(what({ error: 'invalid_grant', error_description: 'kid is not known' })).toBe(
      'The token endpoint refused the request: HTTP 400, invalid_grant: kid is not known.',
    );
    expect(what({ error_description: 'kid is not known' })).toContain('HTTP 400, kid is not known.');
  });

  it.each([
    [{}],
    [{ error: 42 }],
    [{ error: { toString: 'x' } }],
    [[]],
    ['text'],
    ['<html></html>'],
    [null],
    [{ message: 'not OAuth' }],
  ])('is left out when it is not an OAuth error: %j', (body) => {
    expect(what(body)).toBe('The token endpoint refused the request: HTTP 400.');
  });

  it('is shown whole up to 600 visible characters, and beyond that from its beginning and its end', () => {
    const fits = `${'too long '.repeat(66)}enough`;
    expect(fits).toHaveLength(600);
    expect(what({ error: fits })).toBe(`The token endpoint refused the request: HTTP 400, ${fits}.`);
    const long = `It begins here, ${'and goes on '.repeat(500)}and the reason is that kid is not known`;
    const quoted = what({ error_description: long });
    expect(quoted).toContain('HTTP 400, It begins here, and goes on');
    expect(quoted).toMatch(/ … .*and the reason is that kid is not known\.$/);
    expect(quoted).toHaveLength('The token endpoint refused the request: HTTP 400, .'.length + 600);
  });

  it('tells refusals apart whose reasons come after 237 characters that are the same, as Fosite puts them', () => {
    const preamble =
      'The provided authorization grant (e.g., authorization code, resource owner credentials) or refresh token is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client. ';
    const reasons = ['The audience is wrong.', "The JWT 'exp' has passed.", 'No key with this kid.'];
    const told = reasons.map((reason) => what({ error: 'invalid_grant', error_description: preamble + reason }));
    for (const [index, reason] of reasons.entries()) expect(told[index]).toContain(reason);
    expect(new Set(told).size).toBe(reasons.length);
  });

  it.each(['kid is not known', 'kid is not known.', 'kid is not known... ', 'kid is not known.\n'])(
    'ends in one full stop: %j',
    (error_description) => {
      expect(what({ error_description })).toBe('The token endpoint refused the request: HTTP 400, kid is not known.');
    },
  );

  it('cannot forge a log line, move the cursor or turn the text around', () => {
    const quoted = what({ error: 'a\r\n2026-11-23 ERROR\u001b[2Jforged\u202egnorw\u0000é' });
    expect(quoted).toBe('The token endpoint refused the request: HTTP 400, a 2026-11-23 ERROR [2Jforged gnorw.');
  });

  it.each([
    ['as it is', (assertion: string) => assertion],
    ['in a sentence', (assertion: string) => `assertion "${assertion}" has expired`],
    ['in a form', (assertion: string) => `grant_type=x&assertion=${assertion}&more=1`],
    ['twice', (assertion: string) => `${assertion} ${assertion}`],
    ['after so much text that only its beginning fits', (assertion: string) => `${'word '.repeat(35)}${assertion}`],
  ])('does not hand the assertion back when the endpoint quotes it %s', (_name, echo) => {
    // `refusal` has looked for every run of 16 characters of `token`.
    expect(what({ error: 'invalid_grant', error_description: echo(token) })).toContain('[…]');
    expect(what({ error: echo(token) })).toContain('[…]');
  });

  it('stays short, visible and harmless whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2_000 }), (error) => {
        const quoted = what({ error }).replaceAll('…', '');
        expect(quoted.length).toBeLessThan(720);
        expect(quoted).toMatch(/^[\x20-\x7e]*$/);
        expect(quoted).not.toMatch(/[\w\-.~+/=]{60}/);
      }),
    );
  });
});
