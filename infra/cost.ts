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
const prices = {
  kmsKeyMonth: 1,
  kmsSign: 0.15 / 10_000,
  kmsSymmetric: 0.03 / 10_000,
  secretMonth: 0.4,
  secretsManagerCall: 0.05 / 10_000,
  lambdaRequest: 0.2 / 1_000_000,
  lambdaGigabyteSecondArm: 0.0000133334,
  schedulerInvocation: 1 / 1_000_000,
  logGigabyte: 0.57,
  alarmMonth: 0.1,
  metricMonth: 0.3,
  dashboardMonth: 3,
};

/** What is not a call; docs/cost.md says what is counted, measured and guessed. */
export const assumptions = {
  hoursPerMonth: 730,
  secondsBetweenRefreshes: 600,
  memoryGigabytes: 0.5,
  idleTickSeconds: 0.05,
  refreshSeconds: 0.5,
  logBytesPerTick: 1_400,
  alarms: 9,
  metrics: 13,
};

interface Line {
  readonly what: string;
  readonly count: string;
  readonly usd: number;
}

export function costLines(): readonly Line[] {
  const { hoursPerMonth, secondsBetweenRefreshes, memoryGigabytes } = assumptions;
  const ticks = hoursPerMonth * 60;
  const refreshes = (hoursPerMonth * 3_600) / secondsBetweenRefreshes;
  const certificateReads = hoursPerMonth;
  const idle = ticks - refreshes;
  const reads =
    idle * callsOfIdleTick['secretsmanager.GetSecretValue'] +
    refreshes * callsOfRefresh['secretsmanager.GetSecretValue'] +
    certificateReads * callsOfCertificateRead['secretsmanager.GetSecretValue'];
  const writes = refreshes * callsOfRefresh['secretsmanager.PutSecretValue'];
  const signatures = refreshes * callsOfRefresh['TrentService.Sign'];
  // Secrets Manager asks the key once to decrypt what it hands out, and twice for what it stores.
  const secretsKeyCalls = reads + 2 * writes;
  const seconds = idle * assumptions.idleTickSeconds + refreshes * assumptions.refreshSeconds;
  const logGigabytes = (ticks * assumptions.logBytesPerTick) / 1e9;

  return [
    { what: 'KMS keys: signing, secrets, log', count: '3', usd: 3 * prices.kmsKeyMonth },
    { what: 'KMS signatures', count: whole(signatures), usd: signatures * prices.kmsSign },
    { what: 'KMS calls of Secrets Manager', count: whole(secretsKeyCalls), usd: secretsKeyCalls * prices.kmsSymmetric },
    { what: 'Secrets', count: '2', usd: 2 * prices.secretMonth },
    { what: 'Secrets Manager reads', count: whole(reads), usd: reads * prices.secretsManagerCall },
    { what: 'Secrets Manager writes', count: whole(writes), usd: writes * prices.secretsManagerCall },
    { what: 'Lambda requests', count: whole(ticks), usd: ticks * prices.lambdaRequest },
    {
      what: 'Lambda GB-seconds',
      count: whole(seconds * memoryGigabytes),
      usd: seconds * memoryGigabytes * prices.lambdaGigabyteSecondArm,
    },
    { what: 'Scheduler invocations', count: whole(ticks), usd: ticks * prices.schedulerInvocation },
    { what: 'Log, GB', count: logGigabytes.toFixed(2), usd: logGigabytes * prices.logGigabyte },
    { what: 'Alarms', count: String(assumptions.alarms), usd: assumptions.alarms * prices.alarmMonth },
    { what: 'Metrics', count: String(assumptions.metrics), usd: assumptions.metrics * prices.metricMonth },
    { what: 'Dashboard', count: '1', usd: prices.dashboardMonth },
  ];
}

const whole = (count: number) => Math.round(count).toLocaleString('en-US');

/** In Markdown, laid out as the formatter lays tables out. */
export function costTable(): string {
  const lines = costLines();
  const total = lines.reduce((sum, { usd }) => sum + usd, 0);
  const rows = [
    ['What', 'A month', 'USD a month'],
    ...lines.map(({ what, count, usd }) => [what, count, usd.toFixed(2)]),
    ['**Sum**', '', `**${total.toFixed(2)}**`],
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
