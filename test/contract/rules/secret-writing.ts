import { createHash, randomUUID } from 'node:crypto';
import { PutSecretValueCommand, ResourceExistsException } from '@aws-sdk/client-secrets-manager';
import { expect } from 'vitest';
import { expectRefusal, type Rule, refusalOf, secretsGuide, secretsReference } from '../rule.ts';
import { createSecret, newName } from './secrets.ts';

const tokenSource = secretsReference('PutSecretValue', 'ClientRequestToken');
const hexOf64 = () => createHash('sha256').update(randomUUID()).digest('hex');

const tokenRules: readonly Rule[] = [
  {
    id: 'token-names-version',
    statement: 'The ClientRequestToken becomes the id of the version.',
    source: tokenSource,
    async check(aws) {
      const secret = await createSecret(aws);
      const ClientRequestToken = randomUUID();
      expect(await secret.put('second', { ClientRequestToken })).toBe(ClientRequestToken);
      expect(await secret.get()).toMatchObject({ VersionId: ClientRequestToken, SecretString: 'second' });
    },
  },
  {
    id: 'token-names-first-version',
    statement: 'The ClientRequestToken of CreateSecret becomes the id of the first version.',
    source: secretsReference('CreateSecret', 'ClientRequestToken'),
    async check(aws) {
      const ClientRequestToken = randomUUID();
      const secret = await createSecret(aws, { SecretString: 'first', ClientRequestToken });
      expect(secret.first).toBe(ClientRequestToken);
      expect((await secret.get()).VersionId).toBe(ClientRequestToken);
    },
  },
  {
    id: 'token-length-allowed',
    statement: 'A ClientRequestToken may have 32 characters, and 64.',
    source: tokenSource,
    async check(aws) {
      const secret = await createSecret(aws);
      for (const ClientRequestToken of [hexOf64().slice(32), hexOf64()]) {
        expect(await secret.put('next', { ClientRequestToken })).toBe(ClientRequestToken);
        expect((await secret.get({ VersionId: ClientRequestToken })).VersionId).toBe(ClientRequestToken);
      }
    },
  },
  {
    id: 'token-too-short',
    statement: 'A ClientRequestToken of 31 characters is refused with InvalidParameterException.',
    source: tokenSource,
    async check(aws) {
      const secret = await createSecret(aws);
      const put = secret.put('second', { ClientRequestToken: 'x'.repeat(31) });
      await expectRefusal(put, 'InvalidParameterException');
    },
  },
  {
    id: 'token-too-long',
    statement: 'A ClientRequestToken of 65 characters is refused with InvalidParameterException.',
    source: tokenSource,
    async check(aws) {
      const secret = await createSecret(aws);
      const put = secret.put('second', { ClientRequestToken: 'x'.repeat(65) });
      await expectRefusal(put, 'InvalidParameterException');
    },
  },
  {
    id: 'token-same-value',
    statement: 'A put with the token and the value of an existing version succeeds and does nothing, labels included.',
    source: tokenSource,
    async check(aws) {
      const secret = await createSecret(aws);
      const ClientRequestToken = randomUUID();
      await secret.put('second', { ClientRequestToken });
      const third = await secret.put('third');
      expect(await secret.put('second', { ClientRequestToken })).toBe(ClientRequestToken);
      expect(await secret.get()).toMatchObject({ SecretString: 'third', VersionId: third });
      expect(await secret.labels()).toEqual({ [ClientRequestToken]: ['AWSPREVIOUS'], [third]: ['AWSCURRENT'] });
    },
  },
  {
    id: 'token-other-value',
    statement:
      'A put with the token of an existing version and another value is refused with ResourceExistsException, HTTP 400.',
    source: tokenSource,
    async check(aws) {
      const secret = await createSecret(aws);
      const ClientRequestToken = randomUUID();
      await secret.put('second', { ClientRequestToken });
      const error = await refusalOf(secret.put('other', { ClientRequestToken }));
      expect(error).toBeInstanceOf(ResourceExistsException);
      expect(error).toMatchObject({ name: 'ResourceExistsException', $metadata: { httpStatusCode: 400 } });
    },
  },
  {
    id: 'token-other-value-changes-nothing',
    statement: 'A version keeps its value and its labels, whatever is put under its token.',
    source: tokenSource,
    async check(aws) {
      const secret = await createSecret(aws);
      const ClientRequestToken = randomUUID();
      await secret.put('second', { ClientRequestToken });
      const third = await secret.put('third');
      await secret.put('other', { ClientRequestToken }).catch(() => undefined);
      expect(await secret.get({ VersionId: ClientRequestToken })).toMatchObject({ SecretString: 'second' });
      expect(await secret.labels()).toEqual({ [ClientRequestToken]: ['AWSPREVIOUS'], [third]: ['AWSCURRENT'] });
    },
  },
  {
    id: 'token-two-writers',
    statement: 'Of two puts at once with one token and two values, one wins and the other is refused.',
    source: tokenSource,
    async check(aws) {
      const secret = await createSecret(aws);
      const ClientRequestToken = randomUUID();
      const outcomes = await Promise.allSettled(
        ['one', 'two'].map(async (value) => {
          await secret.put(value, { ClientRequestToken });
          return value;
        }),
      );
      const winners = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      expect(winners).toHaveLength(1);
      expect(await secret.get()).toMatchObject({ SecretString: winners[0], VersionId: ClientRequestToken });
    },
  },
];

