import { randomUUID, webcrypto } from 'node:crypto';
import {
  DeleteAliasCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  NotFoundException,
  ScheduleKeyDeletionCommand,
  UpdateAliasCommand,
} from '@aws-sdk/client-kms';
import { expect } from 'vitest';
import type { Aws } from '../implementations.ts';
import { expectMessage, expectRefusal, kmsGuide, kmsReference, type Rule, refusalOf } from '../rule.ts';
import { createAlias, createKey, describeKey, getPublicKey, publicKeyOf, signDigest } from './keys.ts';

const keyStates = kmsGuide('key-state', 'Key states of AWS KMS keys');

const disable = ({ kms }: Aws, keyId: string) => kms.send(new DisableKeyCommand({ KeyId: keyId }));
const scheduleDeletion = ({ kms }: Aws, keyId: string) =>
  kms.send(new ScheduleKeyDeletionCommand({ KeyId: keyId, PendingWindowInDays: 7 }));

async function expectToBeKey(aws: Aws, reference: string, arn: string): Promise<void> {
  expect((await signDigest(aws, reference)).KeyId).toBe(arn);
  expect((await describeKey(aws, reference))?.Arn).toBe(arn);
  expect((await getPublicKey(aws, reference)).PublicKey).toEqual((await getPublicKey(aws, arn)).PublicKey);
}

const stateRules: readonly Rule[] = [
  {
    id: 'kms-disabled-sign',
    statement: 'A disabled key refuses to sign: DisabledException, HTTP 400.',
    source: keyStates,
    async check(aws) {
      const { id } = await createKey(aws);
      await disable(aws, id);
      const error = await refusalOf(signDigest(aws, id));
      expect(error).toMatchObject({ name: 'DisabledException', $metadata: { httpStatusCode: 400 } });
    },
  },
  {
    id: 'kms-disabled-public-key',
    statement: 'A disabled key refuses to show its public key with DisabledException.',
    source: keyStates,
    async check(aws) {
      const { id } = await createKey(aws);
      await disable(aws, id);
      await expectRefusal(getPublicKey(aws, id), 'DisabledException');
    },
  },
  {
    id: 'kms-disabled-describe',
    statement: 'A disabled key can be described, as not enabled.',
    source: keyStates,
    async check(aws) {
      const { id } = await createKey(aws);
      await disable(aws, id);
      expect(await describeKey(aws, id)).toMatchObject({ KeyId: id, KeyState: 'Disabled', Enabled: false });
    },
  },
  {
    id: 'kms-enabled-again',
    statement: 'A key that was disabled and is enabled again signs, with the same public key.',
    source: kmsReference('EnableKey'),
    async check(aws) {
      const { id } = await createKey(aws);
      const before = (await getPublicKey(aws, id)).PublicKey;
      await disable(aws, id);
      await aws.kms.send(new EnableKeyCommand({ KeyId: id }));
      expect((await signDigest(aws, id)).Signature).toBeDefined();
      expect((await getPublicKey(aws, id)).PublicKey).toEqual(before);
    },
  },
  {
    id: 'kms-pending-deletion-sign',
    statement: 'A key that is pending deletion refuses to sign, with KMSInvalidStateException or DisabledException.',
    source: keyStates,
    async check(aws) {
      const { id } = await createKey(aws);
      await scheduleDeletion(aws, id);
      await expectRefusal(signDigest(aws, id), 'KMSInvalidStateException', 'DisabledException');
    },
  },
  {
    id: 'kms-pending-deletion-public-key',
    statement: 'A key that is pending deletion refuses to show its public key, with one of the same two errors.',
    source: keyStates,
    async check(aws) {
      const { id } = await createKey(aws);
      await scheduleDeletion(aws, id);
      await expectRefusal(getPublicKey(aws, id), 'KMSInvalidStateException', 'DisabledException');
    },
  },
  {
    id: 'kms-pending-deletion-describe',
    statement: 'A key that is pending deletion can be described, with the date of its deletion.',
    source: keyStates,
    async check(aws) {
      const { id } = await createKey(aws);
      await scheduleDeletion(aws, id);
      expect(await describeKey(aws, id)).toMatchObject({
        KeyState: 'PendingDeletion',
        Enabled: false,
        DeletionDate: expect.any(Date),
      });
    },
  },
];

