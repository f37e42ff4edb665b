import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context } from 'aws-lambda';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { createFleetTelemetry } from '../../src/fleet/fleet-telemetry.ts';
import { ensureVenv, requirementsIn } from '../support/python-server.ts';
import { captureOutput } from '../telemetry/captured-output.ts';
import { readFleetTemplate } from './support/fleet-template.ts';
import { root, type Template } from './support/package-service.ts';
import { type Statement, statementsOf } from './support/statements.ts';

// What infra/fleet/template.yml says and MiniStack can't show. template.deploy.ts has it linted, fleet.deploy.ts deploys it.

let template: Template;
let statements: readonly Statement[];

beforeAll(async () => {
  const requirements = requirementsIn(new URL('support/tools.requirements.txt', import.meta.url));
  const { python } = await ensureVenv('deploy-tools', requirements);
  template = await readFleetTemplate(python);
  statements = statementsOf(template);
});

// biome-ignore lint/suspicious/noExplicitAny: whatever a resource has.
const properties = (id: string): any => template.Resources[id]?.Properties ?? {};
const functions = ['DispatchFunction', 'WorkFunction', 'TokenFunction'];

describe('the policies', () => {
  const allowedBy = (...policies: string[]) =>
    statements
      .filter(({ resource, effect }) => policies.includes(resource) && effect === 'Allow')
      .flatMap(({ actions }) => actions)
      .sort();

  test('give the dispatcher these actions, and no other', () => {
    expect(allowedBy('DispatchPolicy')).toEqual([
      'dynamodb:Scan',
      'logs:CreateLogStream',
      'logs:PutLogEvents',
      'sqs:SendMessage',
    ]);
  });

  test('give the worker these more than the function of direct callers', () => {
    expect(allowedBy('WorkPolicy')).toEqual([
      'dynamodb:UpdateItem',
      'sqs:DeleteMessage',
      'sqs:GetQueueAttributes',
      'sqs:ReceiveMessage',
    ]);
  });

  test('give both these, and no other', () => {
    expect(allowedBy('IssuerPolicy')).toEqual([
      'dynamodb:GetItem',
      'kms:Decrypt',
      'kms:GenerateDataKey',
      'kms:GetPublicKey',
      'kms:Sign',
      'logs:CreateLogStream',
      'logs:PutLogEvents',
      'secretsmanager:DescribeSecret',
      'secretsmanager:GetSecretValue',
      'secretsmanager:GetSecretValue',
      'secretsmanager:ListSecretVersionIds',
      'secretsmanager:PutSecretValue',
      'secretsmanager:UpdateSecretVersionStage',
    ]);
    expect(properties('IssuerPolicy').Roles).toEqual([{ Ref: 'WorkRole' }, { Ref: 'TokenRole' }]);
  });

  test('let nobody sign but with keys of this stage, digests with ECDSA_SHA_256, and from the two functions', () => {
    const about = statements.filter(({ actions }) => actions.includes('kms:Sign'));
    const fromTheFunctions = {
      'lambda:SourceFunctionArn': ['work', 'token'].map((name) => ({
        'Fn::Sub': expect.stringMatching(new RegExp(`:function:d1-token-fleet-\\$\\{Stage\\}-${name}$`)),
      })),
    };
    expect(about.map(({ effect, condition }) => ({ effect, condition }))).toEqual([
      {
        effect: 'Allow',
        condition: {
          StringEquals: {
            'aws:ResourceTag/d1-token-broker': { Ref: 'Stage' },
            'kms:SigningAlgorithm': 'ECDSA_SHA_256',
            'kms:MessageType': 'DIGEST',
          },
          ArnEquals: fromTheFunctions,
        },
      },
      { effect: 'Deny', condition: { ArnNotEquals: fromTheFunctions } },
    ]);
  });

  test('let no key be used without the tag of the stage', () => {
    const ofKeys = statements.filter(
      ({ actions, effect }) => effect === 'Allow' && actions.some((action) => action.startsWith('kms:')),
    );
    for (const { sid, condition } of ofKeys) {
      expect(condition, sid).toMatchObject({ StringEquals: { 'aws:ResourceTag/d1-token-broker': { Ref: 'Stage' } } });
    }
  });

  test('let tokens be written and certificates be read, each by the end of its name', () => {
    const ofSecrets = statements.filter(({ actions }) =>
      actions.some((action) => action.startsWith('secretsmanager:')),
    );
    const secret = (name: string) => ({
      'Fn::Sub': expect.stringContaining(`:secret:\${SecretPrefix}*${name}-??????`),
    });
    expect(ofSecrets.map(({ sid, resources }) => [sid, resources])).toEqual([
      ['KeepTokens', [secret('access-token')]],
      ['ReadClientCertificates', [secret('client-certificate')]],
    ]);
    expect(ofSecrets[1]?.actions).toEqual(['secretsmanager:GetSecretValue']);
  });

  test("let the worker change how an issuer's last try went, and nothing else about it", () => {
    expect(statements.find(({ sid }) => sid === 'KeepState')?.condition).toEqual({
      'ForAllValues:StringEquals': { 'dynamodb:Attributes': ['issuer_id', 'fingerprint', 'state'] },
    });
  });

  test('have each action in docs/many-issuers.md, and no other is there', async () => {
    const page = await readFile(join(root, 'docs', 'many-issuers.md'), 'utf8');
    const [, table = ''] = page.split('| Who | What | On |');
    const told = [...(table.split('\n\n')[0] ?? '').matchAll(/`(\w+:\w+)`/g)].map(([, action]) => action);
    const allowed = statements
      .filter(({ effect }) => effect === 'Allow')
      .flatMap(({ actions }) => actions)
      .filter((action) => action !== 'sts:AssumeRole');
    expect(new Set(told)).toEqual(new Set(allowed));
  });

  test('have no wildcard but for the keys with the tag, the secrets with the prefix, and the refusal of plain HTTP', () => {
    const wide = statements.filter(({ actions, resources }) => JSON.stringify([actions, resources]).includes('*'));
    expect(wide.map(({ resource, sid }) => `${resource}/${sid}`)).toEqual([
      'QueuesOverTlsOnly/OverTlsOnly',
      'IssuerPolicy/Sign',
      'IssuerPolicy/SignFromTheFunctionsOnly',
      'IssuerPolicy/ReadPublicKey',
      'IssuerPolicy/KeepTokens',
      'IssuerPolicy/ReadClientCertificates',
      'IssuerPolicy/UseSecretsKey',
    ]);
  });
});

