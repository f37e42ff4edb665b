import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import {
  AttachUserPolicyCommand,
  CreateAccessKeyCommand,
  CreatePolicyCommand,
  CreateUserCommand,
  IAMClient,
} from '@aws-sdk/client-iam';
import { DescribeKeyCommand, KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { callsOfCertificateRead, callsOfIdleTick, callsOfRefresh } from '../../infra/cost.ts';
import { rotationSteps } from '../../src/events.ts';
import { forMinistack, unknownTypes } from './ministack-deviations.ts';
import { consumerTemplate, packageConsumer } from './support/consumer-stack.ts';
import { type Deployment, deploy } from './support/deployment.ts';
import { REGION } from './support/ministack.ts';
import { DeployedStack } from './support/stack.ts';

// The packaged stack on MiniStack, used as a bank uses it. The tests build on one another, in this order. They wait for
// real time where something else keeps it: the schedule, CloudFormation, an asynchronous invocation.

const POLL_MILLISECONDS = 500;
/** The schedule fires within two of its minutes. */
const SCHEDULE_PATIENCE_MILLISECONDS = 150_000;

let bank: Deployment;

beforeAll(async () => {
  bank = await deploy();
});

afterAll(async () => {
  await bank?.close();
});

const fingerprint = (text: string) => createHash('sha256').update(text).digest('hex');

/** For assertions, whose failures are printed: the token itself must not be in them. */
function tokenless(answer: unknown): Record<string, unknown> {
  const { access_token, ...rest } = (answer ?? {}) as Record<string, unknown>;
  return typeof access_token === 'string' ? { ...rest, fingerprint: fingerprint(access_token) } : rest;
}

async function eventually<T>(look: () => Promise<T | undefined>, patienceMilliseconds: number): Promise<T> {
  const until = Date.now() + patienceMilliseconds;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > until) throw new Error(`Not seen within ${patienceMilliseconds} ms.`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
  }
}

test('MiniStack still can not take the template as it is: else the deviation goes', async () => {
  await expect(bank.stack.update(bank.first.template)).rejects.toThrow(
    `Unrecognized resource types: [${unknownTypes.join(', ')}]`,
  );
});

test('the function hands out a token that the D1 API accepts', async () => {
  const { answer, error } = await bank.invoke(bank.output('FunctionName'), {});
  expect({ error, ...tokenless(answer) }).toMatchObject({ error: undefined, source: 'exchange', token_type: 'Bearer' });
  expect(await bank.d1.callApi((answer as { access_token: string }).access_token)).toBe(200);
});

test('a refresh and an idle tick make the calls that docs/cost.md is computed from', async () => {
  const { operations } = bank.ministack.front;
  expect(count(operations)).toEqual(sum(callsOfRefresh, callsOfCertificateRead));
  const before = operations.length;
  const { answer } = await bank.invoke(bank.output('FunctionName'), { action: 'refresh' });
  expect(answer).toMatchObject({ refreshed: false, reason: 'fresh' });
  expect(count(operations.slice(before))).toEqual(callsOfIdleTick);
});

test('the secret holds a valid record of that token', async () => {
  const { record } = await bank.storedToken();
  expect(tokenless(record)).toMatchObject({
    schema_version: 1,
    expires_in: 900,
    issuer_id: 'ISSUER0001',
    key_id: 'deployed-key-1',
  });
  expect(await bank.d1.callApi(record.access_token)).toBe(200);
});

test('an asynchronous event that fails ends in the queue of failed invocations, with its error', async () => {
  const lambda = new LambdaClient(bank.place);
  const sqs = new SQSClient(bank.place);
  const { StackResourceDetail } = await bank.stack.resource('FailedInvocations');
  const QueueUrl = StackResourceDetail?.PhysicalResourceId;
  await lambda.send(
    new InvokeCommand({
      FunctionName: bank.output('FunctionName'),
      InvocationType: 'Event',
      Payload: Buffer.from(JSON.stringify({ action: 'nonsense' })),
    }),
  );
  const message = await eventually(async () => {
    const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl }));
    return Messages?.[0];
  }, 30_000);
  expect(message.Body).toContain('The event cannot be understood: field action');
});

