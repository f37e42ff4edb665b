import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

// What one issuer costs a month: `node infra/cost.ts` prints the table of docs/cost.md, with --write it puts it there.
// The calls are those that test/deploy/deployment.deploy.ts counts on the deployed function.

/** Calls of one tick that finds a fresh token. */
export const callsOfIdleTick = { 'secretsmanager.GetSecretValue': 1 };
/** Calls of one tick that refreshes, in a container that has the client certificate. */
export const callsOfRefresh = {
  'secretsmanager.GetSecretValue': 1,
  'TrentService.Sign': 1,
  'secretsmanager.PutSecretValue': 1,
};
/** Added when the container has no client certificate, or an hour has passed: D1_CLIENT_CERTIFICATE_TTL_SECONDS. */
export const callsOfCertificateRead = { 'secretsmanager.GetSecretValue': 1 };

/** USD, AWS list prices for eu-west-1, without free tiers. Check them before you rely on them: they are AWS's to change. */
export const prices = {
  kmsKeyMonth: 1,
  /** After each of a key's first two rotations; the third and later ones cost nothing more. */
  kmsRotationMonth: 1,
  kmsSign: 0.15 / 10_000,
  kmsSymmetric: 0.03 / 10_000,
  secretMonth: 0.4,
  secretsManagerCall: 0.05 / 10_000,
  lambdaRequest: 0.2 / 1_000_000,
  lambdaGigabyteSecondArm: 0.0000133334,
  schedulerInvocation: 1 / 1_000_000,
  sqsRequest: 0.4 / 1_000_000,
  dynamoDbWrite: 0.7075 / 1_000_000,
  /** Of 4 KB, read consistently; a scan reads half as dear. */
  dynamoDbRead: 0.1415 / 1_000_000,
  logGigabyte: 0.57,
  alarmMonth: 0.1,
  compositeAlarmMonth: 0.5,
  metricMonth: 0.3,
  dashboardMonth: 3,
  /** Of management events: the first trail of a Region has them for nothing. */
  cloudTrailEventOfFurtherTrail: 2 / 100_000,
};

/** What is not a call; docs/cost.md says what is counted, measured and guessed. */
export const assumptions = {
  hoursPerMonth: 730,
  secondsBetweenRefreshes: 600,
  /** A tick reads the secret each time. */
  ticksPerRead: 1,
  memoryGigabytes: 0.5,
  idleTickSeconds: 0.05,
  refreshSeconds: 0.5,
  /** What the function prints, metrics included. */
  logBytesOfIdleTick: 985,
  logBytesOfRefresh: 1_080,
  /** The lines START, END and REPORT, which Lambda writes. */
  logBytesOfLambda: 300,
  alarms: 6,
  /** CertificateDaysLeft is told in one hour of each day, and paid by the hour. */
  hoursOfDailyMetric: 1,
};

interface Line {
  readonly what: string;
  readonly count: string;
  readonly usd: number;
}

/** What happens in a month. */
function month(ticksPerRead: number) {
  const { hoursPerMonth, secondsBetweenRefreshes } = assumptions;
  const ticks = hoursPerMonth * 60;
  const refreshes = (hoursPerMonth * 3_600) / secondsBetweenRefreshes;
  const idle = ticks - refreshes;
  const reads =
    (idle * callsOfIdleTick['secretsmanager.GetSecretValue']) / ticksPerRead +
    refreshes * callsOfRefresh['secretsmanager.GetSecretValue'] +
    hoursPerMonth * callsOfCertificateRead['secretsmanager.GetSecretValue'];
  const writes = refreshes * callsOfRefresh['secretsmanager.PutSecretValue'];
  const signatures = refreshes * callsOfRefresh['TrentService.Sign'];
  // Secrets Manager asks the key once to decrypt what it hands out, and twice for what it stores.
  return { ticks, refreshes, idle, reads, writes, signatures, secretsKeyCalls: reads + 2 * writes };
}

/**
 * What an issuer costs with a secrets key of its own, before any key has rotated.
 *
 * @param ticksPerRead How many idle ticks come to one read of the secret.
 */
