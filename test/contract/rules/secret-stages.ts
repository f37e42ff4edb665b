import { randomUUID } from 'node:crypto';
import { RotateSecretCommand, UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import { expect } from 'vitest';
import type { Aws } from '../implementations.ts';
import { expectRefusal, type Rule, refusalOf, secretsGuide, secretsReference } from '../rule.ts';
import { createSecret, newName } from './secrets.ts';

const removeFrom = secretsReference('UpdateSecretVersionStage', 'RemoveFromVersionId');
/** The references name both errors for the operation, and don't say which one this is. */
const overtaken = ['InvalidParameterException', 'InvalidRequestException'] as const;

async function secretWithPending(aws: Aws) {
  const secret = await createSecret(aws);
  const pending = await secret.putPending('second');
  return { secret, first: String(secret.first), pending };
}

const rotate = (
  { secretsManager, rotationFunctions }: Aws,
  secretId: string,
  clientRequestToken: string,
  functionArn = rotationFunctions?.idle,
) =>
  secretsManager.send(
    new RotateSecretCommand({
      SecretId: secretId,
      ClientRequestToken: clientRequestToken,
      RotationLambdaARN: functionArn,
      RotationRules: { AutomaticallyAfterDays: 30 },
    }),
  );

export const stageRules: readonly Rule[] = [
  {
    id: 'move-current',
    statement: 'Moving AWSCURRENT to a version makes its value current, and moves AWSPREVIOUS to the one before.',
    source: secretsReference('UpdateSecretVersionStage', 'Description'),
    async check(aws) {
      const { secret, first, pending } = await secretWithPending(aws);
      await secret.moveLabel('AWSCURRENT', { from: first, to: pending });
      expect(await secret.get()).toMatchObject({ SecretString: 'second', VersionId: pending });
      expect(await secret.labels()).toEqual({
        [first]: ['AWSPREVIOUS'],
        [pending]: expect.arrayContaining(['AWSCURRENT']),
      });
    },
  },
  {
    id: 'move-current-back',
    statement:
      'Moving AWSCURRENT back is a rollback: the former value is current again, and AWSPREVIOUS the other one.',
    source: secretsReference('UpdateSecretVersionStage', 'Description'),
    async check(aws) {
      const secret = await createSecret(aws);
      const second = await secret.put('second');
      await secret.moveLabel('AWSCURRENT', { from: second, to: secret.first });
      expect(await secret.get()).toMatchObject({ SecretString: 'first' });
      expect(await secret.labels()).toEqual({ [String(secret.first)]: ['AWSCURRENT'], [second]: ['AWSPREVIOUS'] });
    },
  },
  {
    id: 'move-from-wrong-version',
    statement:
      'A move fails when RemoveFromVersionId is not the version that has the label: HTTP 400, and nothing changes.',
    source: removeFrom,
    async check(aws) {
      const { secret, first, pending } = await secretWithPending(aws);
      const third = await secret.put('third');
      const error = await refusalOf(secret.moveLabel('AWSCURRENT', { from: first, to: pending }));
      expect(overtaken).toContain(error.name);
      expect(error.$metadata.httpStatusCode).toBe(400);
      expect(await secret.labels()).toEqual({
        [first]: ['AWSPREVIOUS'],
        [pending]: ['AWSPENDING'],
        [third]: ['AWSCURRENT'],
      });
    },
  },
  {
    id: 'move-from-nothing',
    statement: 'A move of a label that a version has fails without RemoveFromVersionId, and changes nothing.',
    source: removeFrom,
    async check(aws) {
      const { secret, first, pending } = await secretWithPending(aws);
      await expectRefusal(secret.moveLabel('AWSCURRENT', { to: pending }), ...overtaken);
      expect(await secret.labels()).toEqual({ [first]: ['AWSCURRENT'], [pending]: ['AWSPENDING'] });
    },
  },
  {
    id: 'remove-pending',
    statement: 'RemoveFromVersionId alone takes the label off; a version without labels is listed no more.',
    source: secretsReference('UpdateSecretVersionStage', 'MoveToVersionId'),
    async check(aws) {
      const { secret, first, pending } = await secretWithPending(aws);
      await secret.moveLabel('AWSPENDING', { from: pending });
      expect(await secret.labels()).toEqual({ [first]: ['AWSCURRENT'] });
      await expectRefusal(secret.get({ VersionStage: 'AWSPENDING' }), 'ResourceNotFoundException');
    },
  },
  {
    id: 'remove-pending-from-current',
    statement: 'AWSPENDING can be taken off a version that also has another label, and the other one stays.',
    source: secretsReference('UpdateSecretVersionStage', 'MoveToVersionId'),
    async check(aws) {
      const secret = await createSecret(aws);
      const second = await secret.put('second', { VersionStages: ['AWSCURRENT', 'AWSPENDING'] });
      await secret.moveLabel('AWSPENDING', { from: second });
      expect(await secret.labels()).toEqual({ [String(secret.first)]: ['AWSPREVIOUS'], [second]: ['AWSCURRENT'] });
      expect(await secret.get()).toMatchObject({ SecretString: 'second' });
    },
  },
  {
    id: 'remove-from-wrong-version',
    statement: 'Taking a label off a version that does not have it fails, and changes nothing.',
    source: removeFrom,
    async check(aws) {
      const { secret, first, pending } = await secretWithPending(aws);
      await expectRefusal(secret.moveLabel('AWSPENDING', { from: first }), ...overtaken);
      expect(await secret.labels()).toEqual({ [first]: ['AWSCURRENT'], [pending]: ['AWSPENDING'] });
    },
  },
  {
    id: 'missing-secret-move',
    statement: 'UpdateSecretVersionStage of a secret that does not exist is refused with ResourceNotFoundException.',
    source: secretsReference('UpdateSecretVersionStage', 'Errors'),
    async check(aws) {
      const command = new UpdateSecretVersionStageCommand({
        SecretId: newName(),
        VersionStage: 'AWSPENDING',
        RemoveFromVersionId: randomUUID(),
      });
      await expectRefusal(aws.secretsManager.send(command), 'ResourceNotFoundException');
    },
  },
  {
    id: 'rotation-names-version',
    statement: 'A rotation that starts names the version to come: AWSPENDING is on it, but it has no value yet.',
    source: secretsReference('DescribeSecret', 'VersionIdsToStages'),
    needs: 'rotationFunctions',
    async check(aws) {
      const secret = await createSecret(aws);
      const VersionId = randomUUID();
      expect((await rotate(aws, secret.name, VersionId)).VersionId).toBe(VersionId);
      expect(await secret.labels()).toEqual({ [String(secret.first)]: ['AWSCURRENT'], [VersionId]: ['AWSPENDING'] });
      const read = secret.get({ VersionId, VersionStage: 'AWSPENDING' });
      await expectRefusal(read, 'ResourceNotFoundException');
    },
  },
  {
    id: 'rotation-fills-version',
    statement: 'A put under AWSPENDING with the token of a rotation gives the version that it named its value.',
    source: secretsReference('PutSecretValue', 'ClientRequestToken'),
    needs: 'rotationFunctions',
    async check(aws) {
      const secret = await createSecret(aws);
      const ClientRequestToken = randomUUID();
      await rotate(aws, secret.name, ClientRequestToken);
      expect(await secret.putPending('second', { ClientRequestToken })).toBe(ClientRequestToken);
      const value = await secret.get({ VersionId: ClientRequestToken, VersionStage: 'AWSPENDING' });
      expect(value).toMatchObject({ SecretString: 'second' });
      expect(await secret.get()).toMatchObject({ SecretString: 'first' });
    },
  },
  {
    id: 'rotation-blocked-by-pending',
    statement: 'RotateSecret is refused while AWSPENDING is on a version that is not current.',
    source: secretsReference('RotateSecret', 'Description'),
    needs: 'rotationFunctions',
    async check(aws) {
      const { secret } = await secretWithPending(aws);
      await expectRefusal(
        rotate(aws, secret.name, randomUUID()),
        'InvalidRequestException',
        'InvalidParameterException',
      );
    },
  },
  {
    id: 'rotation-runs-function',
    statement:
      'RotateSecret answers at once; the rotation function that it names then makes the version and moves AWSCURRENT.',
    source: secretsReference('RotateSecret', 'Description'),
    needs: 'rotationFunctions',
    check: (aws) => expectRotation(aws, aws.rotationFunctions?.working),
  },
  {
    id: 'rotation-retries',
    statement: 'When a step of a rotation fails, the entire rotation is done again.',
    source: secretsGuide('rotate-secrets_lambda', 'Rotation by Lambda function'),
    needs: 'rotationFunctions',
    check: (aws) => expectRotation(aws, aws.rotationFunctions?.failingOnce),
  },
  {
    id: 'rotation-unknown-function',
    statement: 'RotateSecret checks that it may invoke the function: one that does not exist is refused.',
    source: secretsGuide('troubleshoot_rotation', 'I get "access denied" when trying to configure rotation'),
    async check(aws) {
      const secret = await createSecret(aws);
      const missing = 'arn:aws:lambda:eu-west-1:111122223333:function:no-such-function';
      await refusalOf(rotate(aws, secret.name, randomUUID(), missing));
      expect(await secret.labels()).toEqual({ [String(secret.first)]: ['AWSCURRENT'] });
    },
  },
];

/** Looks that a rotation may take. Each is a request, so that a server on this machine has gone on in between. */
const patience = 50;

async function expectRotation(aws: Aws, functionArn: string | undefined): Promise<void> {
  const secret = await createSecret(aws);
  const VersionId = randomUUID();
  expect((await rotate(aws, secret.name, VersionId, functionArn)).VersionId).toBe(VersionId);
  let labels = await secret.labels();
  for (let looks = 0; looks < patience && labels[VersionId]?.join() !== 'AWSCURRENT'; looks += 1) {
    labels = await secret.labels();
  }
  expect(await secret.get()).toMatchObject({ SecretString: 'rotated', VersionId });
  expect(labels).toEqual({ [String(secret.first)]: ['AWSPREVIOUS'], [VersionId]: ['AWSCURRENT'] });
}