const nameRules: readonly Rule[] = [
  {
    id: 'kms-key-by-id-and-arn',
    statement: 'A key is found by its id and by its ARN, by Sign, GetPublicKey and DescribeKey.',
    source: kmsReference('Sign', 'KeyId'),
    async check(aws) {
      const { id, arn } = await createKey(aws);
      await expectToBeKey(aws, id, arn);
      await expectToBeKey(aws, arn, arn);
    },
  },
  {
    id: 'kms-key-by-alias-name',
    statement: 'A key is found by the name of its alias, by Sign, GetPublicKey and DescribeKey.',
    source: kmsReference('Sign', 'KeyId'),
    async check(aws) {
      const { id, arn } = await createKey(aws);
      await expectToBeKey(aws, await createAlias(aws, id), arn);
    },
  },
  {
    id: 'kms-key-by-alias-arn',
    statement: 'A key is found by the ARN of its alias, by Sign, GetPublicKey and DescribeKey.',
    source: kmsReference('Sign', 'KeyId'),
    async check(aws) {
      const { id, arn } = await createKey(aws);
      const aliasArn = arn.replace(`key/${id}`, await createAlias(aws, id));
      await expectToBeKey(aws, aliasArn, arn);
    },
  },
  {
    id: 'kms-alias-moves',
    statement: 'An alias can be moved to another key of the same kind, which then signs under it.',
    source: kmsReference('UpdateAlias'),
    async check(aws) {
      const [first, second] = [await createKey(aws), await createKey(aws)];
      const AliasName = await createAlias(aws, first.id);
      await aws.kms.send(new UpdateAliasCommand({ AliasName, TargetKeyId: second.id }));
      expect((await signDigest(aws, AliasName)).KeyId).toBe(second.arn);
    },
  },
  {
    id: 'kms-alias-deleted',
    statement: 'A deleted alias is not found; its key is.',
    source: kmsReference('DeleteAlias'),
    async check(aws) {
      const { id } = await createKey(aws);
      const AliasName = await createAlias(aws, id);
      await aws.kms.send(new DeleteAliasCommand({ AliasName }));
      await expectRefusal(signDigest(aws, AliasName), 'NotFoundException');
      expect((await signDigest(aws, id)).Signature).toBeDefined();
    },
  },
  {
    id: 'kms-unknown-key',
    statement: 'A key id that no key has is refused with NotFoundException, by Sign, GetPublicKey and DescribeKey.',
    source: kmsReference('Sign', 'Errors'),
    async check(aws) {
      const unknown = randomUUID();
      await expectRefusal(signDigest(aws, unknown), 'NotFoundException');
      await expectRefusal(getPublicKey(aws, unknown), 'NotFoundException');
      await expectRefusal(describeKey(aws, unknown), 'NotFoundException');
    },
  },
  {
    id: 'kms-unknown-alias',
    statement: 'An alias that does not exist is refused with NotFoundException.',
    source: kmsReference('Sign', 'Errors'),
    async check(aws) {
      await expectRefusal(signDigest(aws, `alias/contract/${randomUUID()}`), 'NotFoundException');
    },
  },
  {
    id: 'kms-error-shape',
    statement: "An error is the SDK's class of its name, the client's fault, and has a message.",
    source: kmsReference('DescribeKey', 'Errors'),
    async check(aws) {
      const error = await refusalOf(describeKey(aws, randomUUID()));
      expect(error).toBeInstanceOf(NotFoundException);
      expect(error).toMatchObject({ name: 'NotFoundException', $fault: 'client' });
      expectMessage(error);
    },
  },
  {
    id: 'kms-error-status',
    statement: 'NotFoundException and InvalidKeyUsageException come with HTTP status 400.',
    source: kmsReference('Sign', 'Errors'),
    async check(aws) {
      const { id } = await createKey(aws, { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
      for (const keyId of [randomUUID(), id]) {
        expect((await refusalOf(signDigest(aws, keyId))).$metadata.httpStatusCode).toBe(400);
      }
    },
  },
];

const publicKeyRules: readonly Rule[] = [
  {
    id: 'kms-public-key-spki',
    statement: 'The public key of a P-256 key is a SubjectPublicKeyInfo in DER, as every crypto library takes it.',
    source: kmsReference('GetPublicKey', 'PublicKey'),
    async check(aws) {
      const { id } = await createKey(aws);
      const key = await publicKeyOf(aws, id);
      expect(key.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });
      const { PublicKey } = await getPublicKey(aws, id);
      expect(Buffer.from(PublicKey ?? [])).toEqual(key.export({ type: 'spki', format: 'der' }));
      const curve = { name: 'ECDSA', namedCurve: 'P-256' };
      await webcrypto.subtle.importKey('spki', Buffer.from(PublicKey ?? []), curve, true, ['verify']);
    },
  },
  {
    id: 'kms-public-key-answer',
    statement: 'GetPublicKey also gives the ARN, spec and usage of the key, and the algorithms that it signs with.',
    source: kmsReference('GetPublicKey', 'Response Elements'),
    async check(aws) {
      const { id, arn } = await createKey(aws);
      const { KeyId, KeySpec, KeyUsage, SigningAlgorithms } = await getPublicKey(aws, id);
      expect({ KeyId, KeySpec, KeyUsage, SigningAlgorithms }).toEqual({
        KeyId: arn,
        KeySpec: 'ECC_NIST_P256',
        KeyUsage: 'SIGN_VERIFY',
        SigningAlgorithms: ['ECDSA_SHA_256'],
      });
    },
  },
  {
    id: 'kms-describe-answer',
    statement: 'DescribeKey gives id, ARN, state, spec and usage of the key, and the algorithms that it signs with.',
    source: kmsReference('DescribeKey', 'Response Elements'),
    async check(aws) {
      const { id, arn } = await createKey(aws);
      expect(await describeKey(aws, id)).toMatchObject({
        KeyId: id,
        Arn: arn,
        Enabled: true,
        KeyState: 'Enabled',
        KeySpec: 'ECC_NIST_P256',
        KeyUsage: 'SIGN_VERIFY',
        KeyManager: 'CUSTOMER',
        Origin: 'AWS_KMS',
        SigningAlgorithms: ['ECDSA_SHA_256'],
      });
    },
  },
];

export const keyRules: readonly Rule[] = [...stateRules, ...nameRules, ...publicKeyRules];
