import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bundleHandler } from '../../sandbox/bundle.ts';
import { createCertificateAuthority, type IssuedCertificate } from '../../sandbox/certificates.ts';
import type { Container } from '../../sandbox/lambda/container.ts';
import { KEY_ID } from '../../sandbox/sandbox.ts';
import type { CheckReport } from '../../src/shared/check-report.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { startTcpServer } from '../support/hostile-server.ts';
import { freePort } from '../support/ports.ts';
import { findLeaks } from '../telemetry/leak-search.ts';
import { type Habit, type Squid, startSquid } from './squid.ts';
import { type Ended, openTunnelledBank, type TunnelledBank, tick } from './tunnelled-bank.ts';

const password = randomBytes(24).toString('hex');
const wrongPassword = randomBytes(24).toString('hex');
const right = `teller:${password}`;
const wrong = `teller:${wrongPassword}`;

let folder: string;
let bundle: string;
let certificate: IssuedCertificate;
let authorityPem: string;
let squid: Squid;
let bank: TunnelledBank;
let containers: Container[];
let ends: Ended[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'd1-proxy-'));
  const authority = await createCertificateAuthority({ commonName: 'Bank CA', clock: systemClock });
  authorityPem = authority.certificatePem;
  certificate = await authority.issue({ commonName: 'localhost', usage: 'server', dnsNames: ['localhost'] });
  squid = await startSquid(certificate, right);
  bundle = (await bundleHandler(join(folder, 'handler'))).file;
});

afterAll(async () => {
  await squid?.close();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  containers = [];
  ends = [];
  bank = await openTunnelledBank({ bundle, folder, certificate, authorityPem });
});

afterEach(async () => {
  // Whatever a test was about: nothing that anybody printed or answered shows credentials.
  const emitted = [...containers.flatMap(({ output }) => output), JSON.stringify(ends)].join('\n');
  await bank.close();
  expect(emitted.length).toBeGreaterThan(100);
  const secrets = [password, wrongPassword, right, wrong].map((text, at) => ({ label: `secret ${at}`, text }));
  expect(findLeaks(emitted, secrets)).toEqual([]);
});

async function start(environment: Record<string, string>): Promise<Container> {
  const container = await bank.container(environment);
  containers.push(container);
  return container;
}

async function tickOf(container: Container): Promise<Ended> {
  const ended = await tick(container);
  ends.push(ended);
  return ended;
}

/** `user:password@` in a proxy's URL. */
const withUser = (url: string, user: string) => url.replace('://', `://${user}@`);

const schemes = ['http', 'https'] as const;
/** Whether NO_PROXY names AWS, as with VPC endpoints, or AWS is reached through the proxy as D1 is. */
const awsWays = ['direct', 'through the proxy'] as const;

