import type { TLSSocket } from 'node:tls';
import { decodeJwt, jwtVerify } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { createCertificateAuthority } from '../../sandbox/certificates.ts';
import { ISSUER_ID, KEY_ID } from '../../sandbox/sandbox.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { httpResponse, startHoldingHop, startHostileServer } from '../support/hostile-server.ts';
import { everythingPrintedOf, leakIn } from '../support/leaks.ts';
import { type Desk, type DeskOptions, openDesk, outage } from './exchange-desk.ts';

const toClose: { close(): Promise<void> }[] = [];

async function open(options?: DeskOptions): Promise<Desk> {
  const desk = await openDesk(options);
  toClose.push(desk);
  return desk;
}

afterEach(async () => {
  for (const each of toClose.splice(0).reverse()) await each.close();
});

const formOf = ({ body }: { body: Buffer }) => new URLSearchParams(body.toString());

describe('an exchange that goes well', () => {
  it('is one POST with the grant, the assertion and the correlation id, and gives a token that D1 signed', async () => {
    const desk = await open();
    const before = desk.clock.now();
    const record = await desk.exchange();
    const obtained_at = Math.floor(before / 1000);
    expect(record).toMatchObject({
      ...{ token_type: 'Bearer', expires_in: 900, expires_at: obtained_at + 900, obtained_at },
      ...{ issuer_id: ISSUER_ID, key_id: KEY_ID, correlation_id: 'story-1', schema_version: 1 },
    });
    await jwtVerify(String(record?.access_token), desk.sandbox.d1.tokenPublicKey, { currentDate: new Date(before) });

    const [request] = desk.requests as [(typeof desk.requests)[0]];
    expect(request).toMatchObject({
      method: 'POST',
      path: '/authz/v1/oauth2/token',
      headers: {
        'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
        'x-correlation-id': 'story-1',
        'user-agent': 'd1-token-broker',
        'accept-encoding': 'identity',
      },
    });
    expect(request.headers).not.toHaveProperty('authorization');
    expect([...formOf(request).keys()].sort()).toEqual(['assertion', 'grant_type']);
    expect(formOf(request).get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
    expect(formOf(request).get('assertion')).toBe(desk.assertions[0]);
    expect(desk.journal.exchangeAttempts).toBe(1);
    expect(await desk.clock.sleepers()).toBe(0);
  });

  it('tells how many days the client certificate has left', async () => {
    const desk = await open();
    const notAfter = new Date(desk.clock.now() + 30.5 * 86_400_000);
    await desk.storeCertificate(await desk.sandbox.clientCertificateSecret({ notAfter }));
    await desk.exchange();
    expect(desk.journal.certificateDaysLeft).toBe(30);
  });

  it('shares its connection and its certificate with the next one', async () => {
    const desk = await open();
    await desk.exchange();
    await desk.exchange();
    expect(desk.requests).toHaveLength(2);
    expect(desk.sandbox.d1.connections).toBe(1);
    expect(desk.certificateReads()).toBe(1);
  });

  it('makes the handshake while KMS signs', async () => {
    const issued = await serverCertificate();
    const server = await startHostileServer(issued.tls, answerWithToken);
    toClose.push(server);
    const desk = await open({ url: server.url });
    const secret = JSON.parse(await desk.sandbox.clientCertificateSecret());
    await desk.storeCertificate(JSON.stringify({ ...secret, ca_bundle: issued.authorityPem }));
    const assertion = async () => {
      // Nothing is signed before the handshake is over: were it made after, this would wait for ever.
      await server.reached('handshakes', 1);
      expect(server.requests).toHaveLength(0);
      return 'an.assertion.x';
    };
    await expect(desk.exchange({ assertion })).resolves.toMatchObject({ access_token: 'a-token' });
    expect(server.handshakes).toBe(1);
  });
});

describe('an exchange that is tried again', () => {
  it('gets its token after two outages, with a new signature and a new jti each time, under one correlation id', async () => {
    const desk = await open({ fault: (nth, next) => (nth <= 2 ? outage(503) : next()) });
    await desk.exchange();
    expect(desk.requests).toHaveLength(3);
    expect(desk.signatures()).toBe(3);
    const sent = desk.requests.map((request) => String(formOf(request).get('assertion')));
    expect(sent).toEqual(desk.assertions);
    expect(new Set(sent.map((assertion) => decodeJwt(assertion).jti)).size).toBe(3);
    expect(desk.requests.map(({ headers }) => headers['x-correlation-id'])).toEqual(['story-1', 'story-1', 'story-1']);
    expect(desk.journal.exchangeAttempts).toBe(3);
    // Half of 200 ms, then half of 400 ms.
    expect(desk.clock.skipped).toEqual([100, 200]);
    expect(desk.sandbox.d1.connections).toBe(1);
  });

  it.each([408, 425, 429, 500, 502, 503, 504])(
    'is tried as often as configured and no more: HTTP %i',
    async (status) => {
      const desk = await open({ attempts: 2, fault: () => outage(status) });
      const error = await desk.failure();
      expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: true });
      expect(error.what).toContain(`HTTP ${status}`);
      expect(desk.requests).toHaveLength(2);
      expect(desk.signatures()).toBe(2);
      expect(desk.clock.skipped).toHaveLength(1);
    },
  );

  it.each([1, 5])('is tried %i times when that is configured', async (attempts) => {
    const desk = await open({ attempts, fault: () => outage(503) });
    await desk.failure();
    expect(desk.requests).toHaveLength(attempts);
  });

  it('waits as long as D1 asks, plus jitter: in seconds, and until a date', async () => {
    let clock: Desk['clock'] | undefined;
    const desk = await open({
      fault: (nth, next) => {
        const date = new Date(Math.ceil((clock?.now() ?? 0) / 1000) * 1000 + 5_000).toUTCString();
        if (nth === 1) return outage(429, { 'retry-after': '3' });
        if (nth === 2) return outage(503, { 'retry-after': date });
        return next();
      },
    });
    ({ clock } = desk);
    await desk.exchange();
    const [first, second] = desk.clock.skipped as [number, number];
    expect(first).toBe(3_100);
    expect(second).toBeGreaterThanOrEqual(5_200);
    expect(second).toBeLessThan(6_200);
  });

  it('does not wait for what lies beyond its deadline', async () => {
    const desk = await open({ fault: () => outage(503, { 'retry-after': '120' }) });
    const began = desk.clock.now();
    const error = await desk.failure({ remainingMilliseconds: 60_000 });
    expect(error.what).toContain('HTTP 503');
    expect(desk.requests).toHaveLength(1);
    expect(desk.clock.now()).toBe(began);
  });

  it.each([
    [599, 1],
    [600, 2],
  ])(
    'needs 500 ms after the delay of 100: with %i ms left there are %i attempts',
    async (remainingMilliseconds, count) => {
      const desk = await open({ attempts: 2, fault: (nth, next) => (nth === 1 ? next() : outage(503)) });
      // So that the certificate is in memory: this is about the attempts.
      await desk.exchange();
      await desk.failure({ remainingMilliseconds });
      expect(desk.requests).toHaveLength(1 + count);
    },
  );

  it('gets over an answer that was spoilt on its way, although D1 has used up the first jti', async () => {
    const desk = await open({
      fault: async (nth, next) => {
        const answer = await next();
        return nth === 1 ? { ...answer, headers: { 'content-type': 'text/html' }, body: '<html>' } : answer;
      },
    });
    await desk.exchange();
    expect(desk.requests).toHaveLength(2);
    expect(desk.sandbox.calls.count('d1', 'oauth2/token', ({ outcome }) => outcome === 'ok')).toBe(2);
  });

  it('gets over a connection that was cut after D1 had done its work', async () => {
    const desk = await open({
      fault: async (nth, next, _request, response) => {
        const answer = await next();
        if (nth > 1) return answer;
        response.destroy();
        return undefined;
      },
    });
    await desk.exchange();
    expect(desk.requests).toHaveLength(2);
    expect(desk.sandbox.d1.connections).toBe(2);
    // It might have been about the certificate, so that was read again; it had not changed.
    expect(desk.certificateReads()).toBe(2);
    expect(desk.clock.skipped).toEqual([100]);
  });

  it('gets over a D1 that does not answer in time', async () => {
    let silent = () => {};
    const asked = new Promise<void>((resolve) => {
      silent = resolve;
    });
    const desk = await open({
      fault: (nth, next) => {
        if (nth > 1) return next();
        silent();
        return new Promise(() => {});
      },
    });
    const exchanging = desk.exchange();
    await asked;
    desk.clock.advance(20_000);
    await exchanging;
    expect(desk.requests).toHaveLength(2);
  });
});

