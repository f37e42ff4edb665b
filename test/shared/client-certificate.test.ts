import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type CertificateAuthority,
  createCertificateAuthority,
  type IssuedCertificate,
} from '../../sandbox/certificates.ts';
import { type ClientCertificate, daysLeft, parseClientCertificate } from '../../src/shared/client-certificate.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { leakIn } from '../support/leaks.ts';

const DAY_MILLISECONDS = 86_400_000;
const now = Date.now();

let authority: CertificateAuthority;
let issued: IssuedCertificate;
let other: IssuedCertificate;

const issue = (dates: { notBefore?: Date; notAfter?: Date } = {}) =>
  authority.issue({ commonName: 'TLSMA-ECC/ISSUER0001/PPR', organization: 'Example Bank', usage: 'client', ...dates });

beforeAll(async () => {
  authority = await createCertificateAuthority({ commonName: 'Client CA', clock: systemClock });
  [issued, other] = await Promise.all([issue(), issue()]);
});

const secretOf = (fields: Record<string, unknown> = {}) =>
  JSON.stringify({ certificate: issued.certificatePem, private_key: issued.privateKeyPem, ...fields });

/** Why a secret is refused, after a look for what it must not show: no run of 16 characters of any PEM. */
function refusal(secretText: string | undefined, at = now): string {
  const result = parseClientCertificate(secretText, at);
  if (!('why' in result)) throw new Error('the secret was accepted');
  const inside = [issued, other].flatMap(({ certificatePem, privateKeyPem }) => [certificatePem, privateKeyPem]);
  const secrets = [...inside.map((pem) => pem.replace(/-----.*-----/g, '')), secretText ?? ''];
  expect(leakIn(result.why, secrets)).toBeUndefined();
  return result.why;
}

function accepted(secretText: string, at = now): ClientCertificate {
  const result = parseClientCertificate(secretText, at);
  if (!('certificate' in result)) throw new Error(`the secret was refused: ${result.why}`);
  return result.certificate;
}

describe('a client certificate that fits', () => {
  it('is what the handshake needs, and what a log may tell', () => {
    expect(accepted(secretOf({ ca_bundle: authority.certificatePem }))).toStrictEqual({
      certificate: issued.certificatePem,
      privateKey: issued.privateKeyPem,
      caBundle: authority.certificatePem,
      proxyCredentials: undefined,
      subject: 'O=Example Bank, CN=TLSMA-ECC/ISSUER0001/PPR',
      notAfter: issued.notAfter.getTime(),
    });
  });

  it('needs no CA bundle, and may have notes beside it', () => {
    const certificate = accepted(secretOf({ renewed_by: 'the on-call team' }));
    expect(certificate.caBundle).toBeUndefined();
  });

  it('may bring its intermediate certificates, and line ends of another system', () => {
    const chain = (issued.certificatePem + authority.certificatePem).replaceAll('\n', '\r\n');
    expect(accepted(secretOf({ certificate: chain })).certificate).toBe(chain);
  });

  it('may have its key in SEC 1', () => {
    const key = createPrivateKey(issued.privateKeyPem).export({ type: 'sec1', format: 'pem' });
    expect(accepted(secretOf({ private_key: key })).privateKey).toBe(key);
  });

  it('may be an RSA-4096 certificate with its key in PKCS#1', async () => {
    const rsa = await authority.issue({ commonName: 'TLSMA-RSA/ISSUER0001/PPR', usage: 'client', keyAlgorithm: 'RSA' });
    const key = createPrivateKey(rsa.privateKeyPem).export({ type: 'pkcs1', format: 'pem' });
    const secret = JSON.stringify({ certificate: rsa.certificatePem, private_key: key });
    expect(accepted(secret).subject).toBe('CN=TLSMA-RSA/ISSUER0001/PPR');
  });

  it('counts the days that it has left, and loses none at midnight', () => {
    const certificate = accepted(secretOf());
    const end = certificate.notAfter;
    expect(daysLeft(certificate, end - 30 * DAY_MILLISECONDS)).toBe(30);
    expect(daysLeft(certificate, end - 30 * DAY_MILLISECONDS + 1)).toBe(29);
    expect(daysLeft(certificate, end)).toBe(0);
    expect(daysLeft(certificate, end + 1)).toBe(-1);
  });
});