test('the four rotation steps, as Secrets Manager sends them, rotate the secret', async () => {
  const SecretId = bank.output('TokenSecretArn');
  const before = await bank.storedToken();
  const ClientRequestToken = randomUUID();
  // As RotateSecret leaves it: a version with the label and without a value (ministack-deviations.ts, rotateSecret).
  await bank.secretsManager.send(
    new PutSecretValueCommand({ SecretId, ClientRequestToken, VersionStages: ['AWSPENDING'] }),
  );
  for (const Step of rotationSteps) {
    const { error, answer } = await bank.invoke(bank.output('FunctionName'), { Step, SecretId, ClientRequestToken });
    expect({ Step, error, ...tokenless(answer) }).toMatchObject({ Step, error: undefined });
  }
  const after = await bank.storedToken();
  expect(after.versionId).toBe(ClientRequestToken);
  expect(fingerprint(after.record.access_token)).not.toBe(fingerprint(before.record.access_token));
  expect(await bank.d1.callApi(after.record.access_token)).toBe(200);
  const { VersionIdsToStages } = await bank.secretsManager.send(new DescribeSecretCommand({ SecretId }));
  expect(Object.values(VersionIdsToStages ?? {}).flat()).not.toContain('AWSPENDING');
});

test('a Lambda of the bank, with the policy token-reader and no other, gets the token and nothing else', async () => {
  const consumer = await deployConsumer();
  const { answer, error } = await bank.invoke(consumer['FunctionName'] ?? '', {});
  const { record } = await bank.storedToken();
  const expected = { fingerprint: fingerprint(record.access_token), expires_at: record.expires_at };
  expect({ error, answer }).toEqual({ error: undefined, answer: expected });

  const asConsumer = { ...bank.place, credentials: await credentialsOf(consumer['RoleArn'] ?? '') };
  const secretsManager = new SecretsManagerClient(asConsumer);
  const SecretId = bank.output('TokenSecretArn');
  const forbidden: Record<string, () => Promise<unknown>> = {
    'read the client certificate': () =>
      secretsManager.send(new GetSecretValueCommand({ SecretId: bank.output('ClientCertificateSecretArn') })),
    'write the token': () => secretsManager.send(new PutSecretValueCommand({ SecretId, SecretString: '{}' })),
    'invoke the broker': () =>
      new LambdaClient(asConsumer).send(new InvokeCommand({ FunctionName: bank.output('FunctionName') })),
    sign: () => new KMSClient(asConsumer).send(signCommand()),
  };
  for (const [what, attempt] of Object.entries(forbidden)) {
    await expect(attempt(), what).rejects.toMatchObject({ name: 'AccessDeniedException' });
  }
});

test('a Python script with boto3 reads the secret and calls the D1 API', async () => {
  const { AccessKeyId, SecretAccessKey, SessionToken } = await sessionOf(consumerRoleArn);
  const script = fileURLToPath(new URL('consumers/read_and_call.py', import.meta.url));
  const child = spawn(bank.python, [script], {
    env: {
      AWS_ENDPOINT_URL: bank.ministack.url,
      AWS_REGION: REGION,
      AWS_DEFAULT_REGION: REGION,
      AWS_ACCESS_KEY_ID: AccessKeyId,
      AWS_SECRET_ACCESS_KEY: SecretAccessKey,
      AWS_SESSION_TOKEN: SessionToken,
    },
  });
  const input = { secret_id: bank.output('TokenSecretArn'), url: bank.d1.issuerUrl, ...bank.d1.clientCertificate };
  child.stdin.end(JSON.stringify(input));
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.once('close', resolve)),
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ status: 200, body: { issuerId: 'ISSUER0001' } });
});

test('whoever has the policy token-invoker and no other gets a token from the function, and can not read the secret', async () => {
  const asInvoker = { ...bank.place, credentials: await createUser('invoker', bank.output('TokenInvokerPolicyArn')) };
  const invocation = new InvokeCommand({ FunctionName: bank.output('FunctionName'), Payload: Buffer.from('{}') });
  const { FunctionError, Payload } = await new LambdaClient(asInvoker).send(invocation);
  expect(FunctionError).toBeUndefined();
  const { access_token } = JSON.parse(Buffer.from(Payload ?? []).toString());
  expect(await bank.d1.callApi(access_token)).toBe(200);
  const read = new GetSecretValueCommand({ SecretId: bank.output('TokenSecretArn') });
  await expect(new SecretsManagerClient(asInvoker).send(read)).rejects.toMatchObject({ name: 'AccessDeniedException' });
});

