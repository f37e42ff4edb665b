import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudWatch } from '@aws-sdk/client-cloudwatch';
import {
  AttachUserPolicyCommand,
  CreateAccessKeyCommand,
  CreatePolicyCommand,
  CreateUserCommand,
  IAMClient,
} from '@aws-sdk/client-iam';
import { DisableKeyCommand, EnableKeyCommand } from '@aws-sdk/client-kms';
import {
  GetFunctionConfigurationCommand,
  LambdaClient,
  UpdateFunctionConfigurationCommand,
  waitUntilFunctionUpdatedV2,
} from '@aws-sdk/client-lambda';
import { UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import { SNS } from '@aws-sdk/client-sns';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { schedulerTick } from '../../sandbox/scheduler-tick.ts';
import type { Document } from '../../src/cli/frame/document.ts';
import { type Run, runProgram } from '../cli/operated-bank.ts';
import { ISSUER_ID, KEY_ID } from './support/d1.ts';
import { type Deployment, deploy, STACK, STAGE } from './support/deployment.ts';

// The real program, as a child process, on the packaged stack on MiniStack. The tests build on one another, in this order.

const NEXT_KEY_ID = 'deployed-key-2';
const COMMON_NAME = `TLSMA-ECC/${ISSUER_ID}/PPR`;
const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

let bank: Deployment;
let folder: string;
let validate: ReturnType<Ajv2020['compile']>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'd1-token-commands-'));
  validate = new Ajv2020({ strict: false }).compile(JSON.parse(await read('src/cli/d1-token.schema.json')));
  bank = await deploy();
  await hearAlarms();
  // The schedule fires within two minutes; its tick is this one.
  const { error } = await bank.invoke(bank.output('TicksFunctionName'), schedulerTick);
  expect(error).toBeUndefined();
});

afterAll(async () => {
  await bank?.close();
  await rm(folder, { recursive: true, force: true });
});

/** The topics that infra/params.yml names, each with somebody who listens. */
async function hearAlarms(): Promise<void> {
  const sns = new SNS(bank.place);
  for (const name of ['critical', 'warning']) {
    const { TopicArn } = await sns.createTopic({ Name: name });
    const Endpoint = `arn:aws:sqs:eu-west-1:000000000000:${STACK}-undelivered-ticks`;
    await sns.subscribe({ TopicArn, Protocol: 'sqs', Endpoint });
  }
}

/** What an operator's shell has. */
const shell = (credentials = bank.place.credentials): Record<string, string> => ({
  AWS_ENDPOINT_URL: bank.place.endpoint,
  AWS_REGION: bank.place.region,
  AWS_ACCESS_KEY_ID: credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
});

const run = (command: string, ...inputs: string[]): Promise<Run> =>
  runProgram([...command.split(' '), '--stage', STAGE, ...inputs], shell());

/** @returns The one document that the command prints; it is as its schema says, and nothing secret is in it. */
async function json(command: string, inputs: readonly string[] = [], environment = shell()): Promise<Document> {
  const { stdout, stderr, code } = await runProgram(
    [...command.split(' '), '--stage', STAGE, '--json', ...inputs],
    environment,
  );
  const document: Document = JSON.parse(stdout);
  expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
  expect([document.command, document.exit_code, stderr]).toEqual([command, code, '']);
  expect(stdout).not.toMatch(/eyJ[\w-]+\.|PRIVATE KEY/);
  return document;
}

const wrong = ({ checks }: Document) =>
  checks.filter(({ outcome }) => outcome !== 'ok').map(({ check, error_code }) => [check, error_code]);

/**
 * A container makes no two checks with an exchange within 10 s, and the commands wait for it. MiniStack does not tell them
 * which error it was (ministack-deviations.ts, errorType); but it has another container after a change of the function, and be it none.
 */
async function anotherContainer(): Promise<void> {
  const lambda = new LambdaClient(bank.place);
  const FunctionName = bank.output('FunctionName');
  const { Timeout } = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName }));
  await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName, Timeout }));
}

