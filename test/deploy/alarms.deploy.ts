import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { assumptions } from '../../infra/cost.ts';
import { bundleHandler } from '../../sandbox/bundle.ts';
import { startContainer } from '../../sandbox/lambda/container.ts';
import {
  CLIENT_CERTIFICATE_SECRET,
  ISSUER_ID,
  type Sandbox,
  startSandbox,
  TOKEN_SECRET,
} from '../../sandbox/sandbox.ts';
import { packageService, type Template } from './support/package-service.ts';

// An alarm on a metric that nobody publishes never fires. What the alarms and the dashboard look at is compared with what
// the bundled function prints (ministack-deviations.ts, noMetricsFromLogs).

const NAMESPACE = 'D1TokenBroker';

let folder: string;
/** Two stages that serve one issuer. */
const stages = ['one', 'two'] as const;
type Stage = (typeof stages)[number];
const templates = new Map<Stage, Template>();
/** By stage, `Name {dimension=value,…}` of every metric that was printed. */
const published = new Map<Stage, ReadonlySet<string>>();
/** Of stage `one`: what each tick printed, by its reason. */
const printed = new Map<string, readonly string[]>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'd1-token-broker-alarms-'));
  const { file } = await bundleHandler(join(folder, 'bundle'));
  for (const stage of stages) {
    const parameters = { issuerId: ISSUER_ID, keyId: 'key-1', environment: 'develop', dashboard: 'true' };
    const { template } = await packageService(join(folder, stage), { stage, parameters });
    templates.set(stage, template);
    published.set(stage, await publish(file, String(variables(template)['D1_STAGE'])));
  }
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const one = () => templates.get('one') as Template;
const publishedByOne = () => published.get('one') as ReadonlySet<string>;

function variables(template: Template): Record<string, unknown> {
  const environment = template.Resources['TicksLambdaFunction']?.Properties['Environment'];
  return (environment as { Variables: Record<string, unknown> }).Variables;
}

/** Has the bundle do everything that there is to tell of, and tells which metrics it printed. */
async function publish(bundle: string, stage: string): Promise<ReadonlySet<string>> {
  const metrics = new Set<string>();
  const sandbox = await startSandbox();
  const environment = { ...sandbox.environment, D1_STAGE: stage };
  try {
    const idle = await startContainer(bundle, environment);
    for (const event of [{ action: 'refresh' }, { action: 'refresh' }, {}, { force: true }]) await idle.invoke(event);
    await idle.kill('SIGTERM');
    const lines = idle.output.filter((line) => !line.includes('"message":"start"'));
    for (const reason of ['missing', 'fresh']) printed.set(reason, linesUntil(lines, reason));
    // One that can't sign, with a certificate that ends soon.
    await spoilToken(sandbox);
    await store(sandbox, CLIENT_CERTIFICATE_SECRET, await sandbox.clientCertificateSecret({ notAfter: inDays(20) }));
    const broken = await startContainer(bundle, { ...environment, D1_SIGNING_KEY_ID: 'alias/nobody' });
    await broken.invoke({ action: 'refresh' }).catch(() => undefined);
    await broken.kill('SIGTERM');
    for (const line of [...lines, ...broken.output]) for (const metric of metricsIn(line)) metrics.add(metric);
    return metrics;
  } finally {
    await sandbox.close();
  }
}

const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);

/** The lines of one invocation: from behind the one before to its own log line and the metrics with it. */
function linesUntil(lines: string[], reason: string): readonly string[] {
  const at = lines.findIndex((line) => line.includes(`"reason":"${reason}"`));
  const next = lines.findIndex((line, index) => index > at && line.includes('"level"'));
  return lines.splice(0, next === -1 ? lines.length : next);
}

/** A value that is no token: whoever comes next has to refresh. */
const spoilToken = (sandbox: Sandbox) => store(sandbox, TOKEN_SECRET, '{}');

const store = (sandbox: Sandbox, SecretId: string, SecretString: string) =>
  sandbox.secretsManager.handle('PutSecretValue', { SecretId, ClientRequestToken: randomUUID(), SecretString });

function metricsIn(line: string): readonly string[] {
  if (!line.startsWith('{"_aws"')) return [];
  const { _aws, ...values } = JSON.parse(line);
  const directives = _aws.CloudWatchMetrics as {
    Namespace: string;
    Dimensions: string[][];
    Metrics: { Name: string }[];
  }[];
  return directives.flatMap(({ Namespace, Dimensions, Metrics }) => {
    expect(Namespace).toBe(NAMESPACE);
    return Dimensions.flatMap((names) =>
      Metrics.map(({ Name }) => identity(Name, new Map(names.map((name) => [name, values[name]])))),
    );
  });
}

const identity = (name: string, dimensions: ReadonlyMap<string, unknown>) =>
  `${name} {${[...dimensions].map(([dimension, value]) => `${dimension}=${value}`).sort()}}`;

const alarms = (template = one()) =>
  Object.values(template.Resources).filter(({ Type }) => Type === 'AWS::CloudWatch::Alarm');

interface Watched {
  readonly Namespace: string;
  readonly MetricName: string;
  readonly Dimensions: readonly { readonly Name: string; readonly Value: unknown }[];
}

