import { awsFailure } from '../../shared/aws-failure.ts';
import { asCliFailure, failure } from '../frame/cli-failure.ts';
import type { Clients } from '../frame/clients.ts';
import { mustBeOf } from './issuer.ts';
import { livingPolicy } from './living-policy.ts';
import type { Retained } from './resource.ts';
import type { Wanted } from './wanted.ts';

/** @returns The secret of that name, its policy if it has one, and what encrypts it; `undefined` when it is not there. */
export async function findSecret(clients: Clients, { logicalId, name }: Wanted['secrets'][number], issuerId: string) {
  const secretsManager = await clients.secretsManager();
  const described = await secretsManager.describeSecret({ SecretId: name }).catch((error: unknown) => {
    if (awsFailure(error).name === 'ResourceNotFoundException') return undefined;
    throw asCliFailure(error, 'secretsmanager:DescribeSecret');
  });
  if (!described) return undefined;
  if (described.DeletedDate) {
    throw failure(
      'RETAINED_DELETED',
      `The secret ${name} is scheduled for deletion, and its name is taken until then.`,
      `aws secretsmanager restore-secret --secret-id ${name}, or delete it without recovery if nobody needs it.`,
    );
  }
  mustBeOf(issuerId, `The secret ${name}`, described.Description);
  const arn = described.ARN ?? '';
  const { ResourcePolicy } = await secretsManager.getResourcePolicy({ SecretId: arn }).catch((error: unknown) => {
    throw asCliFailure(error, 'secretsmanager:GetResourcePolicy');
  });
  const secret: Retained = {
    logicalId,
    type: 'AWS::SecretsManager::Secret',
    identifier: { name: 'Id', value: arn },
    properties: { Name: name, ...(described.Description !== undefined && { Description: described.Description }) },
  };
  const policy: Retained | undefined =
    ResourcePolicy === undefined
      ? undefined
      : {
          logicalId: `${logicalId}Policy`,
          type: 'AWS::SecretsManager::ResourcePolicy',
          identifier: { name: 'Id', value: arn },
          properties: {
            SecretId: { Ref: logicalId },
            BlockPublicPolicy: true,
            ResourcePolicy: livingPolicy(ResourcePolicy),
          },
        };
  return { secret, policy, keyId: described.KmsKeyId };
}
