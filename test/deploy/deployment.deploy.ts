import { createHash, randomUUID } from 'node:crypto';
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
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callsOfCertificateRead, callsOfIdleTick, callsOfRefresh } from '../../infra/cost.ts';
import { rotationSteps } from '../../src/events.ts';
import { forMinistack, unknownTypes } from './ministack-deviations.ts';
import { consumerTemplate, packageConsumer } from './support/consumer-stack.ts';
import { KEY_ID } from './support/d1.ts';
import { type Deployment, deploy, STACK } from './support/deployment.ts';
import { ACCOUNT_ID, REGION } from './support/ministack.ts';
import type { Template } from './support/package-service.ts';
import { runPython } from './support/run-python.ts';
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
  await expect(bank.stack.update(bank.first.standalone.template, await bank.placed(bank.first))).rejects.toThrow(
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
    const { error, answer } = await bank.invoke(bank.output('TicksFunctionName'), {
      Step,
      SecretId,
      ClientRequestToken,
    });
    expect({ Step, error, ...tokenless(answer) }).toMatchObject({ Step, error: undefined });
  }
  const after = await bank.storedToken();
  expect(after.versionId).toBe(ClientRequestToken);
  expect(fingerprint(after.record.access_token)).not.toBe(fingerprint(before.record.access_token));
  expect(await bank.d1.callApi(after.record.access_token)).toBe(200);
  const { VersionIdsToStages } = await bank.secretsManager.send(new DescribeSecretCommand({ SecretId }));
  expect(Object.values(VersionIdsToStages ?? {}).flat()).not.toContain('AWSPENDING');
});

test('a Lambda of the bank, with the policies that the stack documents and no other, calls D1, and can do nothing else', async () => {
  const consumer = await deployConsumer();
  const { answer, error } = await bank.invoke(consumer['FunctionName'] ?? '', {});
  const { record } = await bank.storedToken();
  expect({ error, answer }).toEqual({
    error: undefined,
    answer: {
      status: 200,
      body: expect.objectContaining({ issuerId: 'ISSUER0001' }),
      fingerprint: fingerprint(record.access_token),
      expires_at: record.expires_at,
    },
  });

  const asConsumer = { ...bank.place, credentials: await credentialsOf(consumer['RoleArn'] ?? '') };
  const secretsManager = new SecretsManagerClient(asConsumer);
  const SecretId = bank.output('TokenSecretArn');
  const forbidden: Record<string, () => Promise<unknown>> = {
    'write the token': () => secretsManager.send(new PutSecretValueCommand({ SecretId, SecretString: '{}' })),
    'invoke the broker': () =>
      new LambdaClient(asConsumer).send(new InvokeCommand({ FunctionName: bank.output('FunctionName') })),
    sign: () => new KMSClient(asConsumer).send(signCommand()),
  };
  for (const [what, attempt] of Object.entries(forbidden)) {
    await expect(attempt(), what).rejects.toMatchObject({ name: 'AccessDeniedException' });
  }
});

test('whoever may read every secret of the account reads no client certificate, unless certificateReaders names him', async () => {
  const credentials = await createUser(
    'secrets-administrator',
    await createPolicy('secrets-administrator', 'secretsmanager:*'),
  );
  const administrator = new SecretsManagerClient({ ...bank.place, credentials });
  const SecretId = bank.output('ClientCertificateSecretArn');
  await administrator.send(new GetSecretValueCommand({ SecretId: bank.output('TokenSecretArn') }));
  await administrator.send(new DescribeSecretCommand({ SecretId }));
  await expect(administrator.send(new GetSecretValueCommand({ SecretId }))).rejects.toMatchObject({
    name: 'AccessDeniedException',
  });
  const named = new SecretsManagerClient({ ...bank.place, credentials: await credentialsOf(consumerRoleArn) });
  const { SecretString } = await named.send(new GetSecretValueCommand({ SecretId }));
  expect(Object.keys(JSON.parse(SecretString ?? '{}'))).toContain('certificate');
});

