import { KMSClient, ListAliasesCommand } from '@aws-sdk/client-kms';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Kms } from '../../sandbox/aws/kms.ts';
import { SecretsManager } from '../../sandbox/aws/secrets-manager.ts';
import { AwsError, type Intercept, startAwsServer } from '../../sandbox/aws/server.ts';
import { CallLog } from '../../sandbox/calls.ts';

const clock = { now: () => 1_800_000_000_000 };
const passThrough: Intercept = (_call, next) => next();
let intercept: Intercept;
let calls: CallLog;
let server: Awaited<ReturnType<typeof startAwsServer>>;
let secrets: SecretsManagerClient;

beforeEach(async () => {
  const account = { region: 'eu-central-1', accountId: '111122223333', clock };
  intercept = passThrough;
  calls = new CallLog();
  server = await startAwsServer({
    kms: new Kms(account),
    secretsManager: new SecretsManager(account),
    calls,
    clock,
    intercept: (...call) => intercept(...call),
  });
  secrets = new SecretsManagerClient({
    endpoint: server.url,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
    maxAttempts: 1,
  });
});

afterEach(async () => {
  secrets.destroy();
  await server.close();
});

const post = (target: string, body: string) =>
  fetch(server.url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target },
    body,
  });

it('An SDK finds both services through AWS_ENDPOINT_URL alone', async () => {
  const before = { ...process.env };
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: server.url,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'sandbox',
    AWS_SECRET_ACCESS_KEY: 'sandbox',
  });
  try {
    expect((await new KMSClient().send(new ListAliasesCommand({}))).Aliases).toEqual([]);
    const create = new CreateSecretCommand({ Name: 'token', SecretString: 'value' });
    expect((await new SecretsManagerClient().send(create)).Name).toBe('token');
  } finally {
    process.env = before;
  }
  expect(calls.all().map(({ service, operation }) => [service, operation])).toEqual([
    ['kms', 'ListAliases'],
    ['secretsmanager', 'CreateSecret'],
  ]);
});

it('An error looks as AWS sends it: 400, __type and a message in the body, a request id in the headers', async () => {
  const kms = await post('TrentService.DescribeKey', '{"KeyId":"alias/none"}');
  expect(kms.status).toBe(400);
  expect(kms.headers.get('content-type')).toBe('application/x-amz-json-1.1');
  expect(kms.headers.get('x-amzn-requestid')).toMatch(/^[0-9a-f-]{36}$/);
  expect(await kms.json()).toEqual({
    __type: 'NotFoundException',
    message: 'Alias arn:aws:kms:eu-central-1:111122223333:alias/none is not found.',
  });
  const secretsManager = await post('secretsmanager.GetSecretValue', '{"SecretId":"none"}');
  expect(await secretsManager.json()).toEqual({
    __type: 'ResourceNotFoundException',
    Message: "Secrets Manager can't find the specified secret.",
  });
});

it.each([
  ['bad JSON', 'TrentService.Sign', '{"Message": "c2VjcmV0"', 400, 'SerializationException'],
  ['JSON that is no object', 'TrentService.Sign', '[]', 400, 'SerializationException'],
  ['a field of another type', 'secretsmanager.GetSecretValue', '{"SecretId": 7}', 400, 'SerializationException'],
  [
    'bytes that are not base64',
    'TrentService.Sign',
    '{"SigningAlgorithm":"ECDSA_SHA_256","Message":"?"}',
    400,
    'SerializationException',
  ],
  ['an unknown operation of KMS', 'TrentService.Decrypt', '{}', 400, 'UnknownOperationException'],
  [
    'an unknown operation of Secrets Manager',
    'secretsmanager.BatchGetSecretValue',
    '{}',
    400,
    'UnknownOperationException',
  ],
  ['an unknown service', 'Kinesis_20131202.ListStreams', '{}', 400, 'UnknownOperationException'],
  [
    'a property of Object as a service',
    'constructor.GetSecretValue',
    '{"SecretId":"token"}',
    400,
    'UnknownOperationException',
  ],
  ['a missing parameter', 'TrentService.DescribeKey', '{}', 400, 'ValidationException'],
  [
    'a put without a token',
    'secretsmanager.CreateSecret',
    '{"Name":"n","SecretString":"s"}',
    400,
    'InvalidRequestException',
  ],
  [
    'a body of more than 1 MiB',
    'TrentService.Sign',
    `"${'x'.repeat(1024 * 1024)}"`,
    413,
    'RequestEntityTooLargeException',
  ],
])('%s is refused', async (_what, target, body, status, type) => {
  const response = await post(target, body);
  const text = await response.text();
  expect(response.status).toBe(status);
  expect(JSON.parse(text)).toMatchObject({ __type: type });
  expect(text).not.toContain('c2VjcmV0');
});

