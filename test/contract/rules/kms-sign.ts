import { verify, webcrypto } from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import { expect } from 'vitest';
import { derToRaw } from '../../../src/assertion/der-signature.ts';
import { expectRefusal, kmsReference, type Rule } from '../rule.ts';
import { createKey, getPublicKey, publicKeyOf, sha256, sign, signDigest } from './keys.ts';

const base64url = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');

export const signRules: readonly Rule[] = [
  {
    id: 'kms-sign-digest',
    statement: 'With MessageType DIGEST the SHA-256 digest is signed as it is, so the JWT that it belongs to verifies.',
    source: kmsReference('Sign', 'MessageType'),
    async check(aws) {
      const { id } = await createKey(aws);
      const input = `${base64url({ alg: 'ES256' })}.${base64url({ iss: 'issuer' })}`;
      const { Signature } = await signDigest(aws, id, sha256(input));
      const jwt = `${input}.${derToRaw(Signature ?? new Uint8Array()).toString('base64url')}`;
      const verified = await jwtVerify(jwt, await publicKeyOf(aws, id)).then(
        () => true,
        (error: unknown) => !(error instanceof errors.JWSSignatureVerificationFailed) && Promise.reject(error),
      );
      expect(verified).toBe(true);
    },
  },
  {
    id: 'kms-sign-raw',
    statement: 'With MessageType RAW the message is hashed by KMS, with the hash that the signing algorithm names.',
    source: kmsReference('Sign', 'MessageType'),
    async check(aws) {
      const { id } = await createKey(aws);
      const message = Buffer.from('a message');
      const { Signature } = await sign(aws, { KeyId: id, Message: message, MessageType: 'RAW' });
      const { PublicKey } = await getPublicKey(aws, id);
      const curve = { name: 'ECDSA', namedCurve: 'P-256' };
      const key = await webcrypto.subtle.importKey('spki', Buffer.from(PublicKey ?? []), curve, false, ['verify']);
      const raw = derToRaw(Signature ?? new Uint8Array());
      expect(await webcrypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, raw, message)).toBe(true);
    },
  },
  {
    id: 'kms-sign-default-is-raw',
    statement: 'Without MessageType a digest is taken for a message and hashed again.',
    source: kmsReference('Sign', 'MessageType'),
    async check(aws) {
      const { id } = await createKey(aws);
      const digest = sha256('a message');
      const { Signature } = await sign(aws, { KeyId: id, Message: digest });
      const signature = Buffer.from(Signature ?? []);
      expect(verify('sha256', digest, await publicKeyOf(aws, id), signature)).toBe(true);
    },
  },
  {
    id: 'kms-sign-4096-bytes',
    statement: 'A message may have 4,096 bytes, and not one more.',
    source: kmsReference('Sign', 'Message'),
    async check(aws) {
      const { id } = await createKey(aws);
      const signBytes = (length: number) =>
        sign(aws, { KeyId: id, Message: Buffer.alloc(length, 1), MessageType: 'RAW' });
      expect((await signBytes(4096)).Signature).toBeDefined();
      await expectRefusal(signBytes(4097), 'ValidationException');
    },
  },
  ...[31, 33, 64].map(
    (length): Rule => ({
      id: `kms-sign-digest-of-${length}-bytes`,
      statement: `A DIGEST for ECDSA_SHA_256 of ${length} bytes, and not 32, is refused.`,
      source: kmsReference('Sign', 'MessageType'),
      async check(aws) {
        const { id } = await createKey(aws);
        await expectRefusal(signDigest(aws, id, Buffer.alloc(length, 1)), 'ValidationException');
      },
    }),
  ),
  {
    id: 'kms-sign-der',
    statement: 'A signature is the DER of an ECDSA-Sig-Value, canonical and with both integers in range.',
    source: kmsReference('Sign', 'Signature'),
    async check(aws) {
      const { id } = await createKey(aws);
      const publicKey = await publicKeyOf(aws, id);
      // One in 128 has a short integer; enough for both usual lengths, not for a proof.
      for (let count = 0; count < 16; count += 1) {
        const message = Buffer.from(`message ${count}`);
        const { Signature } = await sign(aws, { KeyId: id, Message: message, MessageType: 'RAW' });
        const raw = derToRaw(Signature ?? new Uint8Array());
        expect(verify('sha256', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, raw)).toBe(true);
      }
    },
  },
  {
    id: 'kms-sign-answer',
    statement: 'The answer names the key by its ARN, and the algorithm.',
    source: kmsReference('Sign', 'Response Elements'),
    async check(aws) {
      const { id, arn } = await createKey(aws);
      expect(await signDigest(aws, id)).toMatchObject({ KeyId: arn, SigningAlgorithm: 'ECDSA_SHA_256' });
    },
  },
  ...(['ECC_NIST_P384', 'RSA_2048'] as const).map(
    (KeySpec): Rule => ({
      id: `kms-sign-es256-with-${KeySpec.toLowerCase().replaceAll('_', '-')}`,
      statement: `A key of spec ${KeySpec} refuses ECDSA_SHA_256 with InvalidKeyUsageException.`,
      source: kmsReference('Sign', 'Errors'),
      async check(aws) {
        const { id } = await createKey(aws, { KeySpec, KeyUsage: 'SIGN_VERIFY' });
        await expectRefusal(signDigest(aws, id), 'InvalidKeyUsageException');
      },
    }),
  ),
  ...(
    [
      ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'],
      ['RSA_2048', 'ENCRYPT_DECRYPT'],
      ['ECC_NIST_P256', 'KEY_AGREEMENT'],
    ] as const
  ).map(
    ([KeySpec, KeyUsage]): Rule => ({
      id: `kms-sign-usage-${KeySpec.toLowerCase().replaceAll('_', '-')}-${KeyUsage.toLowerCase().replaceAll('_', '-')}`,
      statement: `A key of spec ${KeySpec} and usage ${KeyUsage} refuses to sign with InvalidKeyUsageException.`,
      source: kmsReference('Sign', 'Errors'),
      async check(aws) {
        const { id } = await createKey(aws, { KeySpec, KeyUsage });
        await expectRefusal(signDigest(aws, id), 'InvalidKeyUsageException');
      },
    }),
  ),
];