export function costLines(ticksPerRead = assumptions.ticksPerRead): readonly Line[] {
  const { ticks, refreshes, idle, reads, writes, signatures, secretsKeyCalls } = month(ticksPerRead);
  const seconds = idle * assumptions.idleTickSeconds + refreshes * assumptions.refreshSeconds;
  const gigabyteSeconds = seconds * assumptions.memoryGigabytes;
  const logGigabytes =
    (idle * assumptions.logBytesOfIdleTick +
      refreshes * assumptions.logBytesOfRefresh +
      ticks * assumptions.logBytesOfLambda) /
    1e9;
  const daily = assumptions.hoursOfDailyMetric / 24;

  return [
    { what: 'KMS keys: signing, secrets', count: '2', usd: 2 * prices.kmsKeyMonth },
    { what: 'KMS signatures', count: whole(signatures), usd: signatures * prices.kmsSign },
    { what: 'KMS calls of Secrets Manager', count: whole(secretsKeyCalls), usd: secretsKeyCalls * prices.kmsSymmetric },
    { what: 'Secrets', count: '2', usd: 2 * prices.secretMonth },
    { what: 'Secrets Manager reads', count: whole(reads), usd: reads * prices.secretsManagerCall },
    { what: 'Secrets Manager writes', count: whole(writes), usd: writes * prices.secretsManagerCall },
    { what: 'Lambda requests', count: whole(ticks), usd: ticks * prices.lambdaRequest },
    { what: 'Lambda GB-seconds', count: whole(gigabyteSeconds), usd: gigabyteSeconds * prices.lambdaGigabyteSecondArm },
    { what: 'Scheduler invocations', count: whole(ticks), usd: ticks * prices.schedulerInvocation },
    { what: 'Log, GB', count: logGigabytes.toFixed(2), usd: logGigabytes * prices.logGigabyte },
    { what: 'Alarms', count: String(assumptions.alarms), usd: assumptions.alarms * prices.alarmMonth },
    { what: 'Metric SecondsLeft', count: '1', usd: prices.metricMonth },
    { what: 'Metric CertificateDaysLeft, an hour a day', count: daily.toFixed(2), usd: daily * prices.metricMonth },
  ];
}

/** Sums in USD a month. */
export function totals(ticksPerRead = assumptions.ticksPerRead) {
  const own = costLines(ticksPerRead).reduce((total, { usd }) => total + usd, 0);
  return { own, shared: own - prices.kmsKeyMonth, rotatedTwice: own + 2 * prices.kmsRotationMonth };
}

/** Other sums, and what a stage may have beside. */
function otherLines(): readonly Line[] {
  const { signatures, secretsKeyCalls, reads, writes } = month(assumptions.ticksPerRead);
  // Each call of KMS and Secrets Manager is a management event.
  const events = signatures + secretsKeyCalls + reads + writes;
  const paid = events * prices.cloudTrailEventOfFurtherTrail;
  return [
    { what: 'Sum with a secrets key that stages share', count: '', usd: totals().shared },
    { what: 'Sum after two rotations of an own secrets key', count: '', usd: totals().rotatedTwice },
    { what: 'Second signing key, while there are two', count: '1', usd: prices.kmsKeyMonth },
    { what: 'Composite alarm (`compositeAlarm`)', count: '1', usd: prices.compositeAlarmMonth },
    { what: 'Dashboard (`dashboard`), one an account', count: '1', usd: prices.dashboardMonth },
    { what: 'Own log key (`logKey: own`), before rotations', count: '1', usd: prices.kmsKeyMonth },
    { what: 'CloudTrail, first trail of the Region', count: whole(events), usd: 0 },
    { what: 'CloudTrail, each further trail that keeps them', count: whole(events), usd: paid },
  ];
}

const whole = (count: number) => Math.round(count).toLocaleString('en-US');

/** In Markdown, laid out as the formatter lays tables out. */
export function costTable(): string {
  const cells = ({ what, count, usd }: Line) => [what, count, usd.toFixed(2)];
  const rows = [
    ['What', 'A month', 'USD a month'],
    ...costLines().map(cells),
    ['**Sum, before rotations**', '', `**${totals().own.toFixed(2)}**`],
    ...otherLines().map(cells),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const [header = '', ...body] = rows.map((row) =>
    toRow(row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))),
  );
  const rule = widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [header, toRow(rule), ...body].join('\n');
}

const toRow = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;

/** What stands between the markers of docs/cost.md. */
export const table = /(?<=<!-- node infra\/cost\.ts -->\n\n)[\s\S]*?(?=\n\n<!-- end -->)/;

if (import.meta.main) {
  process.stdout.write(`${costTable()}\n`);
  if (process.argv.includes('--write')) {
    const page = fileURLToPath(new URL('../docs/cost.md', import.meta.url));
    await writeFile(
      page,
      (await readFile(page, 'utf8')).replace(table, () => costTable()),
    );
  }
}
