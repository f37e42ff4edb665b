import { InvokeCommand, type InvokeCommandInput, LambdaClient } from '@aws-sdk/client-lambda';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Kms } from '../../sandbox/aws/kms.ts';
import { Lambda, type LambdaFunction, type LambdaOptions } from '../../sandbox/aws/lambda.ts';
import { SecretsManager } from '../../sandbox/aws/secrets-manager.ts';
import { startAwsServer } from '../../sandbox/aws/server.ts';
import { CallLog } from '../../sandbox/calls.ts';
import { BROKER_FUNCTION, CLIENT_CERTIFICATE_SECRET, ISSUER_ID, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { createTokenReader } from '../../src/reader/reader.ts';
import { type Container, openBank } from '../support/bank.ts';
import { captureOutput } from '../telemetry/captured-output.ts';

const clock = { now: () => 1_800_000_000_000 };
const place = { region: 'eu-central-1', accountId: '111122223333', clock };
const credentials = { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' };
const arn = 'arn:aws:lambda:eu-central-1:111122223333:function:echo';
const megabyte = 1024 * 1024;
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const echo: LambdaFunction = async (event) => event;
const fail: LambdaFunction = async () => {
  throw Object.assign(new Error('it cannot be done'), { name: 'NOT_DONE' });
};

async function start(options: Partial<LambdaOptions> = {}) {
  const calls = new CallLog();
  const lambda = new Lambda({ ...place, functions: { echo, fail, silent: async () => undefined }, ...options });
  const server = await startAwsServer({
    kms: new Kms(place),
    secretsManager: new SecretsManager(place),
    lambda,
    calls,
    clock,
  });
  const client = new LambdaClient({ endpoint: server.url, region: 'eu-central-1', credentials, maxAttempts: 1 });
  closing.push(
    () => client.destroy(),
    () => server.close(),
  );
  const invoke = async (payload: string | undefined, more: Partial<InvokeCommandInput> = {}) => {
    const input: InvokeCommandInput = {
      FunctionName: 'echo',
      ...(payload !== undefined && { Payload: payload }),
      ...more,
    };
    const answer = await client.send(new InvokeCommand(input));
    return { ...answer, payload: Buffer.from(answer.Payload ?? []).toString() };
  };
  return { calls, url: server.url, invoke };
}

describe('Invoke', () => {
  it.each(['echo', 'echo:$LATEST', '111122223333:function:echo', arn, `${arn}:$LATEST`])(
    'finds %s, hands the event over and answers with what the function answers',
    async (FunctionName) => {
      const { invoke } = await start();
      const answer = await invoke('{"text": "é €"}', { FunctionName });
      expect(answer).toMatchObject({ StatusCode: 200, ExecutedVersion: '$LATEST', payload: '{"text":"é €"}' });
      expect(answer.FunctionError).toBeUndefined();
    },
  );

  it.each([
    'other',
    'echo:7',
    'arn:aws:lambda:eu-west-1:111122223333:function:echo',
    '000000000000:function:echo',
    'constructor',
  ])('finds no %s', async (FunctionName) => {
    const { invoke } = await start();
    await expect(invoke('{}', { FunctionName })).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      Type: 'User',
      $metadata: { httpStatusCode: 404 },
    });
    await expect(invoke('{}', { Qualifier: 'live' })).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });

  it('gives an empty body to the function as {}, and answers null for nothing', async () => {
    const { invoke } = await start();
    expect((await invoke(undefined)).payload).toBe('{}');
    expect((await invoke('{}', { FunctionName: 'silent' })).payload).toBe('null');
  });

  it('reports an error of the function in a 200, with X-Amz-Function-Error', async () => {
    const { url } = await start();
    const response = await fetch(`${url}/2015-03-31/functions/fail/invocations`, { method: 'POST', body: '{}' });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-amz-function-error')).toBe('Unhandled');
    expect(response.headers.get('x-amz-executed-version')).toBe('$LATEST');
    const report = (await response.json()) as { trace: string[] };
    expect(report).toMatchObject({ errorType: 'NOT_DONE', errorMessage: 'it cannot be done' });
    expect(report.trace.length).toBeGreaterThan(1);
  });

  it('refuses with the error type in a header, and Type and Message in the body', async () => {
    const { url } = await start();
    const response = await fetch(`${url}/2015-03-31/functions/other/invocations`, { method: 'POST', body: '{}' });
    expect(response.status).toBe(404);
    expect(response.headers.get('x-amzn-errortype')).toBe('ResourceNotFoundException');
    expect(await response.json()).toEqual({
      Type: 'User',
      Message: 'Function not found: arn:aws:lambda:eu-central-1:111122223333:function:other',
    });
    const other = await fetch(`${url}/2015-03-31/functions/echo`);
    expect([other.status, other.headers.get('x-amzn-errortype')]).toEqual([404, 'UnknownOperationException']);
  });

  it('takes an asynchronous event with 202, and tries it again twice, after one minute and two', async () => {
    const waits: number[] = [];
    const events: unknown[] = [];
    const third = Promise.withResolvers<void>();
    const { invoke } = await start({
      sleep: async (milliseconds) => void waits.push(milliseconds),
      functions: {
        echo: async (event) => {
          events.push(event);
          if (events.length === 3) third.resolve();
          throw new Error('not yet');
        },
      },
    });
    const answer = await invoke('{"a":1}', { InvocationType: 'Event' });
    expect(answer).toMatchObject({ StatusCode: 202, payload: '' });
    await third.promise;
    expect(events).toEqual([{ a: 1 }, { a: 1 }, { a: 1 }]);
    expect(waits).toEqual([60_000, 120_000]);
  });

  it('runs nothing in a DryRun, and answers 204', async () => {
    const { invoke } = await start({ functions: { echo: () => expect.fail('it ran') } });
    expect(await invoke('{}', { InvocationType: 'DryRun' })).toMatchObject({ StatusCode: 204, payload: '' });
  });

  it.each([
    ['6 MB', 'RequestResponse', 6 * megabyte],
    ['1 MB', 'Event', megabyte],
  ] as const)('takes a payload of %s in a %s, and not a byte more', async (_size, InvocationType, bytes) => {
    const { invoke } = await start();
    const payload = (length: number) => `"${'x'.repeat(length - 2)}"`;
    expect((await invoke(payload(bytes), { InvocationType })).StatusCode).toBeLessThan(203);
    await expect(invoke(payload(bytes + 1), { InvocationType })).rejects.toMatchObject({
      name: 'RequestTooLargeException',
      $metadata: { httpStatusCode: 413 },
    });
  });

  it('refuses what is not JSON without repeating it, and an InvocationType that there is not', async () => {
    const { invoke } = await start();
    const failed = await invoke('{"key": secret').catch((error) => error);
    expect(failed).toMatchObject({ name: 'InvalidRequestContentException', $metadata: { httpStatusCode: 400 } });
    expect(failed.message).not.toContain('secret');
    const invocation = invoke('{}', { InvocationType: 'Later' as 'Event' });
    await expect(invocation).rejects.toMatchObject({ name: 'InvalidParameterValueException' });
  });

  it('is in the call log without the event', async () => {
    const { calls, invoke } = await start();
    await invoke('{"a":1}');
    expect(calls.all()).toMatchObject([
      { service: 'lambda', operation: 'Invoke', input: { FunctionName: 'echo' }, outcome: 'ok' },
    ]);
    expect(calls.all()[0]?.input).not.toHaveProperty('Payload');
  });
});