describe('a client-certificate secret that cannot be used', () => {
  it.each<[string, () => string | undefined, string]>([
    ['binary', () => undefined, 'it is binary'],
    ['empty', () => '', 'it is not JSON'],
    ['a PEM file instead of JSON', () => issued.privateKeyPem + issued.certificatePem, 'it is not JSON'],
    ['half of the JSON', () => secretOf().slice(0, -1), 'it is not JSON'],
    ['null', () => 'null', 'it is not a JSON object'],
    ['text', () => JSON.stringify(issued.privateKeyPem), 'it is not a JSON object'],
    ['a list', () => JSON.stringify([issued.privateKeyPem]), 'field certificate is missing or not PEM'],
    ['nothing', () => '{}', 'field certificate is missing or not PEM'],
    ['no certificate', () => secretOf({ certificate: undefined }), 'field certificate is missing or not PEM'],
    ['no key', () => secretOf({ private_key: undefined }), 'field private_key is missing or not PEM'],
    ['an empty key', () => secretOf({ private_key: '' }), 'field private_key is missing or not PEM'],
    [
      'a certificate in a list',
      () => secretOf({ certificate: [issued.certificatePem] }),
      'field certificate is missing',
    ],
    [
      'the two swapped',
      () => secretOf({ certificate: issued.privateKeyPem }),
      'field certificate is missing or not PEM',
    ],
    ['a certificate for a key', () => secretOf({ private_key: issued.certificatePem }), 'field private_key is missing'],
    ['a public key for a key', () => secretOf({ private_key: publicKeyPem() }), 'field private_key is missing'],
    ['a CA bundle that is none', () => secretOf({ ca_bundle: 'Amazon' }), 'field ca_bundle is missing or not PEM'],
    ['a CA bundle of null', () => secretOf({ ca_bundle: null }), 'field ca_bundle is missing or not PEM'],
    [
      'a certificate in base64 of base64',
      () => secretOf({ certificate: Buffer.from(issued.certificatePem).toString('base64') }),
      'field certificate is missing or not PEM',
    ],
    [
      'a certificate that is cut off',
      () => secretOf({ certificate: `${issued.certificatePem.slice(0, 200)}\n-----END CERTIFICATE-----\n` }),
      'field certificate cannot be read as PEM',
    ],
    [
      'a certificate request',
      () => secretOf({ certificate: issued.certificatePem.replaceAll('CERTIFICATE', 'CERTIFICATE REQUEST') }),
      'field certificate cannot be read as PEM',
    ],
    [
      'a key that is cut off',
      () => secretOf({ private_key: `${issued.privateKeyPem.slice(0, 80)}\n-----END PRIVATE KEY-----\n` }),
      'field private_key cannot be read as PEM',
    ],
    [
      'a key whose line ends were lost',
      () => secretOf({ private_key: issued.privateKeyPem.replaceAll('\n', ' ') }),
      'field private_key cannot be read as PEM',
    ],
    [
      'a key with a passphrase, in PKCS#8',
      () => secretOf({ private_key: encryptedKey('pkcs8') }),
      'field private_key is encrypted; only the secret may be',
    ],
    [
      'a key with a passphrase, in SEC 1',
      () => secretOf({ private_key: encryptedKey('sec1') }),
      'field private_key is encrypted; only the secret may be',
    ],
    [
      'a CA bundle that is cut off',
      () => secretOf({ ca_bundle: `${authority.certificatePem.slice(0, 200)}\n-----END CERTIFICATE-----\n` }),
      'field ca_bundle cannot be read as PEM',
    ],
    [
      'the key of another certificate',
      () => secretOf({ private_key: other.privateKeyPem }),
      'the private key does not belong to the certificate',
    ],
    [
      'the certificate of the authority first',
      () => secretOf({ certificate: authority.certificatePem + issued.certificatePem }),
      'the private key does not belong to the certificate',
    ],
    [
      'a broken intermediate certificate',
      () =>
        secretOf({
          certificate: `${issued.certificatePem}${other.certificatePem.slice(0, 200)}\n-----END CERTIFICATE-----\n`,
        }),
      'TLS does not take the certificate chain, the key or the CA bundle',
    ],
  ])('is %s', (_name, secretText, why) => {
    expect(refusal(secretText())).toContain(why);
  });

  it('has expired, to the second, and says when', async () => {
    const notAfter = new Date(now - 60_000 - (now % 1000));
    const expired = await issue({ notBefore: new Date(now - 10 * DAY_MILLISECONDS), notAfter });
    const secret = JSON.stringify({ certificate: expired.certificatePem, private_key: expired.privateKeyPem });
    expect(refusal(secret)).toContain(`the certificate expired at ${notAfter.toISOString()}`);
    expect(refusal(secret, notAfter.getTime() + 1)).toContain('expired');
    expect(accepted(secret, notAfter.getTime()).notAfter).toBe(notAfter.getTime());
  });

  it('is not valid yet, to the second, and says from when', async () => {
    const notBefore = new Date(now + 60_000 - (now % 1000));
    const early = await issue({ notBefore });
    const secret = JSON.stringify({ certificate: early.certificatePem, private_key: early.privateKeyPem });
    expect(refusal(secret)).toContain(`the certificate is not valid before ${notBefore.toISOString()}`);
    expect(refusal(secret, notBefore.getTime() - 1)).toContain('not valid before');
    expect(accepted(secret, notBefore.getTime()).notAfter).toBe(early.notAfter.getTime());
  });
});

const publicKeyPem = () =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' });

const encryptedKey = (type: 'pkcs8' | 'sec1') =>
  createPrivateKey(issued.privateKeyPem).export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' });