describe('an exchange that is not tried again', () => {
  it.each([400, 401, 403, 404, 302, 307, 201])('D1 answers HTTP %i', async (status) => {
    const body = '{"error":"invalid_grant","error_description":"kid is not known"}';
    const headers = { 'content-type': 'application/json', location: 'https://elsewhere.example/' };
    const desk = await open({ fault: () => outage(status, headers, body) });
    const error = await desk.failure();
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_REJECTED', retryable: false });
    expect(error.what).toContain(`HTTP ${status}`);
    expect(desk.requests).toHaveLength(1);
    expect(desk.clock.skipped).toEqual([]);
    expect(await desk.clock.sleepers()).toBe(0);
  });

  it('D1 refuses the assertion and quotes it: the error does not', async () => {
    const desk = await open({
      fault: (_nth, _next, request) => {
        const error_description = `cannot accept ${formOf(request).get('assertion')}`;
        const headers = { 'content-type': 'application/json' };
        return outage(400, headers, JSON.stringify({ error: 'invalid_grant', error_description }));
      },
    });
    const error = await desk.failure();
    expect(error.what).toContain('invalid_grant: (not shown: it repeats the assertion)');
    expect(leakIn(everythingPrintedOf(error), desk.assertions)).toBeUndefined();
    expect(error).not.toHaveProperty('cause');
  });

  it('D1 does not know the key: its reason is in the error', async () => {
    const desk = await open();
    desk.sandbox.d1.removeIssuer(ISSUER_ID);
    const error = await desk.failure();
    expect(error.what).toContain('HTTP 400, invalid_grant');
    expect(error.remedy).toContain('public key provisioned at D1');
  });

  it('KMS does not sign: D1 is not asked', async () => {
    const desk = await open();
    await desk.sandbox.kms.handle('DisableKey', { KeyId: desk.sandbox.signingKeyId });
    expect(await desk.failure()).toMatchObject({ code: 'SIGNING_FAILED' });
    expect(desk.requests).toHaveLength(0);
  });

  it('there is no client certificate: D1 is not asked, and the signature under way ends in peace', async () => {
    const desk = await open();
    await desk.storeCertificate('{}');
    expect(await desk.failure()).toMatchObject({ code: 'CLIENT_CERTIFICATE_INVALID' });
    expect(desk.sandbox.d1.connections).toBe(0);
  });

  it('the invocation is over while D1 thinks: its reason is what ends the exchange', async () => {
    const invocation = new AbortController();
    const desk = await open({
      fault: async () => {
        invocation.abort();
        return outage(503);
      },
    });
    const ended = await desk.exchange({ signal: invocation.signal }).catch((thrown: unknown) => thrown);
    expect(ended).toBe(invocation.signal.reason);
    expect(desk.requests).toHaveLength(1);
    expect(await desk.clock.sleepers()).toBe(0);
  });

  it('the invocation is over while it waits for the next attempt', async () => {
    const invocation = new AbortController();
    const desk = await open({ fault: () => outage(503, { 'retry-after': '30' }) });
    const failing = desk.failure({ signal: invocation.signal });
    while (desk.requests.length === 0 || !desk.clock.isAsleep(30_100)) await new Promise(setImmediate);
    invocation.abort();
    expect((await failing).what).toContain('HTTP 503');
    expect(desk.signatures()).toBe(1);
    expect(desk.sandbox.d1.connections).toBe(1);
    expect(await desk.clock.sleepers()).toBe(0);
  });
});