/** Without a schedule of rotation (ministack-deviations.ts, unknownTypes). */
const UNROTATED = ['token.rotation', 'NO_ROTATION'];

describe('doctor', () => {
  test('finds the stack as it is deployed, and nothing wrong but what MiniStack leaves out', async () => {
    const document = await json('doctor');
    expect(wrong(document)).toEqual([UNROTATED]);
    expect(document).toMatchObject({
      exit_code: 3,
      account: '000000000000',
      region: 'eu-west-1',
      issuer_id: ISSUER_ID,
    });
  });

  test('sees with the permissions that docs/iam.md lists what the account sees, and without any that it may not', async () => {
    const page = await read('docs/iam.md');
    const [, rows = ''] = /## Who operates\n([\s\S]*?)\n## /.exec(page) ?? [];
    const doctors = rows.split('\n').filter((row) => /every command but|`doctor`/.test(row));
    const actions = doctors.flatMap((row) =>
      [...row.matchAll(/`([a-z]+:[A-Za-z]+)`/g)].map(([, action = '']) => action),
    );
    expect(actions.length).toBeGreaterThan(10);
    expect(wrong(await json('doctor', ['--no-exchange'], shell(await userWith('operator', actions))))).toEqual([
      UNROTATED,
    ]);
    const nobody = await json('doctor', ['--no-exchange'], shell(await userWith('nobody', ['s3:ListAllMyBuckets'])));
    expect(nobody).toMatchObject({ outcome: 'no_access', exit_code: 4 });
  });

  test('names what breaks', async () => {
    const KeyId = bank.output('SigningKeyArn');
    await bank.kms.send(new DisableKeyCommand({ KeyId }));
    expect((await json('doctor', ['--no-exchange'])).facts['first']).toBe('key.state');
    await bank.kms.send(new EnableKeyCommand({ KeyId }));
    const cloudWatch = new CloudWatch(bank.place);
    await cloudWatch.disableAlarmActions({ AlarmNames: [`${STACK}-token-expiring`] });
    expect((await json('doctor', ['--no-exchange'])).facts['first']).toBe('alarms.armed');
    await cloudWatch.enableAlarmActions({ AlarmNames: [`${STACK}-token-expiring`] });
    expect(wrong(await json('doctor', ['--no-exchange']))).toEqual([UNROTATED]);
  });
});