const labelRules: readonly Rule[] = [
  {
    id: 'create-attaches-current',
    statement: 'The version that CreateSecret makes has the label AWSCURRENT.',
    source: secretsReference('CreateSecret', 'Description'),
    async check(aws) {
      const secret = await createSecret(aws);
      expect(await secret.labels()).toEqual({ [String(secret.first)]: ['AWSCURRENT'] });
    },
  },
  {
    id: 'put-moves-current',
    statement: 'A put without VersionStages moves AWSCURRENT to its version, and AWSPREVIOUS to the one before.',
    source: secretsReference('PutSecretValue', 'Description'),
    async check(aws) {
      const secret = await createSecret(aws);
      const second = await secret.put('second');
      expect(await secret.labels()).toEqual({ [String(secret.first)]: ['AWSPREVIOUS'], [second]: ['AWSCURRENT'] });
      const third = await secret.put('third');
      expect(await secret.labels()).toEqual({ [second]: ['AWSPREVIOUS'], [third]: ['AWSCURRENT'] });
    },
  },
  {
    id: 'put-keeps-young-versions',
    statement: 'A version of the last 24 hours stays readable by its id after it has lost its labels.',
    source: secretsReference('PutSecretValue', 'Description'),
    async check(aws) {
      const secret = await createSecret(aws);
      await secret.put('second');
      await secret.put('third');
      expect(await secret.get({ VersionId: secret.first })).toMatchObject({ SecretString: 'first' });
    },
  },
  {
    id: 'put-pending',
    statement: 'A put under AWSPENDING leaves AWSCURRENT where it is.',
    source: secretsReference('PutSecretValue', 'VersionStages'),
    async check(aws) {
      const secret = await createSecret(aws);
      const pending = await secret.putPending('second');
      expect(await secret.labels()).toEqual({ [String(secret.first)]: ['AWSCURRENT'], [pending]: ['AWSPENDING'] });
      expect(await secret.get()).toMatchObject({ SecretString: 'first' });
    },
  },
  {
    id: 'put-pending-again',
    statement: 'Another put under AWSPENDING takes the label from the version that had it.',
    source: secretsReference('PutSecretValue', 'VersionStages'),
    async check(aws) {
      const secret = await createSecret(aws);
      await secret.putPending('second');
      const third = await secret.putPending('third');
      expect(await secret.labels()).toEqual({ [String(secret.first)]: ['AWSCURRENT'], [third]: ['AWSPENDING'] });
    },
  },
  {
    id: 'put-pending-same-token',
    statement: 'A put under AWSPENDING can be repeated; with another value it is refused with ResourceExistsException.',
    source: tokenSource,
    async check(aws) {
      const secret = await createSecret(aws);
      const ClientRequestToken = randomUUID();
      await secret.putPending('second', { ClientRequestToken });
      expect(await secret.putPending('second', { ClientRequestToken })).toBe(ClientRequestToken);
      await expectRefusal(secret.putPending('other', { ClientRequestToken }), 'ResourceExistsException');
      const value = await secret.get({ VersionId: ClientRequestToken, VersionStage: 'AWSPENDING' });
      expect(value).toMatchObject({ SecretString: 'second' });
    },
  },
  {
    id: 'put-first-version',
    statement: 'The first version of a secret that was created without a value gets AWSCURRENT.',
    source: secretsReference('PutSecretValue', 'Description'),
    async check(aws) {
      const secret = await createSecret(aws, {});
      const first = await secret.put('first');
      expect(await secret.labels()).toEqual({ [first]: ['AWSCURRENT'] });
      expect(await secret.get()).toMatchObject({ SecretString: 'first', VersionId: first });
    },
  },
  {
    id: 'put-first-version-pending',
    statement: 'The first version of a secret gets AWSCURRENT even when it is put under AWSPENDING.',
    source: secretsReference('PutSecretValue', 'Description'),
    async check(aws) {
      const secret = await createSecret(aws, {});
      const first = await secret.putPending('first');
      expect((await secret.labels())[first]).toContain('AWSCURRENT');
    },
  },
  {
    id: 'put-answer',
    statement: 'PutSecretValue answers with ARN, name, version id and labels of the version.',
    source: secretsReference('PutSecretValue', 'Response Elements'),
    async check(aws) {
      const { name, arn } = await createSecret(aws);
      const answer = await aws.secretsManager.send(
        new PutSecretValueCommand({ SecretId: arn, SecretString: 'second' }),
      );
      expect(answer).toMatchObject({
        ARN: arn,
        Name: name,
        VersionId: expect.stringMatching(/^.{32,64}$/),
        VersionStages: ['AWSCURRENT'],
      });
    },
  },
];

