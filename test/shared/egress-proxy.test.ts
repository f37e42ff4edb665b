import type { TlsOptions } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type CertificateAuthority,
  createCertificateAuthority,
  type IssuedCertificate,
} from '../../sandbox/certificates.ts';
import { BrokerError } from '../../src/errors.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { EgressProxy } from '../../src/shared/egress-proxy.ts';
import { OpenAheadAgent } from '../../src/token-endpoint/open-ahead-agent.ts';
import { sendAssertion } from '../../src/token-endpoint/token-request.ts';
import { type ConnectProxy, startConnectProxy } from '../support/connect-proxy.ts';
import { type Behaviour, httpResponse, startHostileServer } from '../support/hostile-server.ts';
import { everythingPrintedOf, leakIn } from '../support/leaks.ts';
import { WatchedClock } from '../token-endpoint/watched-clock.ts';

const timeouts = { connectTimeoutMilliseconds: 3_000, exchangeTimeoutMilliseconds: 8_000 };
const credentials = 'teller:a-password-that-nobody-sees';
const answerWell: Behaviour = (socket) => socket.write(httpResponse(200, {}, 'x'.repeat(60_000)));

let serverAuthority: CertificateAuthority;
let clientAuthority: CertificateAuthority;
let serverTls: TlsOptions;
let clientCertificate: IssuedCertificate;
let clock: WatchedClock;
let toClose: { close(): unknown }[];

beforeAll(async () => {
  [serverAuthority, clientAuthority] = await Promise.all([
    createCertificateAuthority({ commonName: 'Server CA', clock: systemClock }),
    createCertificateAuthority({ commonName: 'Client CA', clock: systemClock }),
  ]);
  const issued = await serverAuthority.issue({ commonName: 'localhost', usage: 'server', dnsNames: ['localhost'] });
  serverTls = { cert: issued.certificatePem, key: issued.privateKeyPem };
  clientCertificate = await clientAuthority.issue({ commonName: 'TLSMA-ECC/ISSUER0001/PPR', usage: 'client' });
});

beforeEach(() => {
  clock = new WatchedClock();
  toClose = [];
});

afterEach(async () => {
  for (const each of toClose.reverse()) await each.close();
  expect(await clock.sleepers()).toBe(0);
});

async function serve(behaviour: Behaviour = answerWell, more: TlsOptions = {}) {
  const server = await startHostileServer({ ...serverTls, ...more }, behaviour);
  toClose.push(server);
  return server;
}

async function proxyThat(does: Parameters<typeof startConnectProxy>[0] = {}) {
  const proxy = await startConnectProxy(does);
  toClose.push(proxy);
  return proxy;
}

/** @param noProxy What is not gone to through it. */
function connect(proxy: ConnectProxy, origin: string, noProxy?: string, url = proxy.url) {
  const agent = new OpenAheadAgent(new URL(origin), {
    clientCertificate: {
      certificate: clientCertificate.certificatePem,
      privateKey: clientCertificate.privateKeyPem,
      caBundle: serverAuthority.certificatePem,
      proxyCredentials: credentials,
      subject: 'CN=TLSMA-ECC/ISSUER0001/PPR',
      notAfter: clientCertificate.notAfter.getTime(),
    },
    proxy: new EgressProxy(url, noProxy),
    connectTimeoutMilliseconds: timeouts.connectTimeoutMilliseconds,
    clock,
  });
  const post = () =>
    sendAssertion({
      url: `${origin}/oauth2/token`,
      assertion: 'an.assertion.sent',
      correlationId: 'story-1',
      agent,
      timeouts,
      clock,
    });
  const connection = { post, open: () => agent.openAhead(), close: () => agent.destroy() };
  toClose.push(connection);
  return connection;
}

async function failureOf(work: Promise<unknown>): Promise<BrokerError> {
  const error = await work.then(
    () => 'it succeeded',
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BrokerError)) throw new Error(`not a BrokerError: ${error}`);
  const basic = Buffer.from(credentials).toString('base64');
  expect(leakIn(everythingPrintedOf(error), [credentials, basic])).toBeUndefined();
  return error;
}

