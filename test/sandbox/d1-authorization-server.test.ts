import { generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { D1ServerOptions } from '../../sandbox/d1/server.ts';
import {
  type AssertionChanges,
  type Call,
  type Caller,
  clientName,
  type D1World,
  FORM,
  JWT_BEARER,
  type Reply,
  spki,
  startD1World,
} from '../support/d1-client.ts';

const strangerKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

describe('the token endpoint of the D1 sandbox', () => {
  let d1: D1World;
  let bank: Caller;
  beforeAll(async () => {
    d1 = await startD1World();
    bank = d1.caller({ keepAlive: true });
  });
  afterAll(() => d1.close());

  const exchange = async (changes?: AssertionChanges) => bank.send(d1.tokenRequest(await d1.assertion(changes)));
  const lastCall = () => d1.calls.all().at(-1);

  /** What every refusal has in common (RFC 6749 section 5.2), and the two parts in which they differ. */
  function refusal(reply: Reply): { error: unknown; description: string } {
    expect(reply.status).toBe(400);
    expect(reply.headers['content-type']).toBe('application/json');
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(Object.keys(reply.json)).toEqual(['error', 'error_description']);
    const description = String(reply.json['error_description']);
    expect(description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
    expect(`${reply.text}${JSON.stringify(d1.calls.all())}`).not.toContain('eyJ');
    expect(lastCall()?.outcome).toBe(reply.json['error']);
    return { error: reply.json['error'], description };
  }

  describe('for an assertion that keeps every rule', () => {
    it('answers with a bearer token of 15 minutes that no cache may keep', async () => {
      const reply = await exchange();

      expect(reply.status).toBe(200);
      expect(reply.headers['content-type']).toBe('application/json');
      expect(reply.headers['cache-control']).toBe('no-store');
      expect(reply.json).toEqual({
        access_token: expect.any(String),
        expires_in: 900,
        token_type: 'Bearer',
        scope: 'issuer.read',
      });
    });

    it("signs the token with the server's own ES256 key, for that issuer and that time", async () => {
      const token = String((await exchange()).json['access_token']);

      const { payload } = await jwtVerify(token, d1.server.tokenPublicKey, { currentDate: new Date(d1.now() * 1000) });
      expect(decodeProtectedHeader(token).alg).toBe('ES256');
      expect(payload).toEqual({
        iss: 'https://api.d1.thalescloud.io',
        sub: d1.issuerId,
        iat: d1.now(),
        exp: d1.now() + 900,
        jti: expect.any(String),
        scope: 'issuer.read',
      });
    });

    it('gives a shorter token when the sandbox was started so', async () => {
      const hasty = await startD1World({ tokenLifetimeSeconds: 30 });
      const reply = await hasty.caller().send(hasty.tokenRequest(await hasty.assertion()));
      await hasty.close();

      expect(reply.json['expires_in']).toBe(30);
    });

    it('echoes the correlation id, and notes it in the call log with who called how, but not the token', async () => {
      const reply = await bank.send(d1.tokenRequest(await d1.assertion(), { 'x-correlation-id': 'tick_2031-05-06' }));

      expect(reply.headers['x-correlation-id']).toBe('tick_2031-05-06');
      expect(lastCall()).toEqual({
        service: 'd1',
        operation: 'oauth2/token',
        at: Date.parse('2031-05-06T07:08:09.500Z'),
        requestId: 'tick_2031-05-06',
        outcome: 'ok',
        input: {
          correlationId: 'tick_2031-05-06',
          issuerId: d1.issuerId,
          keyId: d1.keyId,
          clientSubject: 'O=Example Bank, CN=TLSMA-ECC/BANK-00001/PPR',
          tlsProtocol: 'TLSv1.3',
          tlsCipher: expect.stringMatching(/^TLS_/),
        },
      });
    });

    it('needs no correlation id', async () => {
      const reply = await exchange();

      expect(reply.status).toBe(200);
      expect(reply.headers['x-correlation-id']).toBeUndefined();
      expect(lastCall()?.input).not.toHaveProperty('correlationId');
    });

    it('takes the form with a charset, JSON, and parameters that it does not know', async () => {
      const call = d1.tokenRequest(await d1.assertion());
      const withCharset = { ...call, headers: { 'content-type': `${FORM}; charset=UTF-8` } };
      const inJson = {
        ...call,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ grant_type: JWT_BEARER, assertion: await d1.assertion(), extra: 1 }),
      };
      const withMore = { ...d1.tokenRequest(await d1.assertion()) };
      withMore.body += '&resource=cards&scope=';

      for (const accepted of [withCharset, inJson, withMore]) expect((await bank.send(accepted)).status).toBe(200);
    });

    it.each([
      ['exp exactly 15 minutes ahead', () => ({ exp: d1.now() + 900 })],
      ['exp one second ahead', () => ({ exp: d1.now() + 1 })],
      ['iat a minute in the future', () => ({ iat: d1.now() + 60 })],
      ['iat long past', () => ({ iat: d1.now() - 86_400 })],
      ['no jti', () => ({ jti: undefined })],
      ['the audience of production', () => ({ aud: 'https://api.d1.thalescloud.io' })],
      ['that audience among others', () => ({ aud: ['https://elsewhere.example', 'https://api.d1.thalescloud.io'] })],
    ])('accepts %s', async (_what, claims) => {
      expect((await exchange({ claims: claims() })).status).toBe(200);
    });

    it('accepts both keys of an issuer while one replaces the other', async () => {
      const next = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      d1.server.provisionIssuer({ issuerId: d1.issuerId, keyId: 'bank-key-2', publicKey: spki(next.publicKey) });

      expect((await exchange()).status).toBe(200);
      expect((await exchange({ header: { kid: 'bank-key-2' }, signWith: next.privateKey })).status).toBe(200);
    });
  });

  describe('for a bank that asks again', () => {
    type Habits = Pick<D1ServerOptions, 'tokenLifetimeSeconds' | 'tokenReuseUntilSeconds' | 'oneTokenAtATime'>;

    /** A D1 with these habits, and its bank: `ask` returns the answer to a token request, `works` tries a token. */
    async function startWith(habits: Habits) {
      const world = await startD1World(habits);
      onTestFinished(() => world.close());
      const caller = world.caller({ keepAlive: true });
      return {
        ...world,
        async ask() {
          const { status, json } = await caller.send(world.tokenRequest(await world.assertion()));
          expect(status).toBe(200);
          return { token: json['access_token'], expiresIn: json['expires_in'] };
        },
        async works(token: unknown) {
          const path = `/banking/v1/issuers/${world.issuerId}`;
          return (await caller.send({ path, headers: { authorization: `Bearer ${token}` } })).status === 200;
        },
      };
    }

    it('has a new token each time, and the one before works on', async () => {
      const { ask, works } = await startWith({});
      const first = await ask();
      const second = await ask();

      expect([first.expiresIn, second.expiresIn]).toEqual([900, 900]);
      expect(second.token).not.toBe(first.token);
      expect([await works(first.token), await works(second.token)]).toEqual([true, true]);
    });

    it('gives the same token with what is left of it, until the bound, and then a new one', async () => {
      const { ask, works, advance } = await startWith({ tokenReuseUntilSeconds: 60 });
      const first = await ask();
      // D1's clock stands at half a second, so of a token that is 300 seconds old 599.5 are left.
      advance(300);
      expect(await ask()).toEqual({ token: first.token, expiresIn: 599 });
      advance(539);
      expect(await ask()).toEqual({ token: first.token, expiresIn: 60 });
      advance(0.5);
      const second = await ask();

      expect(second.expiresIn).toBe(900);
      expect(second.token).not.toBe(first.token);
      expect(await works(first.token)).toBe(true);
      advance(1);
      expect(await ask()).toEqual({ token: second.token, expiresIn: 899 });
    });

    it('gives the same token to its very end when the bound is 0: there, it has 0 seconds left', async () => {
      const { ask, works, advance } = await startWith({ tokenLifetimeSeconds: 30, tokenReuseUntilSeconds: 0 });
      const first = await ask();
      advance(29);
      expect(await ask()).toEqual({ token: first.token, expiresIn: 0 });
      expect(await works(first.token)).toBe(true);
      advance(0.5);
      const second = await ask();

      expect(second.expiresIn).toBe(30);
      expect(await works(first.token)).toBe(false);
      expect(await works(second.token)).toBe(true);
    });

    it('gives one token to ten requests that arrive together', async () => {
      const { ask } = await startWith({ tokenReuseUntilSeconds: 60 });
      const answers = await Promise.all(Array.from({ length: 10 }, ask));

      expect(new Set(answers.map(({ token }) => token)).size).toBe(1);
    });

    it('keeps the tokens of two banks apart', async () => {
      const { ask, server, caller, clientAuthority, ...world } = await startWith({
        tokenReuseUntilSeconds: 60,
        oneTokenAtATime: true,
      });
      const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      server.provisionIssuer({ issuerId: 'BANK-00002', keyId: 'other', publicKey: spki(keys.publicKey) });
      const certificate = await clientAuthority.issue({ commonName: clientName('BANK-00002'), usage: 'client' });
      const first = await ask();
      const claims = { iss: 'BANK-00002', sub: 'BANK-00002' };
      const others = await world.assertion({ header: { kid: 'other' }, claims, signWith: keys.privateKey });
      const other = (await caller({ certificate }).send(world.tokenRequest(others))).json['access_token'];

      expect(other).toEqual(expect.any(String));
      expect(other).not.toBe(first.token);
      expect(await world.works(first.token)).toBe(true);
      expect((await ask()).token).toBe(first.token);
    });

    it('does not give a token again that was revoked', async () => {
      const { ask, works, server, issuerId } = await startWith({ tokenReuseUntilSeconds: 60 });
      const first = await ask();
      server.revokeAccessTokens(issuerId);
      const second = await ask();

      expect(second.expiresIn).toBe(900);
      expect([await works(first.token), await works(second.token)]).toEqual([false, true]);
    });

    it('ends the token before when it has one at a time', async () => {
      const { ask, works } = await startWith({ oneTokenAtATime: true });
      const first = await ask();
      expect(await works(first.token)).toBe(true);
      const second = await ask();

      expect([await works(first.token), await works(second.token)]).toEqual([false, true]);
    });

    it('ends no token by giving it again, only by giving a new one', async () => {
      const { ask, works, advance } = await startWith({ tokenReuseUntilSeconds: 60, oneTokenAtATime: true });
      const first = await ask();
      expect((await ask()).token).toBe(first.token);
      expect(await works(first.token)).toBe(true);
      advance(840);
      const second = await ask();

      expect([await works(first.token), await works(second.token)]).toEqual([false, true]);
    });
  });

  describe('refuses a request', () => {
    it('that is not a POST: 405, and says what is allowed', async () => {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const reply = await bank.send({ method, path: '/authz/v1/oauth2/token' });

        expect(reply.status).toBe(405);
        expect(reply.headers['allow']).toBe('POST');
        expect(reply.json['error_description']).toBe(`method is ${method}; only POST is accepted`);
      }
    });

    it('whose body is one byte over 64 KiB: 413, and the caller can still send it all and read the answer', async () => {
      const call = d1.tokenRequest('');
      const atLimit = await bank.send({ ...call, body: 'x='.padEnd(65_536, 'x') });
      const overLimit = await bank.send({ ...call, body: 'x='.padEnd(65_537, 'x') });
      const farOver = await bank.send({ ...call, body: Buffer.alloc(4 * 1024 * 1024, 'x') });

      expect(refusal(atLimit).description).toContain('parameter grant_type is missing');
      expect([overLimit.status, farOver.status]).toEqual([413, 413]);
      expect(overLimit.json['error_description']).toBe('body is too large; at most 65536 bytes are accepted');
    });

    const form = (parameters: Record<string, string>) => new URLSearchParams(parameters).toString();
    const grant = form({ grant_type: JWT_BEARER });
    const json = { 'content-type': 'application/json' };
    it.each<[string, Call, string, string]>([
      ['without a content type', { headers: {} }, 'invalid_request', 'header content-type is missing'],
      [
        'in a foreign content type',
        { headers: { 'content-type': 'text/plain' } },
        'invalid_request',
        "content-type is 'text/plain'; it must be 'application/x-www-form-urlencoded' or 'application/json'",
      ],
      [
        'in a nonsense content type',
        { headers: { 'content-type': 'nonsense' } },
        'invalid_request',
        "content-type is 'nonsense'",
      ],
      [
        'in another charset',
        { headers: { 'content-type': `${FORM};charset=latin1` } },
        'invalid_request',
        "charset 'latin1'; it must be 'utf-8'",
      ],
      ['that is not UTF-8', { body: Buffer.from([0x61, 0x3d, 0xff]) }, 'invalid_request', 'body is not UTF-8'],
      ['that is called JSON and is not', { headers: json, body: '{"a' }, 'invalid_request', 'body is not JSON'],
      [
        'that is a JSON list',
        { headers: json, body: '[]' },
        'invalid_request',
        'body is JSON of type array; it must be an object',
      ],
      ['without a body', { body: '' }, 'invalid_request', 'parameter grant_type is missing'],
      [
        'with an empty grant_type',
        { body: 'grant_type=&assertion=a' },
        'invalid_request',
        'parameter grant_type is missing',
      ],
      [
        'for another grant',
        { body: form({ grant_type: 'client_credentials', assertion: 'a' }) },
        'unsupported_grant_type',
        "grant_type is 'client_credentials'; it must be 'urn:ietf:params:oauth:grant-type:jwt-bearer'",
      ],
      [
        'for a grant spelled in capitals',
        { body: form({ grant_type: JWT_BEARER.toUpperCase() }) },
        'unsupported_grant_type',
        'grant_type is',
      ],
      ['without an assertion', { body: grant }, 'invalid_request', 'parameter assertion is missing'],
      ['with an empty assertion', { body: `${grant}&assertion=` }, 'invalid_request', 'parameter assertion is missing'],
      [
        'with two assertions',
        { body: `${grant}&assertion=a&assertion=b` },
        'invalid_request',
        "parameter 'assertion' was sent more than once",
      ],
      [
        'with the grant type twice',
        { body: `${grant}&${grant}` },
        'invalid_request',
        "parameter 'grant_type' was sent more than once",
      ],
      [
        'with a JSON list of assertions',
        { headers: json, body: JSON.stringify({ grant_type: JWT_BEARER, assertion: ['a'] }) },
        'invalid_request',
        'parameter assertion is of type array; it must be one text',
      ],
    ])('%s', async (_what, changes, error, description) => {
      const refused = refusal(await bank.send({ ...d1.tokenRequest('a.b.c'), ...changes }));

      expect(refused.error).toBe(error);
      expect(refused.description).toContain(description);
    });

    it.each(['', 'has space', 'a'.repeat(65), 'naïve', 'semi;colon'])(
      'with the correlation id %j, which it does not echo',
      async (id) => {
        const reply = await bank.send(d1.tokenRequest(await d1.assertion(), { 'x-correlation-id': id }));

        expect(refusal(reply)).toMatchObject({
          error: 'invalid_request',
          description: expect.stringContaining('header x-correlation-id is'),
        });
        expect(reply.headers['x-correlation-id']).toBeUndefined();
        expect(lastCall()?.input).not.toHaveProperty('correlationId');
      },
    );

    it('that has the assertion where the grant type belongs, without repeating the assertion', async () => {
      const body = form({ grant_type: await d1.assertion(), assertion: 'a' });

      expect(refusal(await bank.send({ ...d1.tokenRequest(''), body })).error).toBe('unsupported_grant_type');
    });
  });

  describe('refuses an assertion, naming the rule it breaks:', () => {
    it.each<[string, () => AssertionChanges, string]>([
      ['typ left out', () => ({ header: { typ: undefined } }), "header typ is missing; it must be 'JWT'"],
      ['another typ', () => ({ header: { typ: 'at+jwt' } }), "header typ is 'at+jwt'; it must be 'JWT'"],
      ['kid left out', () => ({ header: { kid: undefined } }), 'header kid is missing'],
      [
        'a kid nobody provisioned',
        () => ({ header: { kid: 'bank-key-9' } }),
        "header kid 'bank-key-9' names no provisioned",
      ],
      [
        'a signature of another key',
        () => ({ signWith: strangerKeys.privateKey }),
        "signature does not verify with the public key 'bank-key-1'",
      ],
      ['iss left out', () => ({ claims: { iss: undefined } }), 'claim iss is missing'],
      [
        'the iss of another issuer',
        () => ({ claims: { iss: 'BANK-00002', sub: 'BANK-00002' } }),
        "claim iss is 'BANK-00002'; the key 'bank-key-1' belongs to another issuer",
      ],
      ['sub left out', () => ({ claims: { sub: undefined } }), 'claim sub is missing'],
      [
        'sub unlike iss',
        () => ({ claims: { sub: 'someone' } }),
        "claim sub is 'someone'; it must be the same as iss, 'BANK-00001'",
      ],
      ['exp left out', () => ({ claims: { exp: undefined } }), 'claim exp is missing'],
      [
        'exp as a text',
        () => ({ claims: { exp: '1935823689' } }),
        "claim exp is '1935823689'; it must be a number of seconds",
      ],
      [
        'exp just now',
        () => ({ claims: { exp: d1.now() } }),
        'claim exp is 0 seconds in the past; it must be in the future',
      ],
      ['exp a minute ago', () => ({ claims: { exp: d1.now() - 60 } }), 'claim exp is 60 seconds in the past'],
      [
        'exp one second over 15 minutes ahead',
        () => ({ claims: { exp: d1.now() + 901 } }),
        'claim exp is 901 seconds ahead; at most 900 are allowed',
      ],
      [
        'iat over a minute in the future',
        () => ({ claims: { iat: d1.now() + 61 } }),
        'claim iat is 61 seconds in the future; at most 60',
      ],
      ['iat as a text', () => ({ claims: { iat: 'noon' } }), "claim iat is 'noon'; it must be a number of seconds"],
      ['nbf in the future', () => ({ claims: { nbf: d1.now() + 1 } }), 'claim nbf is in the future'],
      [
        'a foreign aud',
        () => ({ claims: { aud: 'https://api.d1-stg.thalescloud.io' } }),
        "claim aud is 'https://api.d1-stg.thalescloud.io'; it must be 'https://api.d1.thalescloud.io'",
      ],
      ['a list of foreign aud', () => ({ claims: { aud: ['a', 'b'] } }), "claim aud is 'a b'"],
      ['an empty jti', () => ({ claims: { jti: '' } }), "claim jti is ''; it must be a text that is not empty"],
      ['a jti that is a number', () => ({ claims: { jti: 7 } }), 'claim jti is 7; it must be a text'],
      [
        'characters that a description may not have',
        () => ({ claims: { sub: 'quote"\\ü\n' } }),
        "claim sub is 'quote????'",
      ],
      [
        'a claim that looks like a JWT',
        () => ({ claims: { sub: 'eyJhbGciOiJFUzI1NiJ9' } }),
        'claim sub is a text of 20 characters',
      ],
    ])('%s', async (_rule, changes, description) => {
      const refused = refusal(await exchange(changes()));

      expect(refused.error).toBe('invalid_grant');
      expect(refused.description).toContain(description);
    });

    it('an algorithm other than ES256: RSA, HMAC with the public key for a secret, and none', async () => {
      const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const unsigned = [
        { alg: 'none', typ: 'JWT', kid: d1.keyId },
        { iss: d1.issuerId, sub: d1.issuerId, exp: d1.now() + 60 },
      ]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .join('.');
      const forged = {
        RS256: await d1.assertion({ header: { alg: 'RS256' }, signWith: rsa.privateKey }),
        HS256: await d1.assertion({ header: { alg: 'HS256' }, signWith: spki(strangerKeys.publicKey) }),
        none: `${unsigned}.`,
      };

      for (const [algorithm, assertion] of Object.entries(forged)) {
        expect(refusal(await bank.send(d1.tokenRequest(assertion)))).toEqual({
          error: 'invalid_grant',
          description: `header alg is '${algorithm}'; only 'ES256' is accepted`,
        });
      }
    });

    it('a signature in DER, as KMS returns it, and says what it should have been', async () => {
      const [header, claims] = (await d1.assertion()).split('.');
      const der = sign('sha256', Buffer.from(`${header}.${claims}`), d1.privateKey);
      const refused = refusal(await bank.send(d1.tokenRequest(`${header}.${claims}.${der.toString('base64url')}`)));

      expect(refused.error).toBe('invalid_grant');
      expect(refused.description).toBe(
        `signature has ${der.byteLength} bytes; ES256 needs R and S of 32 bytes each, not DER (RFC 7518 section 3.4)`,
      );
    });

    it.each(['garbage', 'a.b', 'a.b.c', 'a.b.c.d.e', '..'])('%j, which is no JWT at all', async (assertion) => {
      expect(refusal(await bank.send(d1.tokenRequest(assertion)))).toEqual({
        error: 'invalid_grant',
        description: expect.stringContaining('assertion is not a signed JWT in compact form'),
      });
    });

    it('claims that are signed but are no JSON object', async () => {
      const header = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'JWT', kid: d1.keyId })).toString('base64url');
      const signed = `${header}.${Buffer.from('[1]').toString('base64url')}`;
      const signature = sign('sha256', Buffer.from(signed), { key: d1.privateKey, dsaEncoding: 'ieee-p1363' });
      const refused = refusal(await bank.send(d1.tokenRequest(`${signed}.${signature.toString('base64url')}`)));

      expect(refused).toEqual({
        error: 'invalid_grant',
        description: expect.stringContaining('its claims must be a JSON object'),
      });
    });

    it('one that was used before, for as long as it lives; after that it has expired', async () => {
      const used = d1.tokenRequest(await d1.assertion({ claims: { jti: 'once', exp: d1.now() + 300 } }));

      expect((await bank.send(used)).status).toBe(200);
      expect(refusal(await bank.send(used))).toEqual({
        error: 'invalid_grant',
        description: "claim jti 'once' was used before; each assertion is good for one request",
      });

      d1.advance(299);
      expect(refusal(await bank.send(used)).description).toContain("claim jti 'once' was used before");
      d1.advance(1);
      expect(refusal(await bank.send(used)).description).toContain('claim exp is 0 seconds in the past');
      expect((await exchange({ claims: { jti: 'once' } })).status).toBe(200);
    });

    it('one of ten copies that arrive together is good, nine are not', async () => {
      const crowd = d1.caller();
      const same = d1.tokenRequest(await d1.assertion());
      const replies = await Promise.all(Array.from({ length: 10 }, () => crowd.send(same)));

      expect(replies.map((reply) => reply.status).sort()).toEqual([200, ...Array(9).fill(400)]);
    });

    it('any in which one character was changed on the way', async () => {
      const assertion = await d1.assertion();
      // The last character of the signature carries bits that mean nothing, so it may change without harm.
      const position = fc.integer({ min: 0, max: assertion.length - 2 });
      await fc.assert(
        fc.asyncProperty(position, fc.constantFrom('A', 'z', '0', '_'), async (at, character) => {
          fc.pre(assertion[at] !== character);
          const changed = assertion.slice(0, at) + character + assertion.slice(at + 1);
          expect(refusal(await bank.send(d1.tokenRequest(changed))).error).toBe('invalid_grant');
        }),
        { numRuns: 60 },
      );
      expect((await bank.send(d1.tokenRequest(assertion))).status).toBe(200);
    });

    it('of an issuer that was removed', async () => {
      const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      d1.server.provisionIssuer({ issuerId: 'BANK-GONE1', keyId: 'gone', publicKey: spki(keys.publicKey) });
      d1.server.removeIssuer('BANK-GONE1');
      const changes = { header: { kid: 'gone' }, claims: { iss: 'BANK-GONE1', sub: 'BANK-GONE1' } };

      const refused = refusal(await exchange({ ...changes, signWith: keys.privateKey }));
      expect(refused.description).toContain("header kid 'gone' names no provisioned public key");
    });
  });

  describe('refuses a client certificate that is not the issuer’s', () => {
    it.each([
      ['another bank', clientName('BANK-00002')],
      ['a name that only contains the issuer', 'TLSMA-ECC/XBANK-00001X/PPR'],
    ])('%s: 403, and the assertion is not used up by it', async (_who, commonName) => {
      const assertion = await d1.assertion();
      const stranger = d1.caller({ certificate: await d1.clientAuthority.issue({ commonName, usage: 'client' }) });
      const reply = await stranger.send(d1.tokenRequest(assertion));

      expect(reply.status).toBe(403);
      expect(reply.headers['content-type']).toBe('application/json');
      expect(reply.json).toEqual({
        error: 'forbidden',
        error_description: `client certificate has the Common Name '${commonName}'; it must carry the issuer BANK-00001`,
      });
      expect((await bank.send(d1.tokenRequest(assertion))).status).toBe(200);
    });
  });

  describe('onboards', () => {
    const publicKey = spki(strangerKeys.publicKey);
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    it.each([
      ['no issuer identifier of another length', { issuerId: 'BANK', keyId: 'k', publicKey }, /ten characters/],
      ['no empty key identifier', { issuerId: 'BANK-00003', keyId: '', publicKey }, /keyId must not be empty/],
      [
        'no key identifier of another issuer',
        { issuerId: 'BANK-00003', keyId: 'bank-key-1', publicKey },
        /already a key of BANK-00001/,
      ],
      ['no key on another curve', { issuerId: 'BANK-00003', keyId: 'k', publicKey: spki(p384.publicKey) }, /P-256/],
    ])('%s', (_what, key, message) => {
      expect(() => d1.server.provisionIssuer(key)).toThrow(message);
    });
  });
});
