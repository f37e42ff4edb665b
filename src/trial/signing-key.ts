import { createPublicKey, verify } from 'node:crypto';
import { GetPublicKeyCommand, type KMSClient } from '@aws-sdk/client-kms';
import { createKmsSigner } from '../assertion/kms-signer.ts';
import type { CheckFacts } from '../shared/check-report.ts';

/**
 * Signs something that nobody will see, and looks the signature up with the key's public half. That half is not needed
 * for a refresh: where it can't be read, the signature is not verified, and that is told.
 *
 * @throws BrokerError SIGNING_FAILED or SIGNATURE_MALFORMED.
 */
export async function trySigningKey(
  kms: Pick<KMSClient, 'send'>,
  signingKeyId: string,
  input: string,
  signal: AbortSignal,
): Promise<CheckFacts> {
  const [signature, half] = await Promise.all([
    createKmsSigner(kms, signingKeyId)(input, signal),
    kms.send(new GetPublicKeyCommand({ KeyId: signingKeyId }), { abortSignal: signal }).catch(() => undefined),
  ]);
  if (!half?.PublicKey || !half.KeyId || !half.KeySpec) return { key: signingKeyId, verified: false };
  const publicKey = createPublicKey({ key: Buffer.from(half.PublicKey), format: 'der', type: 'spki' });
  const verified = verify('sha256', Buffer.from(input), { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
  return { key: half.KeyId, key_spec: half.KeySpec, verified };
}