describe.each(schemes)('an %s proxy', (scheme) => {
  describe.each(awsWays)('AWS %s', (way) => {
    const environment = (url: string) => ({
      HTTPS_PROXY: url,
      ...(way === 'direct' && { NO_PROXY: `169.254.169.254, ${bank.aws}` }),
    });
    const at = (habit: Habit) => environment(squid.url(scheme, habit));
    /** With the credentials where they belong: in the secret, or where that is behind the proxy, in the URL. */
    const authenticated = async (credentials: string) => {
      const url = squid.url(scheme, 'authenticated');
      if (way === 'through the proxy') return environment(withUser(url, credentials));
      await bank.storeCredentials(credentials);
      return environment(url);
    };
    const theHost = () => (way === 'direct' ? bank.d1 : 'the AWS service Secrets Manager');

    const mustRefresh = async (container: Container) => {
      expect(await tickOf(container)).toEqual({ code: 'ok', message: '' });
      expect(bank.sandbox.d1.connections).toBe(1);
      expect(bank.sandbox.d1.lastHandshake?.clientFingerprint).toBe(await bank.fingerprint());
    };

    it('tunnels: the client certificate is seen at the far end', async () => {
      const container = await start(at('open'));
      await mustRefresh(container);
      await container.kill();
      // Squid writes a tunnel into its log when it is over.
      await expect.poll(() => squid.log()).toContain(`CONNECT ${bank.d1} `);
      const log = await squid.log();
      expect(log.includes(`CONNECT ${bank.aws} `)).toBe(way === 'through the proxy');
    });

    it('lets in who has the right credentials', async () => {
      await mustRefresh(await start(await authenticated(right)));
    });

    it('refuses wrong credentials', async () => {
      const { code, message } = await tickOf(await start(await authenticated(wrong)));
      expect(code).toBe('PROXY_REFUSED');
      expect(message).toContain(`did not open a tunnel to ${theHost()}: it asks for credentials`);
      expect(message).toContain('(HTTP_407)');
    });

    it('refuses who has none', async () => {
      const { code, message } = await tickOf(await start(at('authenticated')));
      expect(code).toBe('PROXY_REFUSED');
      expect(message).toContain('(HTTP_407)');
    });

    it('forbids the host', async () => {
      const { code, message } = await tickOf(await start(at('forbidden')));
      expect(code).toBe('PROXY_REFUSED');
      expect(message).toContain(`did not open a tunnel to ${theHost()}: a rule of its own forbids it (HTTP_403)`);
    });

    it('is dead', async () => {
      const port = await freePort();
      const { code, message } = await tickOf(await start(environment(`${scheme}://localhost:${port}`)));
      expect(code).toBe('PROXY_UNREACHABLE');
      expect(message).toContain(`The egress proxy localhost:${port} could not be used to reach ${theHost()}`);
      expect(message).toContain('ECONNREFUSED');
    });

    it('hangs', async () => {
      const silent = await startTcpServer();
      try {
        const { code, message } = await tickOf(
          await start({
            ...environment(`${scheme}://localhost:${silent.port}`),
            D1_CONNECT_TIMEOUT_MILLISECONDS: '500',
          }),
        );
        expect(code).toBe('PROXY_UNREACHABLE');
        expect(message).toContain(`to reach ${theHost()}: it did not open a tunnel in time`);
        // Nothing is left of it that would fill the container's file descriptors, tick by tick.
        await silent.allClosed();
      } finally {
        await silent.close();
      }
    });
  });

  it('does not reach D1 itself', async () => {
    const nobody = await freePort();
    const container = await start({
      HTTPS_PROXY: squid.url(scheme, 'open'),
      NO_PROXY: bank.aws,
      D1_ENVIRONMENT: `https://localhost:${nobody}/authz/v1`,
    });
    const { code, message } = await tickOf(container);
    expect(code).toBe('PROXY_REFUSED');
    expect(message).toContain(`to localhost:${nobody}: it may not reach that host itself (HTTP_503)`);
  });

  it('is told by a check, with its host and port', async () => {
    await bank.storeCredentials(right);
    const url = squid.url(scheme, 'authenticated');
    const container = await start({ https_proxy: url, no_proxy: bank.aws });
    const report = (await container.invoke({ action: 'check' })) as CheckReport;
    ends.push({ code: 'ok', message: JSON.stringify(report) });
    expect(report).toMatchObject({ passed: true, key_id: KEY_ID });
    const connection = report.steps.find(({ step }) => step === 'connection');
    expect(connection).toMatchObject({ facts: { proxy: new URL(url).host, tls_version: 'TLSv1.3' } });
  });

  it('is not gone to when NO_PROXY names D1 too', async () => {
    const container = await start({ HTTPS_PROXY: squid.url(scheme, 'forbidden'), NO_PROXY: 'localhost' });
    expect(await tickOf(container)).toEqual({ code: 'ok', message: '' });
  });
});

describe('credentials in the client-certificate secret', () => {
  it('that were corrected are used by the container that was refused, at the next tick', async () => {
    await bank.storeCredentials(wrong);
    const container = await start({ HTTPS_PROXY: squid.url('http', 'authenticated'), NO_PROXY: bank.aws });
    expect((await tickOf(container)).code).toBe('PROXY_REFUSED');
    await bank.storeCredentials(right);
    expect((await tickOf(container)).code).toBe('ok');
  });
});

describe('an https proxy whose own certificate is not trusted', () => {
  it('gets no credentials, and is no D1', async () => {
    await bank.storeCredentials(right);
    const container = await start({
      HTTPS_PROXY: squid.url('https', 'authenticated').replace('localhost', '127.0.0.1'),
      NO_PROXY: bank.aws,
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
    });
    const { code, message } = await tickOf(container);
    expect(code).toBe('PROXY_UNREACHABLE');
    expect(message).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(message).toContain('NODE_EXTRA_CA_CERTS');
  });
});

// Squid inspects on a port without TLS only; test/shared/egress-proxy.test.ts has one of its own with TLS.
describe('a proxy that inspects TLS', () => {
  it('is told from a D1 whose certificate is not trusted', async () => {
    const url = squid.url('http', 'inspecting');
    const { code, message } = await tickOf(await start({ HTTPS_PROXY: url, NO_PROXY: bank.aws }));
    expect(code).toBe('TOKEN_ENDPOINT_UNREACHABLE');
    expect(message).toContain(`server certificate is not trusted through the egress proxy ${new URL(url).host}`);
    expect(message).toContain("Have the proxy tunnel D1's host, do not inspect it.");
    expect(bank.sandbox.d1.connections).toBe(0);
  });

  it('stands before AWS too: what cannot be read is told with the reason', async () => {
    const { code, message } = await tickOf(await start({ HTTPS_PROXY: squid.url('http', 'inspecting') }));
    expect(code).toBe('TOKEN_STORE_UNAVAILABLE');
    expect(message).toMatch(/SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_/);
  });
});
