import { DeleteSecretCommand, InvalidRequestException, RestoreSecretCommand } from '@aws-sdk/client-secrets-manager';
import { expect } from 'vitest';
import type { Aws } from '../implementations.ts';
import { expectRefusal, type Rule, refusalOf, secretsReference } from '../rule.ts';
import { createSecret } from './secrets.ts';

async function deletedSecret(aws: Aws) {
  const secret = await createSecret(aws);
  await aws.secretsManager.send(new DeleteSecretCommand({ SecretId: secret.name, RecoveryWindowInDays: 7 }));
  return secret;
}

export const deletionRules: readonly Rule[] = [
  {
    id: 'deleted-get',
    statement: 'A secret that is scheduled for deletion is not readable: InvalidRequestException, HTTP 400.',
    source: secretsReference('GetSecretValue', 'Errors'),
    async check(aws) {
      const secret = await deletedSecret(aws);
      const error = await refusalOf(secret.get());
      expect(error).toBeInstanceOf(InvalidRequestException);
      expect(error).toMatchObject({ name: 'InvalidRequestException', $metadata: { httpStatusCode: 400 } });
    },
  },
  {
    id: 'deleted-put',
    statement: 'A secret that is scheduled for deletion takes no value: InvalidRequestException.',
    source: secretsReference('PutSecretValue', 'Errors'),
    async check(aws) {
      const secret = await deletedSecret(aws);
      await expectRefusal(secret.put('second'), 'InvalidRequestException');
    },
  },
  {
    id: 'deleted-move',
    statement: 'The labels of a secret that is scheduled for deletion stay where they are: InvalidRequestException.',
    source: secretsReference('UpdateSecretVersionStage', 'Errors'),
    async check(aws) {
      const secret = await createSecret(aws);
      const second = await secret.put('second');
      await aws.secretsManager.send(new DeleteSecretCommand({ SecretId: secret.name, RecoveryWindowInDays: 7 }));
      const move = secret.moveLabel('AWSCURRENT', { from: second, to: secret.first });
      await expectRefusal(move, 'InvalidRequestException');
    },
  },
  {
    id: 'deleted-describe',
    statement: 'A secret that is scheduled for deletion can be described, with a DeletedDate.',
    source: secretsReference('DescribeSecret', 'DeletedDate'),
    async check(aws) {
      const secret = await deletedSecret(aws);
      expect(await secret.describe()).toMatchObject({ Name: secret.name, DeletedDate: expect.any(Date) });
    },
  },
  {
    id: 'deleted-restored',
    statement: 'RestoreSecret opens it again, with its value and without a DeletedDate.',
    source: secretsReference('RestoreSecret'),
    async check(aws) {
      const secret = await deletedSecret(aws);
      await aws.secretsManager.send(new RestoreSecretCommand({ SecretId: secret.name }));
      expect(await secret.get()).toMatchObject({ SecretString: 'first' });
      expect((await secret.describe()).DeletedDate).toBeUndefined();
    },
  },
  {
    id: 'deleted-by-force',
    statement: 'A secret that was deleted without recovery is gone: ResourceNotFoundException.',
    source: secretsReference('DeleteSecret', 'ForceDeleteWithoutRecovery'),
    async check(aws) {
      const secret = await createSecret(aws);
      await aws.secretsManager.send(
        new DeleteSecretCommand({ SecretId: secret.name, ForceDeleteWithoutRecovery: true }),
      );
      await expectRefusal(secret.get(), 'ResourceNotFoundException');
      await expectRefusal(secret.describe(), 'ResourceNotFoundException');
    },
  },
];
