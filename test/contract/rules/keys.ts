import { createHash, createPublicKey, type KeyObject, randomUUID } from 'node:crypto';
import {
  CreateAliasCommand,
  CreateKeyCommand,
  type CreateKeyCommandInput,
  DescribeKeyCommand,
  GetPublicKeyCommand,
  SignCommand,
  type SignCommandInput,
} from '@aws-sdk/client-kms';
import type { Aws } from '../implementations.ts';

// What the rules about KMS need to be short.

export async function createKey(
  { kms }: Aws,
  input: CreateKeyCommandInput = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' },
): Promise<{ id: string; arn: string }> {
  const { KeyMetadata } = await kms.send(new CreateKeyCommand(input));
  return { id: String(KeyMetadata?.KeyId), arn: String(KeyMetadata?.Arn) };
}

export async function createAlias({ kms }: Aws, keyId: string): Promise<string> {
  const AliasName = `alias/contract/${randomUUID()}`;
  await kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: keyId }));
  return AliasName;
}

export const sha256 = (message: string | Uint8Array): Buffer => createHash('sha256').update(message).digest();

export const sign = ({ kms }: Aws, input: Partial<SignCommandInput> & Pick<SignCommandInput, 'KeyId' | 'Message'>) =>
  kms.send(new SignCommand({ SigningAlgorithm: 'ECDSA_SHA_256', ...input }));

export const signDigest = (aws: Aws, keyId: string, digest: Uint8Array = sha256('a message')) =>
  sign(aws, { KeyId: keyId, Message: digest, MessageType: 'DIGEST' });

export const getPublicKey = ({ kms }: Aws, keyId: string) => kms.send(new GetPublicKeyCommand({ KeyId: keyId }));

export const describeKey = async ({ kms }: Aws, keyId: string) =>
  (await kms.send(new DescribeKeyCommand({ KeyId: keyId }))).KeyMetadata;

export async function publicKeyOf(aws: Aws, keyId: string): Promise<KeyObject> {
  const { PublicKey } = await getPublicKey(aws, keyId);
  return createPublicKey({ key: Buffer.from(PublicKey ?? []), format: 'der', type: 'spki' });
}
