import { aliasOf } from '../../fleet/lookup.ts';
import { awsFailure } from '../../shared/aws-failure.ts';
import { asCliFailure } from '../frame/cli-failure.ts';
import type { Fleet } from './fleet.ts';

/** The tag that the functions' permission to sign asks for: infra/fleet/template.yml. */
export const KEY_TAG = 'd1-token-broker';

/** Whether something can be used: `missing`, or why it can't be. */
export type Presence = 'there' | 'missing' | { readonly why: string; readonly remedy: string };

const orMissing =
  (name: string, action: string) =>
  (error: unknown): undefined => {
    if (awsFailure(error).name === name) return undefined;
    throw asCliFailure(error, action);
  };

export async function lookAtKey({ clients, flags }: Fleet, signingKeyId: string): Promise<Presence> {
  const kms = await clients.kms();
  const found = await kms.describeKey({ KeyId: signingKeyId }).catch(orMissing('NotFoundException', 'kms:DescribeKey'));
  if (!found?.KeyMetadata) return 'missing';
  const { KeyState, KeySpec, KeyUsage, Arn = signingKeyId } = found.KeyMetadata;
  if (KeySpec !== 'ECC_NIST_P256' || KeyUsage !== 'SIGN_VERIFY') {
    return {
      why: 'is not of the spec ECC_NIST_P256 for signing',
      remedy: 'Give another key, or none: then one is made.',
    };
  }
  if (KeyState !== 'Enabled') {
    const repair = KeyState === 'PendingDeletion' ? 'cancel-key-deletion' : 'enable-key';
    return { why: `is ${KeyState}`, remedy: `aws kms ${repair} --key-id ${Arn}` };
  }
  const { Tags = [] } = await kms.listResourceTags({ KeyId: Arn }).catch((error: unknown) => {
    throw asCliFailure(error, 'kms:ListResourceTags');
  });
  if (Tags.some(({ TagKey, TagValue }) => TagKey === KEY_TAG && TagValue === flags.stage)) return 'there';
  return {
    why: `has no tag ${KEY_TAG}=${flags.stage}, so the functions may not sign with it`,
    remedy: `aws kms tag-resource --key-id ${Arn} --tags TagKey=${KEY_TAG},TagValue=${flags.stage}`,
  };
}

export async function lookAtSecret({ clients }: Fleet, SecretId: string): Promise<Presence> {
  const found = await (await clients.secretsManager())
    .describeSecret({ SecretId })
    .catch(orMissing('ResourceNotFoundException', 'secretsmanager:DescribeSecret'));
  if (!found) return 'missing';
  if (!found.DeletedDate) return 'there';
  return { why: 'is scheduled for deletion', remedy: `aws secretsmanager restore-secret --secret-id ${SecretId}` };
}

export async function hasAlias({ clients, tokenFunction, pace }: Fleet, issuerId: string): Promise<boolean> {
  await pace.alias();
  const found = await (await clients.lambda())
    .getAlias({ FunctionName: tokenFunction, Name: aliasOf(issuerId) })
    .catch(orMissing('ResourceNotFoundException', 'lambda:GetAlias'));
  return found !== undefined;
}
