import { randomUUID } from 'node:crypto';
import { ResourceNotFoundException } from '@aws-sdk/client-secrets-manager';
import { expect } from 'vitest';
import { expectMessage, expectRefusal, type Rule, refusalOf, secretsGuide, secretsReference } from '../rule.ts';
import { createSecret, describeSecret, getSecretValue, newName } from './secrets.ts';

export const readingRules: readonly Rule[] = [
  {
    id: 'secret-by-name-and-arn',
    statement: 'A secret is found by its name and by its ARN.',
    source: secretsReference('GetSecretValue', 'SecretId'),
    async check(aws) {
      const { name, arn } = await createSecret(aws);
      for (const SecretId of [name, arn]) {
        expect(await getSecretValue(aws, { SecretId })).toMatchObject({ ARN: arn, Name: name, SecretString: 'first' });
      }
    },
  },
  {
    id: 'secret-by-partial-arn',
    statement: 'A secret is found by its ARN without the hyphen and the six random characters.',
    source: secretsGuide('troubleshoot', 'Finding a secret from a partial ARN'),
    async check(aws) {
      const { arn } = await createSecret(aws);
      expect(arn).toMatch(/-[A-Za-z0-9]{6}$/);
      const value = await getSecretValue(aws, { SecretId: arn.slice(0, -7) });
      expect(value).toMatchObject({ ARN: arn, SecretString: 'first' });
    },
  },
  {
    id: 'get-default-is-current',
    statement: 'Without a stage and a version, GetSecretValue gives the AWSCURRENT version, with its id and labels.',
    source: secretsReference('GetSecretValue', 'VersionStage'),
    async check(aws) {
      const secret = await createSecret(aws);
      const second = await secret.put('second');
      await secret.putPending('third');
      const { SecretString, VersionId, VersionStages } = await secret.get();
      expect({ SecretString, VersionId, VersionStages }).toEqual({
        SecretString: 'second',
        VersionId: second,
        VersionStages: ['AWSCURRENT'],
      });
    },
  },
  {
    id: 'get-by-stage',
    statement: 'GetSecretValue gives the version that has the stage asked for.',
    source: secretsReference('GetSecretValue', 'VersionStage'),
    async check(aws) {
      const secret = await createSecret(aws);
      const second = await secret.put('second');
      const third = await secret.putPending('third');
      const stages = { AWSPREVIOUS: secret.first, AWSCURRENT: second, AWSPENDING: third };
      for (const [VersionStage, VersionId] of Object.entries(stages)) {
        expect(await secret.get({ VersionStage })).toMatchObject({ VersionId });
      }
    },
  },
  {
    id: 'get-by-version',
    statement: 'GetSecretValue gives the version of the id asked for.',
    source: secretsReference('GetSecretValue', 'VersionId'),
    async check(aws) {
      const secret = await createSecret(aws);
      const second = await secret.put('second');
      expect(await secret.get({ VersionId: secret.first })).toMatchObject({ SecretString: 'first' });
      expect(await secret.get({ VersionId: second })).toMatchObject({ SecretString: 'second' });
    },
  },
  {
    id: 'get-by-version-and-stage',
    statement: 'A version id and a stage asked for together find the version that has both.',
    source: secretsReference('GetSecretValue', 'VersionStage'),
    async check(aws) {
      const secret = await createSecret(aws);
      const VersionId = await secret.putPending('second');
      const value = await secret.get({ VersionId, VersionStage: 'AWSPENDING' });
      expect(value).toMatchObject({ VersionId, SecretString: 'second' });
    },
  },
  {
    id: 'get-by-version-and-other-stage',
    statement: 'A version id and a stage that belong to two versions are refused.',
    source: secretsReference('GetSecretValue', 'VersionStage'),
    async check(aws) {
      const secret = await createSecret(aws);
      const VersionId = await secret.putPending('second');
      const call = secret.get({ VersionId, VersionStage: 'AWSCURRENT' });
      await expectRefusal(call, 'InvalidRequestException', 'InvalidParameterException', 'ResourceNotFoundException');
    },
  },
  {
    id: 'get-unknown-version',
    statement:
      'A version that does not exist, and a stage that no version has, are refused with ResourceNotFoundException.',
    source: secretsReference('GetSecretValue', 'Errors'),
    async check(aws) {
      const secret = await createSecret(aws);
      await expectRefusal(secret.get({ VersionId: randomUUID() }), 'ResourceNotFoundException');
      await expectRefusal(secret.get({ VersionStage: 'AWSPENDING' }), 'ResourceNotFoundException');
    },
  },
  {
    id: 'missing-secret-get',
    statement: 'GetSecretValue of a secret that does not exist is refused with ResourceNotFoundException.',
    source: secretsReference('GetSecretValue', 'Errors'),
    async check(aws) {
      await expectRefusal(getSecretValue(aws, { SecretId: newName() }), 'ResourceNotFoundException');
    },
  },
  {
    id: 'missing-secret-describe',
    statement: 'DescribeSecret of a secret that does not exist is refused with ResourceNotFoundException.',
    source: secretsReference('DescribeSecret', 'Errors'),
    async check(aws) {
      await expectRefusal(describeSecret(aws, newName()), 'ResourceNotFoundException');
    },
  },
  {
    id: 'secret-error-shape',
    statement: "An error is the SDK's class of its name, the client's fault, and has a message.",
    source: secretsReference('GetSecretValue', 'Errors'),
    async check(aws) {
      const error = await refusalOf(getSecretValue(aws, { SecretId: newName() }));
      expect(error).toBeInstanceOf(ResourceNotFoundException);
      expect(error).toMatchObject({
        name: 'ResourceNotFoundException',
        $fault: 'client',
      });
      expectMessage(error);
    },
  },
  {
    id: 'secret-not-found-status',
    statement: 'ResourceNotFoundException comes with HTTP status 400.',
    source: secretsReference('GetSecretValue', 'Errors'),
    async check(aws) {
      const { $metadata } = await refusalOf(getSecretValue(aws, { SecretId: newName() }));
      expect($metadata.httpStatusCode).toBe(400);
    },
  },
  {
    id: 'no-value-get',
    statement: 'A secret that was created without a value has nothing to read: ResourceNotFoundException.',
    source: secretsReference('GetSecretValue', 'Errors'),
    async check(aws) {
      const secret = await createSecret(aws, {});
      await expectRefusal(secret.get(), 'ResourceNotFoundException');
    },
  },
  {
    id: 'no-value-describe',
    statement: 'A secret that was created without a value can be described, and has no version.',
    source: secretsReference('CreateSecret', 'Description'),
    async check(aws) {
      const secret = await createSecret(aws, {});
      expect(secret.first).toBeUndefined();
      expect(await secret.describe()).toMatchObject({ ARN: secret.arn, Name: secret.name });
      expect(await secret.labels()).toEqual({});
    },
  },
  {
    id: 'describe-versions',
    statement: 'DescribeSecret maps the ids of the versions that have labels to their labels; others are not listed.',
    source: secretsReference('DescribeSecret', 'VersionIdsToStages'),
    async check(aws) {
      const secret = await createSecret(aws);
      const [second, third] = [await secret.put('second'), await secret.put('third')];
      const pending = await secret.putPending('fourth');
      expect((await secret.describe()).VersionIdsToStages).toEqual({
        [second]: ['AWSPREVIOUS'],
        [third]: ['AWSCURRENT'],
        [pending]: ['AWSPENDING'],
      });
    },
  },
  {
    id: 'describe-by-arn',
    statement: 'DescribeSecret by ARN gives name and ARN, and never the value.',
    source: secretsReference('DescribeSecret', 'Description'),
    async check(aws) {
      const { name, arn } = await createSecret(aws, { SecretString: 'in-no-description' });
      const description = await describeSecret(aws, arn);
      expect(description).toMatchObject({ ARN: arn, Name: name });
      expect(JSON.stringify(description)).not.toContain('in-no-description');
    },
  },
];
