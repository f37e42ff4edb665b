// First: @peculiar/x509 needs the polyfill in place when it is evaluated.
import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import { Name, Pkcs10CertificateRequest, Pkcs10CertificateRequestGenerator } from '@peculiar/x509';

export const keyAlgorithms = ['p256', 'rsa4096'] as const;
export type KeyAlgorithm = (typeof keyAlgorithms)[number];

const algorithms = {
  p256: {
    key: { name: 'ECDSA', namedCurve: 'P-256' },
    signing: { name: 'ECDSA', hash: 'SHA-256' },
  },
  rsa4096: {
    key: {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength: 4096,
      publicExponent: new Uint8Array([1, 0, 1]),
    },
    signing: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  },
} as const;

export interface SigningRequest {
  /** PKCS#10, PEM (RFC 2986). */
  readonly request: string;
  /** PKCS#8, PEM. It goes into the secret, and nowhere else. */
  readonly privateKey: string;
}

/**
 * A key pair and a certificate request for it, in memory. The names are values, whatever characters they have: a slash
 * is no separator here.
 */
export async function makeSigningRequest(
  { commonName, organization }: { commonName: string; organization?: string | undefined },
  algorithm: KeyAlgorithm,
): Promise<SigningRequest> {
  const { key, signing } = algorithms[algorithm];
  const keys = await webcrypto.subtle.generateKey(key, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: new Name([
      ...(organization === undefined ? [] : [{ O: [{ utf8String: organization }] }]),
      { CN: [{ utf8String: commonName }] },
    ]),
    keys,
    signingAlgorithm: signing,
  });
  return {
    request: `${request.toString('pem').trim()}\n`,
    privateKey: KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** The Common Name that a request asks for. */
export function commonNameOf(request: string): string | undefined {
  return new Pkcs10CertificateRequest(request).subjectName.getField('CN')[0];
}