test('an administrator with every KMS permission of IAM manages the signing key, and can not sign with it', async () => {
  const administrator = new KMSClient({ ...bank.place, credentials: await createKmsAdministrator() });
  const KeyId = bank.output('SigningKeyArn');
  const { KeyMetadata } = await administrator.send(new DescribeKeyCommand({ KeyId }));
  expect(KeyMetadata).toMatchObject({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
  await expect(administrator.send(signCommand())).rejects.toMatchObject({ name: 'AccessDeniedException' });
});

test('the schedule fires by itself and replaces a token that has expired', async () => {
  const { record } = await bank.storedToken();
  const past = Math.floor(Date.now() / 1000) - 1_000;
  const expired = { ...record, obtained_at: past, expires_at: past + record.expires_in };
  const { VersionId } = await bank.secretsManager.send(
    new PutSecretValueCommand({ SecretId: bank.output('TokenSecretArn'), SecretString: JSON.stringify(expired) }),
  );
  const refreshed = await eventually(async () => {
    const stored = await bank.storedToken();
    return stored.versionId === VersionId ? undefined : stored;
  }, SCHEDULE_PATIENCE_MILLISECONDS);
  expect(refreshed.record.expires_at).toBeGreaterThan(past + 1_000);
  expect(await bank.d1.callApi(refreshed.record.access_token)).toBe(200);
});

test('a second deployment changes nothing', async () => {
  const again = await bank.pack('second');
  expect(again.zipSha256).toBe(bank.first.zipSha256);
  // The folder that the zip is uploaded to carries the time; osls leaves it out when it compares, and then skips all.
  const timeless = (template: object, key: string) => JSON.stringify(template).replaceAll(key, 'ZIP');
  expect(timeless(again.template, again.zipKey)).toBe(timeless(bank.first.template, bank.first.zipKey));

  const stored = await bank.storedToken();
  expect(await bank.stack.update(forMinistack(bank.first.template))).toBe('unchanged');
  // And with the zip under its new name: a new deployment of the same code keeps everything.
  await bank.upload(bank.bucket, again.zipKey, again.zip);
  expect(await bank.stack.update(forMinistack(again.template))).toEqual(bank.outputs);
  expect(tokenless((await bank.storedToken()).record)).toEqual(tokenless(stored.record));
});

test('removing the stack keeps the signing key, the secrets and their key', async () => {
  const stored = await bank.storedToken();
  await consumerStack().remove();
  await bank.remove();
  expect(tokenless((await bank.storedToken()).record)).toEqual(tokenless(stored.record));
  for (const id of ['TokenSecretArn', 'ClientCertificateSecretArn']) {
    const secret = await bank.secretsManager.send(new DescribeSecretCommand({ SecretId: bank.output(id) }));
    expect(secret.DeletedDate).toBeUndefined();
  }
  for (const id of ['SigningKeyArn', 'SecretsKeyArn']) {
    const { KeyMetadata } = await bank.kms.send(new DescribeKeyCommand({ KeyId: bank.output(id) }));
    expect(KeyMetadata?.KeyState).toBe('Enabled');
  }
  await expect(bank.invoke(bank.output('FunctionName'), {})).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
  });
});

type Calls = Readonly<Record<string, number>>;

const count = (operations: readonly string[]): Calls =>
  operations.reduce<Calls>((calls, operation) => sum(calls, { [operation]: 1 }), {});

const sum = (left: Calls, right: Calls): Calls => {
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return Object.fromEntries([...names].map((name) => [name, (left[name] ?? 0) + (right[name] ?? 0)]));
};

const consumerStack = () => new DeployedStack(bank.cloudFormation, 'consumer');
let consumerRoleArn = '';

async function deployConsumer() {
  const zipKey = 'consumer.zip';
  await bank.upload(bank.bucket, zipKey, await packageConsumer(bank.python, bank.folder));
  const outputs = await consumerStack().create(consumerTemplate({ broker: bank.outputs, zipKey }));
  consumerRoleArn = outputs['RoleArn'] ?? '';
  return outputs;
}

async function sessionOf(RoleArn: string) {
  const sts = new STSClient(bank.place);
  const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'deployment-test' }));
  const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '' } = Credentials ?? {};
  return { AccessKeyId, SecretAccessKey, SessionToken };
}

async function credentialsOf(roleArn: string) {
  const { AccessKeyId, SecretAccessKey, SessionToken } = await sessionOf(roleArn);
  return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
}

const signCommand = () =>
  new SignCommand({
    KeyId: bank.output('SigningKeyArn'),
    Message: new Uint8Array(32),
    MessageType: 'DIGEST',
    SigningAlgorithm: 'ECDSA_SHA_256',
  });

async function createKmsAdministrator() {
  const everything = { Effect: 'Allow', Action: 'kms:*', Resource: '*' };
  const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: [everything] });
  const { Policy } = await new IAMClient(bank.place).send(
    new CreatePolicyCommand({ PolicyName: 'kms-administrator', PolicyDocument }),
  );
  return createUser('kms-administrator', Policy?.Arn);
}

/** A user with one policy. */
async function createUser(UserName: string, PolicyArn: string | undefined) {
  const iam = new IAMClient(bank.place);
  await iam.send(new CreateUserCommand({ UserName }));
  await iam.send(new AttachUserPolicyCommand({ UserName, PolicyArn }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  return { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' };
}