it('The call log says who was called, when, and how it went, and holds no secret', async () => {
  await secrets.send(new CreateSecretCommand({ Name: 'token', SecretString: 'top secret' }));
  const mark = calls.mark();
  await secrets.send(new GetSecretValueCommand({ SecretId: 'other' })).catch(() => undefined);
  expect(calls.since(mark)).toMatchObject([
    {
      service: 'secretsmanager',
      operation: 'GetSecretValue',
      at: clock.now(),
      input: { SecretId: 'other' },
      outcome: 'ResourceNotFoundException',
    },
  ]);
  expect(calls.count('secretsmanager')).toBe(2);
  expect(calls.count('secretsmanager', 'CreateSecret', ({ outcome }) => outcome === 'ok')).toBe(1);
  expect(calls.count('kms')).toBe(0);
  expect(JSON.stringify(calls.all())).not.toContain('top secret');
  calls.clear();
  expect(calls.all()).toEqual([]);
  expect(calls.since(mark)).toEqual([]);
});

it('A fault can speak in the place of the service, which then is never reached', async () => {
  intercept = async () => {
    throw new AwsError('ThrottlingException', 'Rate exceeded');
  };
  const create = () => secrets.send(new CreateSecretCommand({ Name: 'token', SecretString: 'value' }));
  await expect(create()).rejects.toMatchObject({ name: 'ThrottlingException', message: 'Rate exceeded' });
  expect(calls.all()).toMatchObject([{ outcome: 'ThrottlingException' }]);
  intercept = passThrough;
  await expect(create()).resolves.toMatchObject({ Name: 'token' });
});

it('A fault can lose the answer of a call that was carried out', async () => {
  await secrets.send(new CreateSecretCommand({ Name: 'token', SecretString: 'first' }));
  intercept = async (call, next, response) => {
    if (call.operation !== 'PutSecretValue') return next();
    await next();
    response.destroy();
    return undefined;
  };
  const put = secrets.send(new PutSecretValueCommand({ SecretId: 'token', SecretString: 'second' }));
  await expect(put).rejects.toThrow();
  expect(calls.count('secretsmanager', 'PutSecretValue', ({ outcome }) => outcome === 'ok')).toBe(1);
  const { SecretString } = await secrets.send(new GetSecretValueCommand({ SecretId: 'token' }));
  expect(SecretString).toBe('second');
});

it('A bug in a fault or a service is a 500, and its text stays inside', async () => {
  intercept = async () => {
    throw new Error('top secret');
  };
  const response = await post('secretsmanager.GetSecretValue', '{"SecretId":"token"}');
  expect(response.status).toBe(500);
  const text = await response.text();
  expect(JSON.parse(text)).toMatchObject({ __type: 'InternalServiceError' });
  expect(text).not.toContain('top secret');
});

it('Closing does not wait for a call that hangs', async () => {
  const reached = Promise.withResolvers<void>();
  intercept = () => {
    reached.resolve();
    return new Promise(() => undefined);
  };
  const hanging = secrets.send(new GetSecretValueCommand({ SecretId: 'token' }));
  const failed = expect(hanging).rejects.toThrow();
  await reached.promise;
  await server.close();
  await failed;
});