/** What the alarms look at, with the names that CloudFormation puts in. */
function watched(template: Template): readonly string[] {
  const physical = (value: unknown): unknown => {
    const { Ref, 'Fn::GetAtt': attribute } = (typeof value === 'object' ? value : {}) as Record<string, unknown>;
    if (typeof Ref === 'string') return template.Resources[Ref]?.Properties['FunctionName'];
    if (Array.isArray(attribute)) return template.Resources[attribute[0]]?.Properties[attribute[1]];
    return value;
  };
  return alarms(template)
    .map(({ Properties }) => Properties as unknown as Watched)
    .map(({ Namespace, MetricName, Dimensions }) => {
      const metric = identity(MetricName, new Map(Dimensions.map(({ Name, Value }) => [Name, physical(Value)])));
      expect(metric).not.toContain('undefined');
      return Namespace === NAMESPACE ? metric : `${Namespace} ${metric}`;
    });
}

test('every alarm of ours is on a metric that the function publishes', () => {
  const ours = watched(one()).filter((metric) => !metric.startsWith('AWS/'));
  expect(ours.length).toBeGreaterThan(0);
  expect(ours.filter((metric) => !publishedByOne().has(metric))).toEqual([]);
});

test('two stages with one issuer have no metric in common, neither published nor watched', () => {
  const known = (stage: Stage) => [...watched(templates.get(stage) as Template), ...(published.get(stage) ?? [])];
  expect(known('one').length).toBeGreaterThan(6);
  expect(known('one').filter((metric) => known('two').includes(metric))).toEqual([]);
});

test('every alarm says what to do, and where the runbook says more', () => {
  for (const { Properties } of alarms()) {
    const section = `alarm-${String(Properties['AlarmName']).replace('d1-token-broker-one-', '')}`;
    expect(Properties['AlarmDescription']).toMatch(new RegExp(`^(CRITICAL|WARNING): .*\\. Runbook: \\S+#${section}$`));
  }
});

test('critical alarms and warnings go to topics of their own; with the composite alarm an outage pages once', () => {
  const actions = (id: string) => one().Resources[id]?.Properties['AlarmActions'];
  const to = (condition: string, topic: string) => ({
    'Fn::If': [condition, [{ Ref: topic }], { Ref: 'AWS::NoValue' }],
  });
  for (const { Properties } of Object.values(one().Resources)) {
    if (!('AlarmActions' in Properties)) continue;
    const isCritical = String(Properties['AlarmDescription']).startsWith('CRITICAL');
    expect(JSON.stringify(Properties['AlarmActions'])).toContain(isCritical ? 'CriticalTopicArn' : 'WarningTopicArn');
  }
  expect(actions('TokenExpiring')).toEqual(to('NotifiesOutage', 'CriticalTopicArn'));
  expect(actions('TicksMissing')).toEqual(to('NotifiesOutage', 'CriticalTopicArn'));
  expect(actions('Outage')).toEqual(to('NotifiesCritical', 'CriticalTopicArn'));
  expect(actions('CertificateExpires')).toEqual(to('NotifiesCritical', 'CriticalTopicArn'));
  expect(one().Conditions?.['NotifiesOutage']).toEqual({
    'Fn::And': [{ Condition: 'NotifiesCritical' }, { 'Fn::Not': [{ Condition: 'HasCompositeAlarm' }] }],
  });
});

test('the dashboard is JSON, and shows the stage that is chosen, and only metrics that are published', () => {
  const body = one().Resources['BrokersDashboard']?.Properties['DashboardBody'] as Record<string, string> | undefined;
  const { variables, widgets } = JSON.parse((body?.['Fn::Sub'] ?? '').replaceAll('STAGE_ON_VIEW', 'one'));
  expect(variables).toMatchObject([{ type: 'pattern', defaultValue: 'one', populateFrom: 'stage' }]);
  const searched = [
    ...JSON.stringify(widgets).matchAll(/SEARCH\('\{D1TokenBroker,([\w,]+)\} MetricName=\\"(\w+)\\" stage=\\"one\\"/g),
  ];
  expect(searched.map(([, , metric]) => metric)).toEqual(['SecondsLeft', 'CertificateDaysLeft', 'Failures']);
  for (const [, dimensions = '', metric = ''] of searched) {
    const shapes = [...publishedByOne()]
      .filter((one) => one.startsWith(`${metric} `))
      .map((one) => one.match(/\w+(?==)/g)?.sort());
    expect(shapes).toContainEqual(dimensions.split(',').sort());
  }
});

test('the dashboard and the alarms know every metric there is', () => {
  const everything = JSON.stringify(one().Resources);
  const names = new Set([...publishedByOne()].map((metric) => metric.split(' ')[0] ?? ''));
  expect([...names].filter((name) => !everything.includes(name))).toEqual([]);
});

test('docs/cost.md counts the alarms, and the metrics and log bytes of a broker that does not fail', () => {
  const metricsOf = (reason: string) =>
    (printed.get(reason) ?? []).flatMap(metricsIn).map((metric) => metric.split(' ')[0]);
  expect(alarms()).toHaveLength(assumptions.alarms);
  for (const reason of ['missing', 'fresh']) {
    const inItsHour = new Date().getUTCHours() === 6 && reason === 'missing';
    expect(metricsOf(reason), reason).toEqual(['SecondsLeft', ...(inItsHour ? ['CertificateDaysLeft'] : [])]);
  }
  const bytes = (reason: string) => Buffer.byteLength((printed.get(reason) ?? []).map((line) => `${line}\n`).join(''));
  process.stdout.write(`Bytes of log: ${bytes('fresh')} for an idle tick, ${bytes('missing')} for a refresh.\n`);
  // A number more or less in a line changes nothing; a line more does.
  expect(Math.abs(bytes('fresh') / assumptions.logBytesOfIdleTick - 1)).toBeLessThan(0.1);
  expect(Math.abs(bytes('missing') / assumptions.logBytesOfRefresh - 1)).toBeLessThan(0.1);
});
