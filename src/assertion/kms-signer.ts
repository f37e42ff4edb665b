import { createHash } from 'node:crypto';
import { type KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { BrokerError } from '../errors.ts';
import { type AwsFailure, awsFailure } from '../shared/aws-failure.ts';
import { derToRaw } from './der-signature.ts';

/** Signs bytes; resolves to the raw 64-byte ES256 signature (RFC 7518, section 3.4). */
export type Sign = (input: string, signal: AbortSignal) => Promise<Buffer>;

/**
 * A signer whose private key never leaves KMS. The digest is made here and sent with `MessageType=DIGEST`, so that KMS
 * never sees the claims, the 4,096-byte limit of RAW does not apply, and a key policy can insist on it.
 *
 * @param signingKeyId Key id, key ARN, alias name or alias ARN of an ECC_NIST_P256 SIGN_VERIFY key.
 * @throws BrokerError SIGNING_FAILED or SIGNATURE_MALFORMED. Source: AWS KMS API Reference, Sign.
 */
export function createKmsSigner(kms: Pick<KMSClient, 'send'>, signingKeyId: string): Sign {
  return async (input, signal) => {
    const digest = createHash('sha256').update(input).digest();
    const command = new SignCommand({
      KeyId: signingKeyId,
      Message: digest,
      MessageType: 'DIGEST',
      SigningAlgorithm: 'ECDSA_SHA_256',
    });
    const { Signature } = await kms.send(command, { abortSignal: signal }).catch((error: unknown) => {
      throw BrokerError.is(error) ? error : signingFailed(signingKeyId, awsFailure(error));
    });
    return derToRaw(Signature ?? new Uint8Array(), `KMS key ${signingKeyId}`);
  };
}

function signingFailed(signingKeyId: string, failure: AwsFailure): BrokerError {
  return new BrokerError({
    code: 'SIGNING_FAILED',
    what: `KMS did not sign with key ${signingKeyId}: ${failure.summary}.`,
    remedy:
      remedies.get(failure.name) ??
      'Check that KMS can be reached from the function and look at the KMS service health.',
    retryable: failure.retryable,
  });
}

const wrongKey = 'Use a key with key spec ECC_NIST_P256 and key usage SIGN_VERIFY.';
const notEnabled =
  'If the key is to be deleted, cancel the deletion first. Enable it (kms:EnableKey), or point D1_SIGNING_KEY_ID at its successor.';
/** A Map, because the name comes from the other end, and an object would answer to `constructor` too. */
const remedies: ReadonlyMap<string, string> = new Map([
  [
    'AccessDeniedException',
    "Allow the function's role kms:Sign on this key, in the role's policy and in the key policy, for ECDSA_SHA_256 and DIGEST.",
  ],
  ['DisabledException', notEnabled],
  ['InvalidKeyUsageException', wrongKey],
  ['KMSInvalidStateException', notEnabled],
  ['NotFoundException', 'Check D1_SIGNING_KEY_ID, the account and the Region.'],
  ['ThrottlingException', 'Nothing to do unless it lasts: then ask AWS for a higher KMS request quota.'],
  ['ValidationException', 'Check that D1_SIGNING_KEY_ID is a key id, key ARN, alias name or alias ARN.'],
]);