test('a Python script with boto3 reads the secret and calls the D1 API', async () => {
  const script = fileURLToPath(new URL('consumers/read_and_call.py', import.meta.url));
  const input = { secret_id: bank.output('TokenSecretArn'), url: bank.d1.issuerUrl, ...bank.d1.clientCertificate };
  const credentials = await credentialsOf(consumerRoleArn);
  const answer = await runPython(bank.python, script, input, { url: bank.ministack.url, credentials });
  expect(answer).toMatchObject({ status: 200, body: { issuerId: 'ISSUER0001' } });
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
  const { template } = again.standalone;
  expect(template).toEqual(bank.first.standalone.template);
  // The folder that osls uploads to carries the time; osls leaves it out when it compares, and then skips all.
  const timeless = (template: object, key: string) => JSON.stringify(template).replaceAll(key, 'ZIP');
  expect(timeless(again.template, again.zipKey)).toBe(timeless(bank.first.template, bank.first.zipKey));

  const stored = await bank.storedToken();
  const code = await bank.placed(again);
  expect(await bank.stack.update(forMinistack(template), code)).toBe('unchanged');
  // And with the zip under another name: a new deployment of the same code keeps everything.
  await bank.upload(bank.bucket, 'again.zip', again.zip);
  expect(await bank.stack.update(forMinistack(template), { ...code, CodeKey: 'again.zip' })).toEqual(bank.outputs());
  expect(tokenless((await bank.storedToken()).record)).toEqual(tokenless(stored.record));
});

/** An event of CloudTrail, as EventBridge hands it on. */
const trail = (service: string, eventName: string, detail: object) => ({
  version: '0',
  id: randomUUID(),
  account: ACCOUNT_ID,
  region: REGION,
  time: '2026-11-25T06:00:00Z',
  resources: [],
  source: `aws.${service}`,
  'detail-type': 'AWS API Call via CloudTrail',
  detail: { eventSource: `${service}.amazonaws.com`, eventName, ...detail },
});

test('the rules see who else signs, and what leads to signing; not what the broker does all day', async () => {
  const role = bank.brokerRoleArn.split('/').at(-1) ?? '';
  const session = (name: string) => ({ userIdentity: { arn: `arn:aws:sts::${ACCOUNT_ID}:assumed-role/${name}` } });
  const key = { resources: [{ ARN: bank.output('SigningKeyArn') }] };
  const otherKey = { resources: [{ ARN: `arn:aws:kms:${REGION}:${ACCOUNT_ID}:key/of-somebody` }] };
  const named = (requestParameters: object) => ({ ...session('admin/alice'), requestParameters });
  const cases: [rule: string, matches: boolean, event: object][] = [
    ['signed-by-another', false, trail('kms', 'Sign', { ...key, ...session(`${role}/${STACK}`) })],
    ['signed-by-another', false, trail('kms', 'Sign', { ...key, ...session(`${role}/${STACK}-ticks`) })],
    ['signed-by-another', true, trail('kms', 'Sign', { ...key, ...session('admin/alice') })],
    ['signed-by-another', true, trail('kms', 'Sign', { ...key, ...session(`${role}/another-function`) })],
    ['signed-by-another', true, trail('kms', 'Sign', { ...key, userIdentity: { type: 'AWSService' } })],
    [
      'signed-by-another',
      true,
      trail('kms', 'Sign', { ...named({ keyId: bank.output('CurrentSigningKeyAlias') }), errorCode: 'AccessDenied' }),
    ],
    ['signed-by-another', false, trail('kms', 'Sign', { ...otherKey, ...session('admin/alice') })],
    ['key-changed', true, trail('kms', 'PutKeyPolicy', { ...key, ...session('admin/alice') })],
    ['key-changed', true, trail('kms', 'CreateGrant', { ...key, ...session('admin/alice') })],
    ['key-changed', true, trail('kms', 'DisableKey', { ...key, ...session('admin/alice') })],
    ['key-changed', false, trail('kms', 'DisableKey', { ...otherKey, ...session('admin/alice') })],
    ['function-changed', true, trail('lambda', 'UpdateFunctionCode20150331v2', named({ functionName: STACK }))],
    [
      'function-changed',
      true,
      trail(
        'lambda',
        'UpdateFunctionConfiguration20150331v2',
        named({ functionName: `arn:aws:lambda:${REGION}:${ACCOUNT_ID}:function:${STACK}-ticks` }),
      ),
    ],
    [
      'function-changed',
      true,
      trail('lambda', 'CreateFunction20150331', named({ functionName: 'mine', role: bank.brokerRoleArn })),
    ],
    ['function-changed', false, trail('lambda', 'UpdateFunctionCode20150331v2', named({ functionName: 'mine' }))],
    ['role-changed', true, trail('iam', 'UpdateAssumeRolePolicy', named({ roleName: role }))],
    ['role-changed', false, trail('iam', 'UpdateAssumeRolePolicy', named({ roleName: 'mine' }))],
    [
      'secret-changed',
      true,
      trail('secretsmanager', 'PutResourcePolicy', named({ secretId: bank.output('ClientCertificateSecretName') })),
    ],
    [
      'secret-changed',
      true,
      trail('secretsmanager', 'DeleteResourcePolicy', named({ secretId: bank.output('TokenSecretArn') })),
    ],
    [
      'secret-changed',
      false,
      trail('secretsmanager', 'PutSecretValue', named({ secretId: bank.output('TokenSecretArn') })),
    ],
  ];
  const script = fileURLToPath(new URL('support/event_patterns.py', import.meta.url));
  const asked = cases.map(([rule, , event]) => ({ rule: `${STACK}-${rule}`, event }));
  const { url } = bank.ministack;
  const answers = (await runPython(bank.python, script, asked, {
    url,
    credentials: bank.place.credentials,
  })) as boolean[];
  const told = cases.map(([rule, , event], at) => ({ rule, event, matches: answers[at] }));
  expect(told).toEqual(cases.map(([rule, matches, event]) => ({ rule, event, matches })));
});