it('A reader with brokerFunctionName gets a token while the secret is empty, and another when D1 refuses it', async () => {
  captureOutput();
  closing.push(() => vi.restoreAllMocks());
  let broker: Container | undefined;
  const bank = await openBank({ brokerFunction: async (event) => broker?.send(event) });
  broker = bank.container();
  const { sandbox } = bank;
  const endpoint = sandbox.environment['AWS_ENDPOINT_URL'] ?? '';
  const clients = {
    secretsManager: new SecretsManagerClient({ endpoint, region: 'eu-west-1', credentials }),
    lambda: new LambdaClient({ endpoint, region: 'eu-west-1', credentials }),
  };
  closing.push(
    () => clients.secretsManager.destroy(),
    () => clients.lambda.destroy(),
    () => bank.close(),
  );
  const reader = createTokenReader({
    ...clients,
    secretId: TOKEN_SECRET,
    brokerFunctionName: BROKER_FUNCTION,
    clientCertificateSecretId: CLIENT_CERTIFICATE_SECRET,
    allowedOrigins: [sandbox.d1.origin],
  });
  const url = `${sandbox.d1.origin}/banking/v1/issuers/${ISSUER_ID}`;
  expect((await reader.fetch(url)).status).toBe(200);
  sandbox.d1.revokeAccessTokens(ISSUER_ID);
  expect((await reader.fetch(url)).status).toBe(200);
  expect(sandbox.calls.count('lambda', 'Invoke')).toBe(2);
});