const valueRules: readonly Rule[] = [
  {
    id: 'value-unchanged',
    statement: 'A text comes back as it was put: line breaks, quotes, characters outside ASCII.',
    source: secretsReference('GetSecretValue', 'SecretString'),
    async check(aws) {
      const text = JSON.stringify(
        { pem: '-----BEGIN X-----\nAAAA\r\n', text: '"\\ é € 😀 \u2028 </script>', empty: '' },
        null,
        2,
      );
      const secret = await createSecret(aws, { SecretString: text });
      expect((await secret.get()).SecretString).toBe(text);
      await secret.put(` ${text}\n`);
      expect((await secret.get()).SecretString).toBe(` ${text}\n`);
    },
  },
  {
    id: 'value-binary',
    statement: 'Bytes come back as SecretBinary, as they were put, and there is no SecretString.',
    source: secretsReference('GetSecretValue', 'SecretBinary'),
    async check(aws) {
      const bytes = new Uint8Array([0, 255, 1, 128]);
      const secret = await createSecret(aws);
      await aws.secretsManager.send(new PutSecretValueCommand({ SecretId: secret.name, SecretBinary: bytes }));
      const { SecretString, SecretBinary } = await secret.get();
      expect(SecretString).toBeUndefined();
      expect(SecretBinary).toEqual(bytes);
    },
  },
  {
    id: 'value-65536-bytes',
    statement: 'A value may have 65,536 bytes.',
    source: secretsGuide('reference_limits', 'AWS Secrets Manager quotas'),
    async check(aws) {
      const secret = await createSecret(aws);
      await secret.put('x'.repeat(65_536));
      expect((await secret.get()).SecretString).toHaveLength(65_536);
    },
  },
  {
    id: 'value-65537-bytes',
    statement: 'A value of 65,537 bytes is refused, and the secret keeps the one it has.',
    source: secretsGuide('reference_limits', 'AWS Secrets Manager quotas'),
    async check(aws) {
      const secret = await createSecret(aws);
      const error = await refusalOf(secret.put('x'.repeat(65_537)));
      expect(error.$metadata.httpStatusCode).toBe(400);
      expect(await secret.get()).toMatchObject({ SecretString: 'first' });
    },
  },
  {
    id: 'missing-secret-put',
    statement: 'PutSecretValue to a secret that does not exist is refused with ResourceNotFoundException.',
    source: secretsReference('PutSecretValue', 'Errors'),
    async check(aws) {
      const put = aws.secretsManager.send(new PutSecretValueCommand({ SecretId: newName(), SecretString: 'first' }));
      await expectRefusal(put, 'ResourceNotFoundException');
    },
  },
];

export const writingRules: readonly Rule[] = [...tokenRules, ...labelRules, ...valueRules];
