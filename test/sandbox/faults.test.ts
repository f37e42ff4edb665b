import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { afterEach, expect, it } from 'vitest';
import { callD1AsConsumer } from '../../sandbox/consumer.ts';
import { createFaults, type Faults } from '../../sandbox/faults/faults.ts';
import { parseFaultRule } from '../../sandbox/faults/parse-rule.ts';
import {
  BROKER_FUNCTION,
  CLIENT_CERTIFICATE_SECRET,
  ISSUER_ID,
  type Sandbox,
  startSandbox,
  TOKEN_SECRET,
} from '../../sandbox/sandbox.ts';

const credentials = { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' };
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function open(...rules: string[]): Promise<{ sandbox: Sandbox; faults: Faults; endpoint: string }> {
  const faults = createFaults(rules.map(parseFaultRule));
  const sandbox = await startSandbox({
    awsIntercept: faults.aws,
    d1Intercept: faults.d1,
    brokerFunction: async () => ({ done: true }),
  });
  closing.push(() => sandbox.close());
  return { sandbox, faults, endpoint: sandbox.environment['AWS_ENDPOINT_URL'] ?? '' };
}

/** What D1 answers to a consumer with a token that it never gave. */
async function callD1(sandbox: Sandbox): Promise<{ status: number; body: string }> {
  await sandbox.secretsManager.handle('PutSecretValue', {
    SecretId: TOKEN_SECRET,
    ClientRequestToken: crypto.randomUUID(),
    SecretString: JSON.stringify({ access_token: 'foreign', expires_at: 0 }),
  });
  const { SecretString } = await sandbox.secretsManager.handle('GetSecretValue', {
    SecretId: CLIENT_CERTIFICATE_SECRET,
  });
  return callD1AsConsumer({
    environment: sandbox.environment,
    clientCertificateSecret: String(SecretString),
    url: `${sandbox.d1.origin}/banking/v1/issuers/${ISSUER_ID}`,
    now: Date.now,
  });
}

it('D1 answers 401 as often as the rule says', async () => {
  const { sandbox } = await open('d1.banking/issuers unauthorized nth=1');
  const first = await callD1(sandbox);
  expect([first.status, JSON.parse(first.body).error_description]).toEqual([
    401,
    expect.stringMatching(/^sandbox fault/),
  ]);
  const second = await callD1(sandbox);
  expect(JSON.parse(second.body).error_description).toBe('access token was not issued here');
});

it('A rule can be added while all runs, counts from then on, and ends with the others', async () => {
  const { sandbox, faults, endpoint } = await open();
  const lambda = new LambdaClient({ endpoint, region: 'eu-west-1', credentials, maxAttempts: 1 });
  closing.push(() => lambda.destroy());
  const invoke = () => lambda.send(new InvokeCommand({ FunctionName: BROKER_FUNCTION }));
  await invoke();
  faults.add(parseFaultRule('lambda.Invoke throttle nth=1'));
  faults.add(parseFaultRule('lambda.Invoke refuse nth=2-'));
  await expect(invoke()).rejects.toMatchObject({
    name: 'TooManyRequestsException',
    $metadata: { httpStatusCode: 429 },
  });
  await expect(invoke()).rejects.toMatchObject({
    name: 'AccessDeniedException',
    message: expect.stringContaining('lambda:InvokeFunction'),
    $metadata: { httpStatusCode: 403 },
  });
  faults.end();
  await expect(invoke()).resolves.toMatchObject({ StatusCode: 200 });
  expect(sandbox.calls.all().map(({ outcome }) => outcome)).toEqual([
    'ok',
    'TooManyRequestsException',
    'AccessDeniedException',
    'ok',
  ]);
});

it('Every service hears faults in its own protocol', async () => {
  const { endpoint } = await open('sts.GetCallerIdentity unavailable nth=1', 'sts.GetCallerIdentity reset nth=2');
  const sts = new STSClient({ endpoint, region: 'eu-west-1', credentials, maxAttempts: 1 });
  closing.push(() => sts.destroy());
  const ask = () => sts.send(new GetCallerIdentityCommand({}));
  await expect(ask()).rejects.toMatchObject({ name: 'ServiceUnavailable', $metadata: { httpStatusCode: 503 } });
  await expect(ask()).rejects.toThrow(/aborted|hang up|reset/);
  await expect(ask()).resolves.toMatchObject({ Account: '000000000000' });
});