describe('replacing the signing key is a change of parameters, one at a time', () => {
  const nextKeyId = 'deployed-key-2';
  const arns = () => ({ current: bank.output('CurrentSigningKeyArn'), next: bank.output('NextSigningKeyArn') });
  let both: ReturnType<typeof arns>;

  /** @returns The kid of a new token, if D1 has accepted both its assertion and the token. */
  async function kidOfNewToken(functionName: string): Promise<string> {
    // On a busy machine an exchange may fail once. Then the living token is the answer, and D1 is asked again in a minute.
    const { key_id, access_token } = await eventually(async () => {
      const { answer } = await bank.invoke(functionName, { action: 'token', force: true });
      const record = answer as Record<string, string>;
      return record['source'] === 'exchange' ? record : undefined;
    }, 90_000);
    expect(await bank.d1.callApi(access_token ?? '')).toBe(200);
    return key_id ?? '';
  }

  test('roll over, by the operator: there is a second key, and nothing else has changed', async () => {
    const { SigningKeyArn, CurrentSigningKeyArn, ...others } = bank.outputs();
    await bank.operate({ NextKeyId: nextKeyId });
    both = arns();
    expect(bank.outputs()).toMatchObject({ ...others, SigningKeyArn, CurrentSigningKeyArn: SigningKeyArn });
    expect(both.current).toBe(CurrentSigningKeyArn);
    expect(both.next).not.toBe(both.current);
    for (const KeyId of Object.values(both)) {
      const { KeyMetadata } = await bank.kms.send(new DescribeKeyCommand({ KeyId }));
      expect(KeyMetadata).toMatchObject({ MultiRegion: true, KeySpec: 'ECC_NIST_P256' });
    }
  });

  test('check: the function gets a token with the second key once D1 knows it, while the first one signs', async () => {
    await bank.onboard(bank.output('NextSigningKeyAlias'), nextKeyId);
    // As above: an exchange may fail once, and checks keep a pace of their own.
    const report = await eventually(async () => {
      const { answer } = await bank.invoke(bank.output('FunctionName'), { action: 'check', signing_key: 'next' });
      const { passed, ...others } = (answer ?? {}) as { readonly passed?: boolean };
      return passed === true ? others : undefined;
    }, 90_000);
    expect(report).toMatchObject({ key_id: nextKeyId, signing_key: 'next' });
    expect(bank.output('SigningKeyArn')).toBe(both.current);
    // A token now would cost a minute of the container's pace.
    const { answer } = await bank.invoke(bank.output('FunctionName'), { action: 'check', exchange: false });
    expect(answer).toMatchObject({
      key_id: KEY_ID,
      steps: expect.arrayContaining([
        expect.objectContaining({ step: 'signing_key', facts: expect.objectContaining({ key: both.current }) }),
      ]),
    });
  });

  test('switch: the second key signs, and both are as they were', async () => {
    await bank.redeploy('switch', { nextKeyId, activeSigningKey: 'next' });
    expect(arns()).toEqual(both);
    expect(bank.output('SigningKeyArn')).toBe(both.next);
    expect(await kidOfNewToken(bank.output('FunctionName'))).toBe(nextKeyId);
  });

  test('back: the first key signs, and both are as they were', async () => {
    await bank.redeploy('back', { nextKeyId });
    expect(arns()).toEqual(both);
    expect(bank.output('SigningKeyArn')).toBe(both.current);
    expect(await kidOfNewToken(bank.output('FunctionName'))).toBe(KEY_ID);
  });

  test('finish: the second key is the only one; the first is kept outside the stack, and its alias is free', async () => {
    await bank.redeploy('switch-again', { nextKeyId, activeSigningKey: 'next' });
    await bank.redeploy('finish', { keyId: 'none', nextKeyId, activeSigningKey: 'next' });
    expect(bank.outputs()['CurrentSigningKeyArn']).toBeUndefined();
    expect(bank.output('SigningKeyArn')).toBe(both.next);
    expect(await kidOfNewToken(bank.output('FunctionName'))).toBe(nextKeyId);
    const { KeyMetadata } = await bank.kms.send(new DescribeKeyCommand({ KeyId: both.current }));
    expect(KeyMetadata?.KeyState).toBe('Enabled');
    const alias = bank.output('NextSigningKeyAlias').replace(/next$/, 'current');
    await expect(bank.kms.send(new DescribeKeyCommand({ KeyId: alias }))).rejects.toMatchObject({
      name: 'NotFoundException',
    });
  });
});

