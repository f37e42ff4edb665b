import { createPrivateKey, sign, verify, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { type CertificateAuthority, createCertificateAuthority } from '../../sandbox/certificates.ts';

// After certificates.ts, which brings what this package needs to load.
const x509 = await import('@peculiar/x509');

const moment = Date.parse('2031-05-06T07:08:09.500Z');
const clock = { now: () => moment };
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const certificateFrom = ({ certificatePem }: { certificatePem: string }) => new X509Certificate(certificatePem);

describe('the sandbox certificate authority', () => {
  let authority: CertificateAuthority;
  beforeAll(async () => {
    authority = await createCertificateAuthority({ commonName: 'Sandbox Client CA', clock });
  });

  it('is a self-signed P-256 root that may sign certificates and nothing else', () => {
    const root = certificateFrom(authority);

    expect(root.subject).toBe('CN=Sandbox Client CA');
    expect(root.issuer).toBe(root.subject);
    expect(root.ca).toBe(true);
    expect(root.verify(root.publicKey)).toBe(true);
    expect(root.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(root.signatureAlgorithm).toBe('ecdsa-with-SHA256');
    expect(root.keyUsage).toBeUndefined();
  });

  it('issues a server certificate for the names it was asked for, and for serving only', async () => {
    const certificate = certificateFrom(
      await authority.issue({
        commonName: 'localhost',
        usage: 'server',
        dnsNames: ['localhost', 'api.d1.example'],
        ipAddresses: ['127.0.0.1', '::1'],
      }),
    );

    expect(certificate.checkHost('localhost')).toBe('localhost');
    expect(certificate.checkHost('api.d1.example')).toBe('api.d1.example');
    expect(certificate.checkHost('elsewhere.example')).toBeUndefined();
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkIP('::1')).toBe('::1');
    expect(certificate.keyUsage).toEqual([SERVER_AUTH]);
  });

  it('issues a client certificate for a bank, and for calling only', async () => {
    const certificate = certificateFrom(
      await authority.issue({
        commonName: 'TLSMA-ECC/BANK-00001/PPR',
        organization: 'Bank, Sons & Co',
        usage: 'client',
      }),
    );

    expect(certificate.toLegacyObject().subject).toEqual({ O: 'Bank, Sons & Co', CN: 'TLSMA-ECC/BANK-00001/PPR' });
    expect(certificate.keyUsage).toEqual([CLIENT_AUTH]);
    expect(certificate.subjectAltName).toBeUndefined();
    expect(certificate.ca).toBe(false);
  });

  it('signs with SHA-256 under its own key and name', async () => {
    const root = certificateFrom(authority);
    const certificate = certificateFrom(await authority.issue({ commonName: 'bank', usage: 'client' }));

    expect(certificate.issuer).toBe(root.subject);
    expect(certificate.checkIssued(root)).toBe(true);
    expect(certificate.verify(root.publicKey)).toBe(true);
    expect(certificate.signatureAlgorithm).toBe('ecdsa-with-SHA256');
  });

  it('says in each certificate what its key is for, in critical extensions, as RFC 5280 wants it', async () => {
    const issued = await authority.issue({ commonName: 'bank', usage: 'client' });
    const rsa = await authority.issue({ commonName: 'bank', usage: 'server', keyAlgorithm: 'RSA' });
    const [root, leaf, rsaLeaf] = [authority, issued, rsa].map((one) => new x509.X509Certificate(one.certificatePem));
    const { keyCertSign, cRLSign, digitalSignature, keyEncipherment } = x509.KeyUsageFlags;

    expect(root?.getExtension(x509.BasicConstraintsExtension)).toMatchObject({
      ca: true,
      pathLength: 0,
      critical: true,
    });
    expect(root?.getExtension(x509.KeyUsagesExtension)).toMatchObject({
      usages: keyCertSign | cRLSign,
      critical: true,
    });
    expect(leaf?.getExtension(x509.BasicConstraintsExtension)).toMatchObject({ ca: false, critical: true });
    expect(leaf?.getExtension(x509.KeyUsagesExtension)).toMatchObject({ usages: digitalSignature, critical: true });
    expect(rsaLeaf?.getExtension(x509.KeyUsagesExtension)?.usages).toBe(digitalSignature | keyEncipherment);

    const rootKeyId = root?.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
    expect(rootKeyId).toMatch(/^[0-9a-f]{40}$/);
    expect(leaf?.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId).toBe(rootKeyId);
    expect(leaf?.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId).toMatch(/^[0-9a-f]{40}$/);
  });

  it.each([
    { keyAlgorithm: 'ES256', type: 'ec', details: { namedCurve: 'prime256v1' } },
    { keyAlgorithm: 'RSA', type: 'rsa', details: { modulusLength: 4096 } },
  ] as const)(
    'gives a PKCS#8 private key that fits a $keyAlgorithm certificate',
    async ({ keyAlgorithm, type, details }) => {
      const issued = await authority.issue({ commonName: 'bank', usage: 'client', keyAlgorithm });
      const { publicKey } = certificateFrom(issued);
      const message = Buffer.from('prove it');

      expect(issued.privateKeyPem.startsWith('-----BEGIN PRIVATE KEY-----\n')).toBe(true);
      expect(publicKey.asymmetricKeyType).toBe(type);
      expect(publicKey.asymmetricKeyDetails).toMatchObject(details);
      expect(
        verify('sha256', message, publicKey, sign('sha256', message, createPrivateKey(issued.privateKeyPem))),
      ).toBe(true);
    },
  );

  it('takes its dates from the clock: valid since yesterday, for a year', async () => {
    const issued = await authority.issue({ commonName: 'bank', usage: 'client' });
    const certificate = certificateFrom(issued);

    expect(certificate.validFromDate.toISOString()).toBe('2031-05-05T07:08:09.000Z');
    expect(certificate.validToDate.toISOString()).toBe('2032-05-05T07:08:09.000Z');
    expect(issued.notAfter).toEqual(certificate.validToDate);
  });

  it('takes dates that it is given, even past ones, so that an expired certificate can be shown', async () => {
    const certificate = certificateFrom(
      await authority.issue({
        commonName: 'bank',
        usage: 'client',
        notBefore: new Date('2020-01-01T00:00:00Z'),
        notAfter: new Date('2020-02-01T00:00:00Z'),
      }),
    );

    expect(certificate.validFromDate.toISOString()).toBe('2020-01-01T00:00:00.000Z');
    expect(certificate.validToDate.toISOString()).toBe('2020-02-01T00:00:00.000Z');
  });

  it('never gives two certificates the same serial number or key', async () => {
    const issued = await Promise.all(
      Array.from({ length: 20 }, () => authority.issue({ commonName: 'bank', usage: 'client' })),
    );

    expect(new Set(issued.map((one) => certificateFrom(one).serialNumber)).size).toBe(20);
    expect(new Set(issued.map((one) => one.privateKeyPem)).size).toBe(20);
  });

  it('is not the other authority: what one signs the other does not vouch for', async () => {
    const other = await createCertificateAuthority({ commonName: 'Sandbox Client CA', clock });
    const certificate = certificateFrom(await other.issue({ commonName: 'bank', usage: 'client' }));

    expect(certificate.verify(certificateFrom(authority).publicKey)).toBe(false);
    expect(certificate.checkIssued(certificateFrom(authority))).toBe(false);
  });
});