async function userWith(UserName: string, actions: readonly string[]) {
  const iam = new IAMClient(bank.place);
  const Statement = [{ Effect: 'Allow', Action: actions, Resource: '*' }];
  const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement });
  const { Policy } = await iam.send(new CreatePolicyCommand({ PolicyName: UserName, PolicyDocument }));
  await iam.send(new CreateUserCommand({ UserName }));
  await iam.send(new AttachUserPolicyCommand({ UserName, PolicyArn: Policy?.Arn }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  return { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' };
}

test('status, token, queues and logs tell what the stack holds', async () => {
  const { record, versionId } = await bank.storedToken();
  expect(await json('status')).toMatchObject({
    outcome: 'good',
    facts: { version_id: versionId, key_id: KEY_ID, stored_key_id: KEY_ID, last_error_code: null },
  });
  expect((await json('token inspect')).facts).toMatchObject({
    issuer_id: ISSUER_ID,
    expires_at: record.expires_at,
    header: { alg: 'ES256' },
  });
  expect((await json('token refresh')).facts).toMatchObject({ refreshed: false, reason: 'fresh' });
  expect(await json('queues show')).toMatchObject({ outcome: 'good' });
  expect((await json('queues purge')).exit_code).toBe(0);
  const { stdout } = await run('logs');
  expect(stdout).toMatch(/✓ refresh: missing .*\n[\s\S]*✓ check: passed/);
});

describe('key', () => {
  test('export writes the public half, which verify knows again', async () => {
    const file = join(folder, 'key.pem');
    await writeFile(file, (await run('key export')).stdout);
    expect((await run('key verify', file)).stdout).toContain(`is the signing key current, kid ${KEY_ID}, which signs.`);
    const jwk = join(folder, 'key.jwk');
    await writeFile(jwk, (await run('key export', '--format', 'jwk')).stdout);
    expect((await json('key verify', [jwk])).exit_code).toBe(0);
  });

  test('rollover goes from start to finish, and back from the switch; D1 takes the token of each step', async () => {
    const state = async (command: string, ...inputs: string[]) => {
      const document = await json(`key rollover ${command}`, inputs);
      expect(document.error).toBeNull();
      return document.facts['state'];
    };
    expect(await state('status')).toBe('idle');
    expect(await state('start', '--kid', NEXT_KEY_ID)).toBe('started');
    expect((await json('key rollover switch')).error).toMatchObject({ code: 'CANDIDATE_UNPROVEN' });
    await bank.onboard(`alias/${STACK}-signing-next`, NEXT_KEY_ID);
    expect(await state('check')).toBe('started');
    expect(await state('switch')).toBe('switched');
    expect((await bank.storedToken()).record.key_id).toBe(NEXT_KEY_ID);
    expect(await state('back')).toBe('started');
    expect(await state('switch')).toBe('switched');
    await anotherContainer();
    expect(await state('finish')).toBe('idle');
    const { record } = await bank.storedToken();
    expect([record.key_id, await bank.d1.callApi(record.access_token)]).toEqual([NEXT_KEY_ID, 200]);
    // The stack is done before the function has its new configuration, and the doctor would tell that it is busy.
    const FunctionName = bank.output('FunctionName');
    await waitUntilFunctionUpdatedV2(
      { client: new LambdaClient(bank.place), minDelay: 1, maxWaitTime: 60 },
      { FunctionName },
    );
    expect(wrong(await json('doctor', ['--no-exchange']))).toEqual([UNROTATED]);
  });
});

test('certificate goes from request to current, and back', async () => {
  const days = async () => ((await json('certificate show')).facts['current'] as { days_left: number }).days_left;
  const before = await days();
  const { request, version_id: keyVersion } = (await json('certificate request', ['--common-name', COMMON_NAME])).facts;
  expect((await json('certificate show')).facts['waiting']).toMatchObject({ request });
  const file = join(folder, 'certificate.pem');
  const notAfter = new Date(Date.now() + 100.5 * 86_400_000);
  await writeFile(file, await bank.d1.clientAuthority.sign(String(request), { notAfter }));
  await anotherContainer();
  // The label is on two versions now, and the function reads the older one (ministack-deviations.ts, labelStays).
  expect((await json('certificate install', [file])).error).toMatchObject({ code: 'CLIENT_CERTIFICATE_INVALID' });
  await bank.secretsManager.send(
    new UpdateSecretVersionStageCommand({
      SecretId: bank.output('ClientCertificateSecretArn'),
      VersionStage: 'WAITING',
      RemoveFromVersionId: String(keyVersion),
    }),
  );
  await anotherContainer();
  expect(await json('certificate install', [file])).toMatchObject({ exit_code: 0, error: null });
  expect(await days()).toBe(100);
  expect(await json('certificate install', [file])).toMatchObject({ exit_code: 0 });
  await anotherContainer();
  expect(await json('certificate back')).toMatchObject({ error: null });
  expect(await days()).toBe(before);
});

test('init writes a stage that the packaging takes', async () => {
  const file = join(folder, 'params.yml');
  await writeFile(file, await read('infra/params.yml'));
  const answers = ['--environment', 'staging', '--issuer-id', ISSUER_ID, '--key-id', KEY_ID, '--file', file];
  const { code } = await runProgram(['init', '--stage', 'staging', ...answers]);
  expect(code).toBe(0);
  expect(await readFile(file, 'utf8')).toContain(`  issuerId: "${ISSUER_ID}"\n`);
});
