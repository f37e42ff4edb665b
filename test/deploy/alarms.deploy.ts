import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { assumptions } from '../../infra/cost.ts';
import { bundleHandler } from '../../sandbox/bundle.ts';
import { startContainer } from '../../sandbox/lambda/container.ts';
import { ISSUER_ID, type Sandbox, startSandbox, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { packageService, type Template } from './support/package-service.ts';

// An alarm on a metric that nobody publishes never fires. What the alarms and the dashboard look at is compared with what
// the bundled function prints (ministack-deviations.ts, noMetricsFromLogs).

const NAMESPACE = 'D1TokenBroker';

let folder: string;
let template: Template;
/** `Name {dimension=value,…}` of every metric that was printed. */
const published = new Set<string>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'd1-token-broker-alarms-'));
  ({ template } = await packageService(join(folder, 'package'), { parameters: { issuerId: ISSUER_ID } }));
  const { file } = await bundleHandler(join(folder, 'bundle'));
  const sandbox = await startSandbox();
  try {
    const events = [{ action: 'refresh' }, {}];
    await listen(file, { ...sandbox.environment }, [...events, { force: true }]);
    // A container of its own, so that a token comes from the secret; and one that can't sign.
    await listen(file, { ...sandbox.environment }, [{}]);
    await spoilToken(sandbox);
    await listen(file, { ...sandbox.environment }, [{}]);
    await spoilToken(sandbox);
    await listen(file, { ...sandbox.environment, D1_SIGNING_KEY_ID: 'alias/nobody' }, [{ action: 'refresh' }]);
  } finally {
    await sandbox.close();
  }
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** A value that is no token: whoever comes next has to refresh. */
const spoilToken = (sandbox: Sandbox) =>
  sandbox.secretsManager.handle('PutSecretValue', {
    SecretId: TOKEN_SECRET,
    ClientRequestToken: randomUUID(),
    SecretString: '{}',
  });

async function listen(bundle: string, environment: Record<string, string>, events: readonly object[]): Promise<void> {
  const container = await startContainer(bundle, environment);
  for (const event of events) await container.invoke(event).catch(() => undefined);
  await container.kill('SIGTERM');
  for (const line of container.output) note(line);
}

function note(line: string): void {
  if (!line.startsWith('{"_aws"')) return;
  const { _aws, ...values } = JSON.parse(line);
  for (const { Namespace, Dimensions, Metrics } of _aws.CloudWatchMetrics) {
    expect(Namespace).toBe(NAMESPACE);
    for (const names of Dimensions as string[][]) {
      for (const { Name } of Metrics) published.add(identity(Name, new Map(names.map((name) => [name, values[name]]))));
    }
  }
}

const identity = (name: string, dimensions: ReadonlyMap<string, unknown>) =>
  `${name} {${[...dimensions].map(([dimension, value]) => `${dimension}=${value}`).sort()}}`;

/** Which error code a failure has does not change the metric's shape, and this run can't bring about all of them. */
const anyCode = (metric: string) => metric.replace(/error_code=\w+/, 'error_code=*');

const alarms = () => Object.values(template.Resources).filter(({ Type }) => Type === 'AWS::CloudWatch::Alarm');

test('every alarm of ours is on a metric that the function publishes', () => {
  const watched = alarms()
    .map(({ Properties }) => Properties as { Namespace: string; MetricName: string; Dimensions: Dimension[] })
    .filter(({ Namespace }) => Namespace === NAMESPACE)
    .map(({ MetricName, Dimensions }) =>
      identity(MetricName, new Map(Dimensions.map(({ Name, Value }) => [Name, Value]))),
    );
  expect(watched.length).toBeGreaterThan(0);
  const known = [...published].map(anyCode);
  expect(watched.map(anyCode).filter((metric) => !known.includes(metric))).toEqual([]);
});

interface Dimension {
  readonly Name: string;
  readonly Value: unknown;
}

test('every alarm says what to do, and where the runbook says more', () => {
  for (const { Properties } of alarms()) {
    const section = `alarm-${String(Properties['AlarmName']).replace('d1-token-broker-example-', '')}`;
    expect(Properties['AlarmDescription']).toMatch(new RegExp(`\\. Runbook: \\S+#${section}$`));
  }
});

test('the dashboard is JSON, and shows only metrics that are published', () => {
  const body = template.Resources['Dashboard']?.Properties['DashboardBody'] as Record<string, string> | undefined;
  const { widgets } = JSON.parse(body?.['Fn::Sub'] ?? '');
  const shown = widgets.flatMap(({ properties }: { properties: { metrics?: unknown[][] } }) =>
    expand(properties.metrics),
  );
  const ours = shown.filter((metric: string) => !metric.startsWith('AWS/'));
  expect(ours.length).toBeGreaterThan(10);
  expect(ours.filter((metric: string) => !published.has(metric.replace(`${NAMESPACE} `, '')))).toEqual([]);
});

/** CloudWatch's shorthand, written out: `.` is the field above, `...` are all but the last given ones. */
function expand(metrics: readonly unknown[][] = []): string[] {
  let above: string[] = [];
  const found: string[] = [];
  for (const metric of metrics) {
    const given = metric.filter((part) => typeof part === 'string');
    if (given.length === 0) continue;
    const fields = given[0] === '...' ? [...above.slice(0, above.length - given.length + 1), ...given.slice(1)] : given;
    above = fields.map((field, index) => (field === '.' ? (above[index] ?? '') : field));
    const [namespace, name = '', ...pairs] = above;
    const dimensions = new Map<string, string>();
    for (let at = 0; at < pairs.length; at += 2) dimensions.set(pairs[at] ?? '', pairs[at + 1] ?? '');
    found.push(`${namespace} ${identity(name, dimensions)}`);
  }
  return found;
}

test('the dashboard and the alarms know every metric there is', () => {
  const everything = JSON.stringify(template.Resources);
  const names = new Set([...published].map((metric) => metric.split(' ')[0] ?? ''));
  // Calls is what ServedFrom… add up to, but for the failed ones, which are in Failures.
  expect([...names].filter((name) => name !== 'Calls' && !everything.includes(name))).toEqual([]);
});

test('docs/cost.md counts the alarms, and the metrics of a broker that does not fail', () => {
  const healthy = [...published].filter((metric) => !/^(RefreshFailed|Failures) /.test(metric));
  expect({ alarms: alarms().length, metrics: healthy.length }).toEqual({
    alarms: assumptions.alarms,
    metrics: assumptions.metrics,
  });
});