describe('the way through a proxy', () => {
  it('shows the client certificate at the far end, and the credentials to nobody but the proxy', async () => {
    const peers: unknown[] = [];
    const server = await serve(
      (socket, ...rest) => {
        peers.push(socket.authorized, socket.getPeerCertificate().subject.CN);
        answerWell(socket, ...rest);
      },
      { requestCert: true, ca: clientAuthority.certificatePem },
    );
    const proxy = await proxyThat();
    const { body } = await connect(proxy, server.origin).post();
    expect(body).toHaveLength(60_000);
    expect(peers).toEqual([true, 'TLSMA-ECC/ISSUER0001/PPR']);
    const target = `localhost:${server.port}`;
    expect(proxy.asked).toEqual([
      {
        target,
        headers: expect.objectContaining({
          host: target,
          'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}`,
        }),
      },
    ]);
    expect(String(server.requests)).not.toContain('proxy-authorization');
  });

  it('is opened ahead of the request, once, and kept alive for the next', async () => {
    const server = await serve();
    const proxy = await proxyThat();
    const connection = connect(proxy, server.origin);
    connection.open();
    await server.reached('handshakes', 1);
    for (let count = 0; count < 2; count += 1) {
      connection.open();
      await expect(connection.post()).resolves.toMatchObject({ status: 200 });
    }
    expect(server.handshakes).toBe(1);
    expect(proxy.asked).toHaveLength(1);
    connection.close();
    await proxy.allClosed();
    await server.allClosed();
  });

  it('leads past the proxy where NO_PROXY names the host', async () => {
    const server = await serve();
    const proxy = await proxyThat();
    await connect(proxy, server.origin, `elsewhere.example, localhost:${server.port}`).post();
    expect(proxy.asked).toEqual([]);
  });

  it('asks for an address in brackets, and uses the credentials of its URL where no others are given', async () => {
    const proxy = await proxyThat({ says: 'HTTP/1.1 403 Forbidden\r\n\r\n' });
    const url = new URL(proxy.url);
    url.username = 'us%65r';
    url.password = 'p%40ss';
    const tunnel = new EgressProxy(url).tunnel('::1', 8443, undefined);
    await expect(new Promise((_, reject) => tunnel.on('error', reject))).rejects.toMatchObject({
      kind: 'PROXY_REFUSED',
      code: 'HTTP_403',
    });
    expect(proxy.asked[0]).toMatchObject({
      target: '[::1]:8443',
      headers: { 'proxy-authorization': `Basic ${Buffer.from('user:p@ss').toString('base64')}` },
    });
  });
});

describe('a server behind a proxy', () => {
  it('that refuses the client certificate is told as if there were none', async () => {
    const server = await serve(answerWell, {
      requestCert: true,
      rejectUnauthorized: true,
      ca: serverAuthority.certificatePem,
    });
    const error = await failureOf(connect(await proxyThat(), server.origin).post());
    expect(error).toMatchObject({ certificateRefused: true });
    expect(error.code).toMatch(/^TOKEN_ENDPOINT_/);
  });

  it('that hangs up is told as if there were none', async () => {
    const server = await serve((socket) => socket.destroy());
    const error = await failureOf(connect(await proxyThat(), server.origin).post());
    expect(error.what).toContain('The token endpoint hung up without an answer');
  });
});

