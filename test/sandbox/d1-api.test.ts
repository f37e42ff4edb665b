import { generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCertificateAuthority } from '../../sandbox/certificates.ts';
import type { Intercept } from '../../sandbox/d1/server.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { type Caller, clientName, type D1World, spki, startD1World } from '../support/d1-client.ts';

describe('the D1 sandbox', () => {
  let d1: D1World;
  let bank: Caller;
  beforeAll(async () => {
    d1 = await startD1World();
    bank = d1.caller({ keepAlive: true });
  });
  afterAll(() => d1.close());

  const getToken = async () => String((await bank.send(d1.tokenRequest(await d1.assertion()))).json['access_token']);
  const getIssuer = (token: string, issuerId = d1.issuerId) =>
    bank.send({ path: `/banking/v1/issuers/${issuerId}`, headers: { authorization: `Bearer ${token}` } });

  describe('serves the banking API on the host of the token endpoint', () => {
    it('and lets a bank read its own issuer with the token it was given', async () => {
      const reply = await getIssuer(await getToken());

      expect(reply.status).toBe(200);
      expect(reply.headers['content-type']).toBe('application/json');
      expect(reply.json).toEqual({
        issuerId: d1.issuerId,
        name: 'Sandbox issuer BANK-00001',
        status: 'ACTIVE',
      });
    });

    it('and notes the call, the correlation id and the handshake, but not the token', async () => {
      const token = await getToken();
      const reply = await bank.send({
        path: `/banking/v1/issuers/${d1.issuerId}`,
        headers: { authorization: `Bearer ${token}`, 'x-correlation-id': 'story-1' },
      });

      expect(reply.headers['x-correlation-id']).toBe('story-1');
      expect(d1.calls.all().at(-1)).toMatchObject({
        service: 'd1',
        operation: 'banking/issuers',
        outcome: 'ok',
        requestId: 'story-1',
        input: { issuerId: d1.issuerId, tlsProtocol: 'TLSv1.3' },
      });
      expect(JSON.stringify(d1.calls.all())).not.toContain('eyJ');
    });

    it('but asks for a token when there is none', async () => {
      const reply = await bank.send({ path: `/banking/v1/issuers/${d1.issuerId}` });

      expect(reply.status).toBe(401);
      expect(reply.headers['www-authenticate']).toBe('Bearer realm="d1-sandbox"');
      expect(reply.json['error_description']).toContain('header authorization is missing');
    });

    it.each([
      ['Basic credentials', 'Basic dXNlcjpwYXNz', 'header authorization is not Bearer and an access token'],
      ['Bearer and nothing', 'Bearer', 'header authorization is not Bearer and an access token'],
      ['a token that is no JWT', 'Bearer abc', 'access token was not issued here'],
    ])('but refuses %s', async (_what, authorization, reason) => {
      const reply = await bank.send({ path: `/banking/v1/issuers/${d1.issuerId}`, headers: { authorization } });

      expect(reply.status).toBe(401);
      expect(reply.headers['www-authenticate']).toBe(
        `Bearer realm="d1-sandbox", error="invalid_token", error_description="${reason}"`,
      );
      expect(reply.json).toEqual({ error: 'invalid_token', error_description: reason });
      expect(d1.calls.all().at(-1)?.outcome).toBe('invalid_token');
    });

    it('but refuses a token that someone else signed, and an assertion instead of a token', async () => {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const forged = await new SignJWT({ iss: 'https://api.d1.thalescloud.io', sub: d1.issuerId, exp: d1.now() + 900 })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
        .sign(privateKey);

      for (const token of [forged, await d1.assertion()]) {
        const reply = await getIssuer(token);
        expect(reply.status).toBe(401);
        expect(reply.json['error_description']).toBe('access token was not issued here');
      }
    });

    it('but refuses a token from its 900th second on', async () => {
      const token = await getToken();
      d1.advance(899);
      expect((await getIssuer(token)).status).toBe(200);
      d1.advance(1);

      const reply = await getIssuer(token);
      expect(reply.status).toBe(401);
      expect(reply.headers['www-authenticate']).toContain('error_description="access token expired"');
    });

    it('but refuses tokens that were revoked, and takes those that came after', async () => {
      const before = await getToken();
      d1.server.revokeAccessTokens(d1.issuerId);
      const after = await getToken();

      const reply = await getIssuer(before);
      expect(reply.status).toBe(401);
      expect(reply.headers['www-authenticate']).toContain('error_description="access token was revoked"');
      expect((await getIssuer(after)).status).toBe(200);
    });

    it("but not another issuer's data: 403; nor an unknown issuer's: 404", async () => {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      d1.server.provisionIssuer({ issuerId: 'BANK-00002', keyId: 'other', publicKey: spki(publicKey) });
      const token = await getToken();

      const other = await getIssuer(token, 'BANK-00002');
      expect(other.status).toBe(403);
      expect(other.json).toEqual({
        error: 'insufficient_scope',
        error_description: 'access token belongs to another issuer',
      });
      const unknown = await getIssuer(token, 'BANK-99999');
      expect(unknown.status).toBe(404);
      expect(unknown.json['error']).toBe('not_found');
    });

    it('but only for reading: 405, and says what is allowed', async () => {
      const reply = await bank.send({ method: 'DELETE', path: `/banking/v1/issuers/${d1.issuerId}` });

      expect(reply.status).toBe(405);
      expect(reply.headers['allow']).toBe('GET');
    });

    it('and nothing else: 404', async () => {
      for (const path of ['/', '/authz/v1', '/banking/v1/issuers/', '/banking/v1/issuers/a/b']) {
        expect((await bank.send({ path })).status).toBe(404);
      }
    });
  });

  describe('is reached over mutual TLS only', () => {
    const knock = (caller: Caller) => caller.send({ path: '/authz/v1/oauth2/token' });
    const refusedFor = async (caller: Caller, reason: string) => {
      const { connections, refusedHandshakes } = d1.server;
      const known = refusedHandshakes.length;
      const heard = d1.calls.mark();

      await expect(knock(caller)).rejects.toThrow();
      // The server may learn of the end a moment after its client.
      await expect.poll(() => refusedHandshakes.slice(known), { timeout: 30_000 }).toEqual([reason]);
      expect(d1.server.connections).toBe(connections);
      expect(d1.calls.since(heard)).toEqual([]);
    };

    it.each(['TLSv1.2', 'TLSv1.3'] as const)('with %s, and knows who called how', async (tlsVersion) => {
      expect((await knock(d1.caller({ tlsVersion }))).status).toBe(405);
      expect(d1.server.lastHandshake).toEqual({
        clientSubject: 'O=Example Bank, CN=TLSMA-ECC/BANK-00001/PPR',
        clientCommonName: 'TLSMA-ECC/BANK-00001/PPR',
        clientFingerprint: expect.stringMatching(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/),
        protocol: tlsVersion,
        cipher: expect.stringMatching(/^TLS_/),
      });
    });

    it('and with an RSA-4096 client certificate as well', async () => {
      const certificate = await d1.clientAuthority.issue({
        commonName: `TLSMA-RSA/${d1.issuerId}/PPR`,
        usage: 'client',
        keyAlgorithm: 'RSA',
      });
      const reply = await d1.caller({ certificate }).send(d1.tokenRequest(await d1.assertion()));

      expect(reply.status).toBe(200);
    });

    it('so not with TLS 1.1', () => refusedFor(d1.caller({ tlsVersion: 'TLSv1.1' }), 'ERR_SSL_UNSUPPORTED_PROTOCOL'));

    it.each(['TLSv1.2', 'TLSv1.3'] as const)('nor without a client certificate (%s)', (tlsVersion) =>
      refusedFor(d1.caller({ certificate: undefined, tlsVersion }), 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'),
    );

    it("nor with one of another authority, be it the one that signs D1's own certificate", async () => {
      const request = { commonName: clientName(d1.issuerId), usage: 'client' as const };
      const stranger = await createCertificateAuthority({ commonName: 'Sandbox Client CA', clock: systemClock });
      const namesake = await stranger.issue(request);
      const ofServerAuthority = await d1.serverAuthority.issue(request);

      await refusedFor(d1.caller({ certificate: namesake }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
      await refusedFor(d1.caller({ certificate: ofServerAuthority }), 'SELF_SIGNED_CERT_IN_CHAIN');
    });

    it('nor with one that has expired, or is not valid yet', async () => {
      const request = { commonName: clientName(d1.issuerId), usage: 'client' as const };
      const past = { notBefore: new Date('2020-01-01'), notAfter: new Date('2021-01-01') };
      const future = { notBefore: new Date('2998-01-01'), notAfter: new Date('2999-01-01') };
      const expired = await d1.clientAuthority.issue({ ...request, ...past });
      const early = await d1.clientAuthority.issue({ ...request, ...future });

      await refusedFor(d1.caller({ certificate: expired }), 'CERT_HAS_EXPIRED');
      await refusedFor(d1.caller({ certificate: early }), 'CERT_NOT_YET_VALID');
    });

    it('nor with one that is meant for a server', async () => {
      const certificate = await d1.clientAuthority.issue({ commonName: clientName(d1.issuerId), usage: 'server' });

      await refusedFor(d1.caller({ certificate }), 'INVALID_PURPOSE');
    });

    it('one handshake for many requests when the client keeps its connection, one for each when it does not', async () => {
      const before = d1.server.connections;
      const thrifty = d1.caller({ keepAlive: true });
      for (let request = 0; request < 5; request += 1) await knock(thrifty);
      expect(d1.server.connections - before).toBe(1);

      const wasteful = d1.caller({ keepAlive: false });
      for (let request = 0; request < 5; request += 1) await knock(wasteful);
      expect(d1.server.connections - before).toBe(6);
    });
  });

  it('renews what it trusts while it runs: the new client authority first beside the old one, then alone', async () => {
    const world = await startD1World();
    const { clientAuthority: next } = d1;
    const renewed = await next.issue({ commonName: clientName(world.issuerId), usage: 'client' });
    const callWith = async (certificate: typeof renewed) =>
      (await world.caller({ certificate }).send(world.tokenRequest(await world.assertion()))).status;

    await expect(callWith(renewed)).rejects.toThrow();
    world.server.trustClientAuthority(next.certificatePem);
    expect(await callWith(renewed)).toBe(200);
    expect(await callWith(world.clientCertificate)).toBe(200);
    world.server.distrustClientAuthority(world.clientAuthority.certificatePem);
    expect(await callWith(renewed)).toBe(200);
    await expect(callWith(world.clientCertificate)).rejects.toThrow();
    await world.close();
  });

  it('renews its own certificate while it runs, and a client that does not know the authority walks away', async () => {
    const world = await startD1World();
    const localhost = { commonName: 'localhost', usage: 'server' as const, dnsNames: ['localhost'] };
    const knock = () => world.caller().send({ path: '/' });

    world.server.useServerCertificate(await world.serverAuthority.issue(localhost));
    expect((await knock()).status).toBe(404);
    world.server.useServerCertificate(await d1.serverAuthority.issue(localhost));
    await expect(knock()).rejects.toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
    await world.close();
  });

  describe('has one place for faults', () => {
    const call = async (intercept: Intercept) => {
      const world = await startD1World({ intercept });
      const reply = world.caller().send(world.tokenRequest(await world.assertion({ claims: { jti: 'once' } })));
      return { world, reply };
    };

    it('an outage answers instead of D1, which does not hear the request', async () => {
      const outage = { status: 503, headers: { 'retry-after': '2' }, body: 'busy', outcome: 'outage' };
      const { world, reply } = await call(async () => outage);

      expect(await reply).toMatchObject({ status: 503, text: 'busy', headers: { 'retry-after': '2' } });
      expect(world.calls.all().map((made) => made.outcome)).toEqual(['outage']);
      await world.close();
    });

    it('an answer can get lost on the way although D1 gave it', async () => {
      let given: number | undefined;
      const { world, reply } = await call(async (_request, next, response) => {
        given = (await next()).status;
        response.destroy();
        return undefined;
      });

      await expect(reply).rejects.toMatchObject({ code: 'ECONNRESET' });
      expect(given).toBe(200);
      expect(world.calls.all().map((made) => made.outcome)).toEqual(['ok']);
      await world.close();
    });

    it('a request can get lost on the way, before D1 hears it', async () => {
      const { world, reply } = await call(async (_request, _next, response) => {
        response.destroy();
        return undefined;
      });

      await expect(reply).rejects.toMatchObject({ code: 'ECONNRESET' });
      expect(world.calls.all().map((made) => made.outcome)).toEqual(['connection_lost']);
      await world.close();
    });

    it('a fault that fails itself is a 500', async () => {
      const { world, reply } = await call(async () => {
        throw new Error('out of ideas');
      });

      expect((await reply).status).toBe(500);
      await world.close();
    });
  });

  it('closes at once, with keep-alive connections open and a request unanswered, and may be closed twice', async () => {
    let arrived: (() => void) | undefined;
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const world = await startD1World({
      intercept: async (request, next) => {
        if (request.path === '/idle') return await next();
        arrived?.();
        return await new Promise(() => {});
      },
    });
    await world.caller({ keepAlive: true }).send({ path: '/idle' });
    const unanswered = world.caller({ keepAlive: true }).send({ path: '/never' });
    const lost = expect(unanswered).rejects.toMatchObject({ code: 'ECONNRESET' });
    await arrival;

    await world.server.close();
    await lost;
    await world.close();
    expect(world.calls.all().map((call) => call.outcome)).toEqual(['not_found', 'connection_lost']);
  });
});