describe('a client certificate that is renewed', () => {
  /** A new authority at Thales: D1 trusts it, and its predecessor no longer. */
  async function replaceAuthority({ sandbox }: Desk): Promise<string> {
    const authority = await createCertificateAuthority({ commonName: 'New Client CA', clock: systemClock });
    const issued = await authority.issue({ commonName: `TLSMA-ECC/${ISSUER_ID}/PPR`, usage: 'client' });
    const { ca_bundle } = JSON.parse(await sandbox.clientCertificateSecret());
    sandbox.d1.trustClientAuthority(authority.certificatePem);
    sandbox.d1.distrustClientAuthority(sandbox.clientAuthority.certificatePem);
    return JSON.stringify({ certificate: issued.certificatePem, private_key: issued.privateKeyPem, ca_bundle });
  }

  it('is used at once when the old one is refused in the handshake, on top of the attempts', async () => {
    const desk = await open({ attempts: 1 });
    await desk.exchange();
    await desk.storeCertificate(await replaceAuthority(desk));
    // The connection of the first exchange is too old to be used again: there is a new handshake.
    desk.clock.advance(60_000);
    await desk.exchange();
    expect(desk.sandbox.d1.refusedHandshakes.length).toBeGreaterThan(0);
    expect(desk.sandbox.d1.lastHandshake?.clientSubject).toBe(`CN=TLSMA-ECC/${ISSUER_ID}/PPR`);
    expect(desk.requests).toHaveLength(2);
    expect(desk.certificateReads()).toBe(2);
    expect(desk.clock.skipped).toEqual([]);
    expect(desk.warnings).toEqual([]);
  });

  it('is used at once when the refusal comes while KMS signs, and the connection seems to be open', async () => {
    // Node's own server hangs up on a bad certificate; OpenSSL's alert goes to who has none that the server can check.
    const refusing = await serverCertificate('RSA');
    const refusal = await startHostileServer(
      { ...refusing.tls, sigalgs: 'rsa_pss_rsae_sha256', requestCert: true, rejectUnauthorized: true },
      () => {},
    );
    const willing = await serverCertificate();
    const server = await startHostileServer(willing.tls, answerWithToken);
    const hungUp = Promise.withResolvers<void>();
    const hop = await startHoldingHop(() => (desk.certificateReads() < 2 ? refusal : server).port, hungUp.resolve);
    const desk = await open({ attempts: 1, url: hop.url });
    toClose.push(refusal, server, hop);
    const ca_bundle = refusing.authorityPem + willing.authorityPem;
    const renew = async () => {
      const secret = JSON.parse(await desk.sandbox.clientCertificateSecret());
      await desk.storeCertificate(JSON.stringify({ ...secret, ca_bundle }));
    };
    await renew();
    const assertion = async () => {
      await hungUp.promise;
      // The alert went out before the server hung up; by now Node has read it.
      for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
      await renew();
      return 'an.assertion.x';
    };
    await expect(desk.exchange({ assertion })).resolves.toMatchObject({ access_token: 'a-token' });
    expect(refusal.requests).toHaveLength(0);
    expect(server.requests).toHaveLength(1);
    expect(desk.certificateReads()).toBe(2);
    expect(desk.warnings).toEqual([]);
  });

  it.each([401, 403])('is used at once when D1 answers HTTP %i', async (status) => {
    const desk = await open({ attempts: 1, fault: (nth, next) => (nth === 2 ? outage(status) : next()) });
    await desk.exchange();
    await desk.storeCertificate(await desk.sandbox.clientCertificateSecret());
    await desk.exchange();
    expect(desk.requests).toHaveLength(3);
    expect(desk.sandbox.d1.connections).toBe(2);
    expect(desk.clock.skipped).toEqual([]);
    const lastTwo = desk.assertions.slice(-2).map((assertion) => decodeJwt(assertion).jti);
    expect(new Set(lastTwo).size).toBe(2);
  });

  it('does not use up one of the attempts', async () => {
    const faults: Record<number, number> = { 2: 401, 3: 503 };
    const desk = await open({ attempts: 2, fault: (nth, next) => (faults[nth] ? outage(faults[nth]) : next()) });
    await desk.exchange();
    await desk.storeCertificate(await desk.sandbox.clientCertificateSecret());
    await desk.exchange();
    expect(desk.requests).toHaveLength(4);
  });

  it('is asked for once only: the old one, refused again and again, ends in the refusal', async () => {
    const desk = await open({ attempts: 3 });
    await desk.exchange();
    await replaceAuthority(desk);
    desk.clock.advance(60_000);
    const error = await desk.failure();
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: true });
    expect(error.what).toContain('as it may when it refuses a client certificate');
    expect(desk.requests).toHaveLength(1);
    expect(desk.certificateReads()).toBe(2);
  });

  it('cannot be read: the refusal is the error, and that is told beside it', async () => {
    const desk = await open({ fault: (nth, next) => (nth === 1 ? next() : outage(401)) });
    await desk.exchange();
    await desk.storeCertificate('not JSON');
    const error = await desk.failure();
    expect(error.what).toContain('HTTP 401');
    expect(desk.warnings).toMatchObject([{ code: 'CLIENT_CERTIFICATE_INVALID' }]);
    expect(desk.requests).toHaveLength(2);
  });

  it('does not rescue an exchange that is refused for another reason a second time', async () => {
    const desk = await open({ fault: (nth, next) => (nth === 1 ? next() : outage(401)) });
    await desk.exchange();
    await desk.storeCertificate(await desk.sandbox.clientCertificateSecret());
    expect((await desk.failure()).what).toContain('HTTP 401');
    // One with the old certificate, one with the new one, and the end.
    expect(desk.requests).toHaveLength(3);
    expect(desk.certificateReads()).toBe(2);
  });

  it('is taken into use when the old one is due to be read again, over a connection of its own', async () => {
    const desk = await open();
    await desk.exchange();
    await desk.storeCertificate(await desk.sandbox.clientCertificateSecret());
    desk.clock.advance(3_600_000);
    await desk.exchange();
    expect(desk.sandbox.d1.connections).toBe(2);
    expect(desk.requests).toHaveLength(2);
  });
});