test('deployed by osls: a first deployment that fails leaves nothing behind, and the next one goes through', async () => {
  const stage = 'failing';
  const service = await bank.pack('failing', { onboarded: 'false' }, stage);
  const stack = new DeployedStack(bank, `d1-token-broker-${stage}`);
  const { ServerlessDeploymentBucketName } = await stack.create(service.bucketTemplate);
  await bank.upload(ServerlessDeploymentBucketName, service.zipKey, service.zip);
  const template = forMinistack(service.template);
  await expect(stack.update(failingLast(template))).rejects.toThrow('FailsLast');
  await stack.rolledBack();
  for (const name of ['access-token', 'client-certificate']) {
    const secret = new DescribeSecretCommand({ SecretId: `d1/${stage}/${name}` });
    await expect(bank.secretsManager.send(secret), name).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  }
  expect(await stack.update(template)).toMatchObject({ FunctionName: `d1-token-broker-${stage}` });
});

/** With a resource that can't be made, and is made when everything that survives a stack is there. */
function failingLast(template: Template): Template {
  const surviving = Object.entries(template.Resources).filter(([, { DeletionPolicy }]) => DeletionPolicy !== undefined);
  const unconditional = surviving.filter(([id]) => !['NextSigningKey', 'LogKey'].includes(id));
  const FailsLast = {
    Type: 'AWS::CloudWatch::Alarm',
    DependsOn: [...unconditional.map(([id]) => id), 'CurrentSigningKeyAlias'],
    Properties: { AlarmName: 'without-all-that-an-alarm-needs' },
  };
  return { ...template, Resources: { ...template.Resources, FailsLast } };
}

test('removing the stack keeps the signing key, the secrets and their key', async () => {
  const stored = await bank.storedToken();
  await consumerStack().remove();
  await bank.stack.remove();
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

const consumerStack = () => new DeployedStack(bank, 'consumer');
let consumerRoleArn = '';

async function deployConsumer() {
  const zipKey = 'consumer.zip';
  await bank.upload(bank.bucket, zipKey, await packageConsumer(bank.python, bank.folder));
  const outputs = await consumerStack().create(
    consumerTemplate({ broker: bank.outputs(), bucket: bank.bucket, zipKey, issuerUrl: bank.d1.issuerUrl }),
  );
  consumerRoleArn = outputs['RoleArn'] ?? '';
  return outputs;
}

async function credentialsOf(RoleArn: string) {
  const sts = new STSClient(bank.place);
  const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'deployment-test' }));
  const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '' } = Credentials ?? {};
  return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
}

const signCommand = () =>
  new SignCommand({
    KeyId: bank.output('SigningKeyArn'),
    Message: new Uint8Array(32),
    MessageType: 'DIGEST',
    SigningAlgorithm: 'ECDSA_SHA_256',
  });

const createKmsAdministrator = async () =>
  createUser('kms-administrator', await createPolicy('kms-administrator', 'kms:*'));

async function createPolicy(PolicyName: string, Action: string): Promise<string | undefined> {
  const Statement = [{ Effect: 'Allow', Action, Resource: '*' }];
  const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement });
  const { Policy } = await new IAMClient(bank.place).send(new CreatePolicyCommand({ PolicyName, PolicyDocument }));
  return Policy?.Arn;
}

/** A user with one policy. */
async function createUser(UserName: string, PolicyArn: string | undefined) {
  const iam = new IAMClient(bank.place);
  await iam.send(new CreateUserCommand({ UserName }));
  await iam.send(new AttachUserPolicyCommand({ UserName, PolicyArn }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  return { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' };
}
