import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CloudFormationClient,
  CreateStackCommand,
  UpdateTerminationProtectionCommand,
} from '@aws-sdk/client-cloudformation';
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  GetRoleCommand,
  IAMClient,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import { KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { GetFunctionConfigurationCommand, GetPolicyCommand, InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Document } from '../../src/cli/frame/document.ts';
import { runProgram } from '../cli/operated-bank.ts';
import { type Deployment, deploy, STACK, STAGE } from './support/deployment.ts';
import { filled, together } from './support/landing-zone.ts';
import { ACCOUNT_ID, REGION } from './support/ministack.ts';
import { root } from './support/package-service.ts';

// All that is for landing zones on one stack, deployed on MiniStack as far as it goes (ministack-deviations.ts).

const { fips: _, ...parameters } = together;
const otherAccount = '222233334444';
const text = (path: string) => readFile(join(root, path), 'utf8');

let bank: Deployment;
let deployer: Awaited<ReturnType<typeof createUser>>;

beforeAll(async () => {
  bank = await deploy({
    // Nothing listens there: whatever goes through the proxy fails.
    parameters: { ...parameters, egressProxy: 'http://127.0.0.1:9', noProxy: 'localhost,127.0.0.1' },
    deployer: async (iam) => {
      const values = { Partition: 'aws', Region: REGION, AccountId: ACCOUNT_ID, Stage: STAGE };
      // The bucket is the bank's own: another name in the statement Bucket.
      const policy = filled(await text('infra/deployer-policy.json'), values).replace(
        's3:::d1-token-broker-*',
        's3:::bank-artifacts*',
      );
      deployer = await createUser(iam, 'deployer', policy);
      return deployer;
    },
  });
});

afterAll(async () => {
  await bank?.close();
});

test('whoever has the deployer’s policy and no other has deployed it, and can not sign, read a secret or invoke', async () => {
  const place = { ...bank.place, credentials: deployer };
  const refused: Record<string, () => Promise<unknown>> = {
    'read the token': () =>
      new SecretsManagerClient(place).send(new GetSecretValueCommand({ SecretId: bank.output('TokenSecretArn') })),
    'make another stack': () =>
      new CloudFormationClient(place).send(new CreateStackCommand({ StackName: 'mine', TemplateBody: '{}' })),
    invoke: () => new LambdaClient(place).send(new InvokeCommand({ FunctionName: bank.output('FunctionName') })),
    sign: () =>
      new KMSClient(place).send(
        new SignCommand({
          KeyId: bank.output('SigningKeyArn'),
          Message: new Uint8Array(32),
          MessageType: 'DIGEST',
          SigningAlgorithm: 'ECDSA_SHA_256',
        }),
      ),
  };
  for (const [what, attempt] of Object.entries(refused)) {
    await expect(attempt(), what).rejects.toMatchObject({ name: expect.stringMatching(/^AccessDenied(Exception)?$/) });
  }
});

test('the roles have the path and the names that the landing zone gives them', async () => {
  const iam = new IAMClient(bank.place);
  for (const output of ['BrokerRoleArn', 'SchedulerRoleArn']) {
    expect(bank.output(output)).toContain(':role/payments/payments-d1-');
    const RoleName = bank.output(output).split('/').at(-1);
    const { Role } = await iam.send(new GetRoleCommand({ RoleName }));
    expect(Role).toMatchObject({ Path: '/payments/', RoleName: expect.stringContaining(STAGE) });
  }
});

test('the functions know the proxy', async () => {
  const lambda = new LambdaClient(bank.place);
  for (const name of ['FunctionName', 'TicksFunctionName']) {
    const configuration = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName: bank.output(name) }));
    expect(configuration.Environment?.Variables).toMatchObject({
      HTTPS_PROXY: 'http://127.0.0.1:9',
      NO_PROXY: 'localhost,127.0.0.1',
    });
  }
});

test('the broker hands out a token, with everything that it calls in noProxy', async () => {
  const { answer, error } = await bank.invoke(bank.output('FunctionName'), {});
  expect(error).toBeUndefined();
  expect(await bank.d1.callApi((answer as { access_token: string }).access_token)).toBe(200);
});

test('each consumer may invoke, bound to the organisation', async () => {
  const { Policy } = await new LambdaClient(bank.place).send(
    new GetPolicyCommand({ FunctionName: bank.output('FunctionName') }),
  );
  for (const principal of together.consumerPrincipals.split(',')) expect(Policy).toContain(principal);
  expect(Policy).toContain(together.organizationId);
});

test('the doctor finds the network and the policies as the parameters say, but for what MiniStack leaves out', async () => {
  const { credentials, endpoint, region } = bank.place;
  const { stdout } = await runProgram(['doctor', '--stage', STAGE, '--json'], {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  });
  const { checks } = JSON.parse(stdout) as Document;
  const told = checks
    .filter(({ check }) => /^(network|consumers|proxy)/.test(check))
    .map(({ check, outcome, error_code, what }) => [check, error_code ?? outcome, what]);
  expect(told).toEqual([
    ['consumers.policies', 'ok', null],
    // noVpcNorBoundary: what comes by HTTPS_PROXY and NO_PROXY is there.
    [
      'network.settings',
      'NETWORK_CHANGED',
      `The function ${STACK} has not what the stack says of subnetIds (VpcConfig), securityGroupIds (VpcConfig).`,
    ],
    // principalIsSession: the role is another principal in MiniStack's policy; the account is let in.
    [
      'consumers.secret',
      'CONSUMER_SHUT_OUT',
      'The policy of the token secret does not let in arn:aws:iam::333344445555:role/payments of o-exampleorgid.',
    ],
    ['consumers.key', 'ok', null],
    ['consumers.function', 'ok', null],
    ['network.aws', 'ok', null],
    ['proxy.aws', 'ok', null],
    ['proxy', 'PROXY_BYPASSED', 'The function goes to D1 without the egress proxy.'],
  ]);
});

test('MiniStack still keeps accounts apart: else the deviation goes, and reads are tried', async () => {
  const credentials = { accessKeyId: otherAccount, secretAccessKey: 'test' };
  const outside = { ...bank.place, credentials };
  const read = new GetSecretValueCommand({ SecretId: bank.output('TokenSecretArn') });
  await expect(new SecretsManagerClient(outside).send(read)).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
  });
});

test('a protected stack can not be removed', async () => {
  const protect = (EnableTerminationProtection: boolean) =>
    bank.cloudFormation.send(new UpdateTerminationProtectionCommand({ StackName: STACK, EnableTerminationProtection }));
  // As osls does it after a deployment.
  await protect(true);
  await expect(bank.stack.remove()).rejects.toThrow(/TerminationProtection is enabled/);
  await protect(false);
});

/** A user with one policy. */
async function createUser(iam: IAMClient, UserName: string, PolicyDocument: string) {
  await iam.send(new CreateUserCommand({ UserName }));
  await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: UserName, PolicyDocument }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  return { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' };
}