describe('a CA bundle that is renewed', () => {
  it('is used at once when the server is not trusted by the old one, on top of the attempts', async () => {
    const [before, after] = await Promise.all([serverCertificate(), serverCertificate()]);
    const server = await startHostileServer(after.tls, answerWithToken);
    toClose.push(server);
    const desk = await open({ attempts: 1, url: server.url });
    const secret = JSON.parse(await desk.sandbox.clientCertificateSecret());
    const trusting = (ca_bundle: string) => desk.storeCertificate(JSON.stringify({ ...secret, ca_bundle }));
    await trusting(before.authorityPem);
    const error = await desk.failure();
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: false });
    expect(error.what).toContain('is not trusted');
    // Read again, and found to be the same: there is nothing to try.
    expect(desk.certificateReads()).toBe(2);
    await trusting(after.authorityPem);
    await expect(desk.exchange()).resolves.toMatchObject({ access_token: 'a-token' });
    expect(server.requests).toHaveLength(1);
    expect(desk.certificateReads()).toBe(3);
    expect(desk.warnings).toEqual([]);
  });
});

const answerWithToken = (socket: TLSSocket) =>
  void socket.write(httpResponse(200, { 'content-type': 'application/json' }, '{"access_token":"a-token"}'));

async function serverCertificate(keyAlgorithm?: 'RSA') {
  const authority = await createCertificateAuthority({ commonName: 'Another Server CA', clock: systemClock });
  const issued = await authority.issue({
    commonName: 'localhost',
    usage: 'server',
    dnsNames: ['localhost'],
    ...(keyAlgorithm && { keyAlgorithm }),
  });
  return {
    authorityPem: authority.certificatePem,
    tls: { cert: issued.certificatePem, key: issued.privateKeyPem },
  };
}
