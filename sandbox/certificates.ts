// First: @peculiar/x509 needs the polyfill in place when it is evaluated.
import 'reflect-metadata';
import { KeyObject, randomBytes, webcrypto } from 'node:crypto';
import type { Extension, JsonGeneralNames, JsonName } from '@peculiar/x509';
import * as x509 from '@peculiar/x509';
import type { Clock } from '../src/shared/clock.ts';

const DAY_MILLISECONDS = 24 * 60 * 60 * 1000;
const EC_P256 = { name: 'ECDSA', namedCurve: 'P-256' };
const ECDSA_SHA256 = { name: 'ECDSA', hash: 'SHA-256' };
// D1 takes RSA-4096 or ECDSA P-256 client keys.
const RSA_4096 = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 4096,
  publicExponent: new Uint8Array([1, 0, 1]),
};

export interface CertificateRequest {
  commonName: string;
  organization?: string;
  /** Decides the extended key usage: serverAuth or clientAuth, never both. */
  usage: 'server' | 'client';
  dnsNames?: readonly string[];
  ipAddresses?: readonly string[];
  /** Default: one day before the clock. */
  notBefore?: Date;
  /** Default: one year after the clock. */
  notAfter?: Date;
  /** ES256: a P-256 key, the default. RSA: a 4096-bit key, which takes a moment to find. */
  keyAlgorithm?: 'ES256' | 'RSA';
}

export interface IssuedCertificate {
  certificatePem: string;
  /** PKCS#8. */
  privateKeyPem: string;
  notAfter: Date;
}

export interface CertificateAuthority {
  /** Self-signed; what a verifier puts into its trust store. */
  readonly certificatePem: string;
  issue(request: CertificateRequest): Promise<IssuedCertificate>;
  /**
   * Signs a client's certificate request (RFC 2986), as Thales does: its key and its subject, or the Common Name that is told.
   *
   * @returns PEM.
   * @throws Error when the request is not signed by its own key.
   */
  sign(
    requestPem: string,
    changes?: Pick<Partial<CertificateRequest>, 'commonName' | 'notBefore' | 'notAfter'>,
  ): Promise<string>;
}

/**
 * A certificate authority that lives in memory: an ECDSA P-256 root that signs end-entity certificates with SHA-256
 * (profile of RFC 5280 section 4.2). Nothing is written to disk and the root's key never leaves this closure.
 *
 * The clock sets the default dates only; whoever verifies a certificate in a TLS handshake reads the machine's clock.
 */
export async function createCertificateAuthority(options: {
  commonName: string;
  clock: Pick<Clock, 'now'>;
}): Promise<CertificateAuthority> {
  const { clock } = options;
  const rootKeys = await webcrypto.subtle.generateKey(EC_P256, false, ['sign', 'verify']);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: name(options.commonName),
    serialNumber: serialNumber(),
    notBefore: wholeSeconds(clock.now() - DAY_MILLISECONDS),
    notAfter: wholeSeconds(clock.now() + 10 * 365 * DAY_MILLISECONDS),
    keys: rootKeys,
    signingAlgorithm: ECDSA_SHA256,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(rootKeys.publicKey),
    ],
  });

  return {
    certificatePem: pem(root.toString('pem')),

    async issue(request) {
      const isRsa = request.keyAlgorithm === 'RSA';
      const keys = await webcrypto.subtle.generateKey(isRsa ? RSA_4096 : EC_P256, true, ['sign', 'verify']);
      const notAfter = wholeSeconds(request.notAfter?.getTime() ?? clock.now() + 365 * DAY_MILLISECONDS);
      const { digitalSignature, keyEncipherment } = x509.KeyUsageFlags;
      const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
      const extensions: Extension[] = [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(isRsa ? digitalSignature | keyEncipherment : digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([request.usage === 'server' ? serverAuth : clientAuth]),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(rootKeys.publicKey),
      ];
      const alternativeNames: JsonGeneralNames = [
        ...(request.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
        ...(request.ipAddresses ?? []).map((value) => ({ type: 'ip' as const, value })),
      ];
      if (alternativeNames.length > 0) extensions.push(new x509.SubjectAlternativeNameExtension(alternativeNames));

      const certificate = await x509.X509CertificateGenerator.create({
        subject: name(request.commonName, request.organization),
        issuer: root.subjectName,
        serialNumber: serialNumber(),
        notBefore: wholeSeconds(request.notBefore?.getTime() ?? clock.now() - DAY_MILLISECONDS),
        notAfter,
        publicKey: keys.publicKey,
        signingKey: rootKeys.privateKey,
        signingAlgorithm: ECDSA_SHA256,
        extensions,
      });
      return {
        certificatePem: pem(certificate.toString('pem')),
        privateKeyPem: KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString(),
        notAfter,
      };
    },

    async sign(requestPem, { commonName, notBefore, notAfter } = {}) {
      const request = new x509.Pkcs10CertificateRequest(requestPem);
      if (!(await request.verify())) throw new Error('The request is not signed by its own key.');
      const certificate = await x509.X509CertificateGenerator.create({
        subject: commonName === undefined ? request.subjectName : name(commonName),
        issuer: root.subjectName,
        serialNumber: serialNumber(),
        notBefore: wholeSeconds(notBefore?.getTime() ?? clock.now() - DAY_MILLISECONDS),
        notAfter: wholeSeconds(notAfter?.getTime() ?? clock.now() + 365 * DAY_MILLISECONDS),
        publicKey: await request.publicKey.export(),
        signingKey: rootKeys.privateKey,
        signingAlgorithm: ECDSA_SHA256,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
        ],
      });
      return pem(certificate.toString('pem'));
    },
  };
}

const name = (commonName: string, organization?: string): JsonName => [
  ...(organization === undefined ? [] : [{ O: [organization] }]),
  { CN: [commonName] },
];

/** Positive and never longer than 20 octets (RFC 5280 section 4.1.2.2): 127 random bits, so the first bit is clear. */
function serialNumber(): string {
  const serial = randomBytes(16);
  serial.writeUInt8((serial.readUInt8(0) & 0x7f) | 0x40, 0);
  return serial.toString('hex');
}

/** Certificate dates have no fraction; the answer must say what the certificate says. */
const wholeSeconds = (milliseconds: number): Date => new Date(Math.floor(milliseconds / 1000) * 1000);

/** A final newline, so that PEM texts can be put one after another. */
const pem = (text: string): string => `${text.trim()}\n`;
