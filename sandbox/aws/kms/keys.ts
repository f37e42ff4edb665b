import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { p256, p384 } from '@noble/curves/nist.js';
import { AwsError } from '../aws-error.ts';

export const keyUsages = ['SIGN_VERIFY', 'ENCRYPT_DECRYPT', 'KEY_AGREEMENT'] as const;
export type KeyUsage = (typeof keyUsages)[number];

/** The key specs that the sandbox creates: the one that the product needs, and others to be wrong with. */
export const keySpecs = ['SYMMETRIC_DEFAULT', 'ECC_NIST_P256', 'ECC_NIST_P384', 'RSA_2048'] as const;
export type KeySpec = (typeof keySpecs)[number];

export const digestLengths = {
  ECDSA_SHA_256: 32,
  ECDSA_SHA_384: 48,
  ECDSA_SHA_512: 64,
  RSASSA_PSS_SHA_256: 32,
  RSASSA_PSS_SHA_384: 48,
  RSASSA_PSS_SHA_512: 64,
  RSASSA_PKCS1_V1_5_SHA_256: 32,
  RSASSA_PKCS1_V1_5_SHA_384: 48,
  RSASSA_PKCS1_V1_5_SHA_512: 64,
} as const;
export type SigningAlgorithm = keyof typeof digestLengths;
export const signingAlgorithms = Object.keys(digestLengths) as SigningAlgorithm[];

/** "Key spec reference", AWS KMS Developer Guide: each NIST curve signs with one algorithm only. */
const algorithmsOf: Readonly<Record<KeySpec, readonly SigningAlgorithm[]>> = {
  SYMMETRIC_DEFAULT: [],
  ECC_NIST_P256: ['ECDSA_SHA_256'],
  ECC_NIST_P384: ['ECDSA_SHA_384'],
  RSA_2048: signingAlgorithms.filter((algorithm) => algorithm.startsWith('RSASSA')),
};

/** "Key spec reference" again: what a key of a spec may be created for. */
export const usagesOf: Readonly<Record<KeySpec, readonly KeyUsage[]>> = {
  SYMMETRIC_DEFAULT: ['ENCRYPT_DECRYPT'],
  ECC_NIST_P256: ['SIGN_VERIFY', 'KEY_AGREEMENT'],
  ECC_NIST_P384: ['SIGN_VERIFY', 'KEY_AGREEMENT'],
  RSA_2048: ['SIGN_VERIFY', 'ENCRYPT_DECRYPT'],
};

export interface Key {
  readonly id: string;
  readonly arn: string;
  readonly spec: KeySpec;
  readonly usage: KeyUsage;
  readonly description: string;
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number;
  readonly isMultiRegion: boolean;
  /** Of a multi-Region key that is itself a replica: where the primary key is. */
  primaryRegion: string | undefined;
  /** A key policy as it was given; the sandbox asks none. */
  policy: string | undefined;
  state: 'Enabled' | 'Disabled' | 'PendingDeletion';
  /** Milliseconds since 1970 UTC; from then on the key is gone. */
  deletionAt: number | undefined;
  readonly tags: Map<string, string>;
  /** Absent for a symmetric key. */
  readonly pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject } | undefined;
}

export const signingAlgorithmsOf = (key: Key): readonly SigningAlgorithm[] =>
  key.usage === 'SIGN_VERIFY' ? algorithmsOf[key.spec] : [];

/** The member of KeyMetadata and of GetPublicKey that lists what a key can do; each usage has its own. */
export function algorithmsMember(key: Key): Record<string, readonly string[]> {
  if (key.usage === 'SIGN_VERIFY') return { SigningAlgorithms: signingAlgorithmsOf(key) };
  if (key.usage === 'KEY_AGREEMENT') return { KeyAgreementAlgorithms: ['ECDH'] };
  if (key.spec === 'SYMMETRIC_DEFAULT') return { EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'] };
  return { EncryptionAlgorithms: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'] };
}

const generate = promisify(generateKeyPair);

export async function generatePair(spec: KeySpec): Promise<Key['pair']> {
  if (spec === 'SYMMETRIC_DEFAULT') return undefined;
  if (spec === 'RSA_2048') return generate('rsa', { modulusLength: 2048 });
  return generate('ec', { namedCurve: spec === 'ECC_NIST_P256' ? 'P-256' : 'P-384' });
}

/**
 * ASN.1 DER (X9.62), as KMS answers. The nonce takes fresh entropy, so that signatures of one message differ and short
 * integers turn up as often as they do there (r or s loses a byte in 1 of 128); s is left as it falls, high or low.
 */
export function signDigest(key: Key, digest: Uint8Array): Uint8Array {
  const d = key.pair?.privateKey.export({ format: 'jwk' }).d;
  if (d === undefined || !key.spec.startsWith('ECC_')) {
    throw new AwsError('UnsupportedOperationException', `The sandbox does not sign with ${key.spec} keys.`);
  }
  const curve = key.spec === 'ECC_NIST_P256' ? p256 : p384;
  return curve.sign(digest, Buffer.from(d, 'base64url'), {
    prehash: false,
    format: 'der',
    lowS: false,
    extraEntropy: true,
  });
}
