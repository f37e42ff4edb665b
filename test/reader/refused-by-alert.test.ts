import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type CertificateAuthority,
  type CertificateRequest,
  createCertificateAuthority,
  type IssuedCertificate,
} from '../../sandbox/certificates.ts';
import { createTokenReader } from '../../src/reader/reader.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { startHoldingHop } from '../support/hostile-server.ts';
import { startOpensslServer } from '../support/openssl-server.ts';
import { failureOf } from './open-consumer.ts';

const DAY = 86_400_000;
/** When the server looks at a certificate. The reader looks at another time, or it would not send what the server refuses. */
const JUDGED_AT = Date.now() + 30 * DAY;
const CLIENT_CERTIFICATE = 'd1/client-certificate';

let authority: CertificateAuthority;
let stranger: CertificateAuthority;
let server: IssuedCertificate;
beforeAll(async () => {
  [authority, stranger] = await Promise.all(
    ['D1', 'Stranger'].map((commonName) => createCertificateAuthority({ commonName, clock: systemClock })) as [
      Promise<CertificateAuthority>,
      Promise<CertificateAuthority>,
    ],
  );
  server = await authority.issue({ commonName: 'localhost', usage: 'server', dnsNames: ['localhost'] });
});

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function secretOf(issuer: CertificateAuthority, dates: Partial<CertificateRequest> = {}): Promise<string> {
  const issued = await issuer.issue({ commonName: 'client', usage: 'client', ...dates });
  const { certificatePem: certificate, privateKeyPem: private_key } = issued;
  return JSON.stringify({ certificate, private_key, ca_bundle: authority.certificatePem });
}

/** A D1 that refuses the certificate which the reader has in its memory; a renewed one lies in the secret. */
async function refusing(old: string, now: number) {
  const d1 = await startOpensslServer({
    certificate: server.certificatePem,
    privateKey: server.privateKeyPem,
    clientAuthority: authority.certificatePem,
    judgedAt: new Date(JUDGED_AT),
  });
  closing.unshift(() => d1.close());
  // Through it the alert comes, and the end of the connection does not: the alert alone must do.
  const hop = await startHoldingHop(
    () => d1.port,
    () => {},
  );
  closing.unshift(() => hop.close());
  const secrets = [old, await secretOf(authority)];
  const seconds = Math.floor(now / 1000);
  const record = {
    ...{
      access_token: 'token',
      token_type: 'Bearer',
      expires_in: 900,
      expires_at: seconds + 900,
      obtained_at: seconds,
    },
    ...{ issuer_id: 'ISSUER0001', key_id: 'key', correlation_id: 'c', schema_version: 1 },
  };
  const { fetch } = createTokenReader({
    secretId: 'd1/access-token',
    clientCertificateSecretId: CLIENT_CERTIFICATE,
    allowedOrigins: [hop.origin],
    clock: { ...systemClock, now: () => now },
    secretsManager: {
      send: async (command) => {
        const isCertificate = (command as { input: { SecretId: string } }).input.SecretId === CLIENT_CERTIFICATE;
        return { SecretString: isCertificate ? secrets.shift() : JSON.stringify(record) };
      },
    },
  });
  return { d1, left: secrets, send: (init: RequestInit) => fetch(`${hop.origin}/`, init) };
}

describe('a client certificate that D1 refuses with a TLS alert, when the handshake is over for the reader', () => {
  const refusals = {
    certificate_expired: async () => refusing(await secretOf(authority, { notAfter: at(-1) }), JUDGED_AT - 2 * DAY),
    // What is not valid yet is bad to OpenSSL.
    bad_certificate: async () => refusing(await secretOf(authority, { notBefore: at(1) }), JUDGED_AT + 2 * DAY),
    unknown_ca: async () => refusing(await secretOf(stranger), JUDGED_AT),
  };
  const at = (days: number) => new Date(JUDGED_AT + days * DAY);

  it.each(
    Object.entries(refusals).flatMap(([alert, start]) => ['GET', 'POST'].map((method) => ({ alert, method, start }))),
  )('$alert: the $method is sent again with the renewed one, because it was not carried out', async (one) => {
    const { d1, left, send } = await one.start();
    const response = await send({ method: one.method, ...(one.method === 'POST' && { body: 'text' }) });
    expect(await response.text()).toBe('ok');
    expect(left).toHaveLength(0);
    expect(d1.requests).toEqual([`${one.method} /`]);
  });

  it('fails a request whose body is spent, with what to expect of the next one, which has the renewed one', async () => {
    const { d1, left, send } = await refusals.unknown_ca();
    const body = new Blob(['text']).stream();
    const error = await failureOf(send({ method: 'POST', body, duplex: 'half' } as RequestInit));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/^fetch failed: ERR_SSL_[\w/]+_ALERT_UNKNOWN_CA \(not sent again: .* spent.*\)$/);
    expect(left).toHaveLength(0);
    expect((await send({ method: 'POST', body: 'text' })).status).toBe(200);
    expect(d1.requests).toEqual(['POST /']);
  });
});