describe('the functions', () => {
  test('have a concurrency each, and the queue asks for no more workers than there are', () => {
    expect(functions.map((id) => properties(id).ReservedConcurrentExecutions)).toEqual([2, 100, 50]);
    expect(properties('WorkComes')).toMatchObject({
      BatchSize: 10,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      ScalingConfig: { MaximumConcurrency: 100 },
    });
  });

  test('make one try for each errand, and a tick that failed is not repeated', () => {
    expect(properties('WorkFunction').Environment.Variables).toMatchObject({ D1_EXCHANGE_ATTEMPTS: '1' });
    expect(properties('DispatchOnce')).toMatchObject({ MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 });
  });
});

test('the queue hides an errand for six times as long as the worker may take, and keeps it until it has failed three times', () => {
  const { VisibilityTimeout, MessageRetentionPeriod, RedrivePolicy } = properties('Errands');
  expect(VisibilityTimeout).toBeGreaterThanOrEqual(6 * properties('WorkFunction').Timeout);
  expect(MessageRetentionPeriod).toBeGreaterThan(RedrivePolicy.maxReceiveCount * VisibilityTimeout);
  expect(properties('LostErrands').MessageRetentionPeriod).toBeGreaterThan(MessageRetentionPeriod);
});

test('the issuers survive the stack, a mistake of an hour ago, and a deletion by hand', () => {
  expect(template.Resources['IssuersTable']).toMatchObject({
    DeletionPolicy: 'RetainExceptOnCreate',
    UpdateReplacePolicy: 'Retain',
    Properties: {
      DeletionProtectionEnabled: true,
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
    },
  });
});

describe('the alarms', () => {
  const alarms = () =>
    Object.values(template.Resources)
      .filter(({ Type }) => Type === 'AWS::CloudWatch::Alarm')
      .map((one) => one.Properties);

  test('are five, each on a metric that a round of the dispatcher tells of', () => {
    const output = captureOutput();
    const telemetry = createFleetTelemetry('STAGE');
    telemetry.begin({} as Context);
    const figures = { issuers: 1, pressing: 0, leastSecondsLeft: 500, lagSeconds: 0, failing: {}, left: 0 };
    telemetry.round({ ...figures, silentHosts: [], worst: [] }, 0);
    const told = output.metrics();
    vi.restoreAllMocks();
    expect(alarms()).toHaveLength(5);
    for (const { Namespace, MetricName, Dimensions } of alarms()) {
      expect(Dimensions).toEqual([
        { Name: 'service', Value: 'd1-token-broker' },
        { Name: 'stage', Value: { Ref: 'Stage' } },
      ]);
      const dimensions = { service: 'd1-token-broker', stage: 'STAGE' };
      expect(told).toContainEqual(expect.objectContaining({ namespace: Namespace, name: MetricName, dimensions }));
    }
    expect(new Set(alarms().map(({ MetricName }) => MetricName))).toEqual(new Set(told.map(({ name }) => name)));
  });

  test('say what to do, and go to the topic of their kind', () => {
    for (const { AlarmDescription, AlarmActions, OKActions } of alarms()) {
      const [kind = ''] = /^[A-Z]+/.exec(String(AlarmDescription)) ?? [];
      expect(['CRITICAL', 'WARNING']).toContain(kind);
      const topic = kind === 'CRITICAL' ? 'Critical' : 'Warning';
      expect(AlarmActions).toEqual({
        'Fn::If': [`Notifies${topic}`, [{ Ref: `${topic}TopicArn` }], { Ref: 'AWS::NoValue' }],
      });
      expect(OKActions).toEqual(AlarmActions);
    }
  });
});