describe('a proxy', () => {
  it('that hangs up instead of an answer cannot be reached, and D1 refused no certificate', async () => {
    const server = await serve();
    const error = await failureOf(connect(await proxyThat({ says: '' }), server.origin).post());
    expect(error).toMatchObject({ code: 'PROXY_UNREACHABLE', retryable: true, certificateRefused: false });
    expect(error.what).toContain('ECONNRESET');
  });

  it('that speaks no HTTP cannot be reached', async () => {
    const server = await serve();
    const proxy = await proxyThat({ says: 'SSH-2.0-OpenSSH\r\n' });
    const error = await failureOf(connect(proxy, server.origin).post());
    expect(error.what).toContain('HPE_INVALID_CONSTANT');
    expect(error.code).toBe('PROXY_UNREACHABLE');
  });

  it('that never answers is left when the time for the connection is over', async () => {
    const server = await serve();
    const proxy = await proxyThat({ says: 'HTTP/1.1 ' });
    const failing = failureOf(connect(proxy, server.origin).post());
    await expect.poll(() => proxy.asked).toHaveLength(1);
    clock.advance(3_000);
    const error = await failing;
    expect(error.code).toBe('PROXY_UNREACHABLE');
    expect(error.what).toContain('it did not open a tunnel in time');
    await proxy.allClosed();
  });

  it('is not blamed when D1 is silent behind it', async () => {
    const server = await serve(() => {});
    const failing = failureOf(connect(await proxyThat(), server.origin).post());
    await server.reached('requests', 1);
    clock.advance(8_000);
    expect((await failing).what).toBe('The token endpoint did not answer within 8000 ms.');
  });

  it('that answers for D1 with something that is not TLS is told apart from a dead one', async () => {
    const server = await serve();
    const proxy = await proxyThat({ says: 'HTTP/1.1 200 OK\r\n\r\n<html>Welcome to the bank</html>' });
    const error = await failureOf(connect(proxy, server.origin).post());
    expect(error.code).toBe('TOKEN_ENDPOINT_UNREACHABLE');
    expect(error.what).toContain('did not complete the TLS handshake');
  });

  it('that listens with TLS must show a certificate that is trusted, whatever the environment says', async () => {
    const server = await serve();
    const proxy = await proxyThat({ tls: serverTls });
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      const error = await failureOf(connect(proxy, server.origin).post());
      expect(error).toMatchObject({ code: 'PROXY_UNREACHABLE', retryable: false });
      expect(proxy.asked).toEqual([]);
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    }
  });

  it.each(['http', 'https'])(
    'that listens with %s and inspects TLS is told from an outdated bundle',
    async (scheme) => {
      const server = await serve();
      const inspector = await createCertificateAuthority({ commonName: 'Inspecting Proxy CA', clock: systemClock });
      const forged = await inspector.issue({ commonName: 'localhost', usage: 'server', dnsNames: ['localhost'] });
      const inspects = { cert: forged.certificatePem, key: forged.privateKeyPem };
      const proxy = await proxyThat({ ...(scheme === 'https' && { tls: serverTls }), inspects });
      const { getCACertificates, setDefaultCACertificates } = await import('node:tls');
      const trusted = getCACertificates('default');
      setDefaultCACertificates([...trusted, serverAuthority.certificatePem]);
      try {
        const error = await failureOf(connect(proxy, server.origin).post());
        expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', untrusted: true });
        expect(error.what).toContain(`is not trusted through the egress proxy ${proxy.url.host}`);
        expect(error.remedy).toContain("Have the proxy tunnel D1's host, do not inspect it.");
        expect(proxy.asked).toHaveLength(1);
      } finally {
        setDefaultCACertificates(trusted);
      }
    },
  );
});

describe('NO_PROXY', () => {
  it.each([
    ['', 'api.example', true],
    ['api.example', 'api.example', false],
    ['API.example', 'api.Example.', false],
    ['example', 'api.example', false],
    ['.example', 'api.example', false],
    ['*.example', 'api.example', false],
    ['ample', 'api.example', true],
    ['api.example', 'example', true],
    ['a.example b.example,c.example', 'b.example', false],
    [' , ', 'api.example', true],
    ['*', 'api.example', false],
    ['api.example:443', 'api.example', false],
    ['api.example:8443', 'api.example', true],
    ['10.0.0.5', '10.0.0.5', false],
    ['[::1]:443', '::1', false],
    ['[::1]:444', '::1', true],
    ['.amazonaws.com', 'secretsmanager.eu-west-1.amazonaws.com', false],
  ])('%j: whether %s, port 443, is reached through the proxy: %s', (noProxy, host, through) => {
    const proxy = new EgressProxy(new URL('http://proxy.example'), noProxy);
    expect(proxy.leadsTo(host, 443)).toBe(through);
    const url = `https://${host.includes(':') ? `[${host}]` : host}/path`;
    expect(proxy.addressTo(url)).toBe(through ? 'proxy.example:80' : undefined);
  });
});
