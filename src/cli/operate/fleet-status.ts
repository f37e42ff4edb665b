import { createDynamoDbIndex } from '../../fleet/dynamodb-index.ts';
import { overviewOf } from '../../fleet/overview.ts';
import type { Worst } from '../../fleet/round-report.ts';
import { asCliFailure } from '../frame/cli-failure.ts';
import type { Result, Session } from '../frame/command.ts';
import { output, type Stack } from '../frame/stage.ts';

/** How the issuers of a stack for many fare, the worst first. */
export async function lookAtFleet({ clients, flags, style }: Session, stack: Stack): Promise<Result> {
  const index = createDynamoDbIndex(await clients.dynamoDb(), output(stack, 'IssuersTableName'));
  const candidates = await index.candidates().catch((error: unknown) => {
    throw asCliFailure(error, 'dynamodb:Scan');
  });
  const now = Date.now();
  const { issuers, pressing, leastSecondsLeft, lagSeconds, failing, silentHosts, worst } = overviewOf(candidates, now);
  const codes = Object.entries(failing).sort(([, one], [, other]) => other - one);
  const isGood = pressing === 0 && codes.length === 0;
  const silent = silentHosts.map((host) => style.bad(`Silent: ${host} answers nobody; only probes go there.`));
  return {
    outcome: pressing > 0 ? 'failed' : isGood ? 'good' : 'attention',
    facts: {
      issuers,
      pressing,
      least_seconds_left: leastSecondsLeft,
      lag_seconds: lagSeconds,
      failing: Object.fromEntries(codes),
      silent_hosts: silentHosts,
      worst: worst.map(({ failed_with = null, ...row }) => ({ ...row, failed_with })),
    },
    text: [
      `${style.bold(`${issuers} issuers, stage ${flags.stage}`)}  ${new Date(now).toISOString()}`,
      `Least left   ${issuers === 0 ? 'no issuer yet' : `${leastSecondsLeft} s`}`,
      `Pressing     ${pressing} with less than 120 s left`,
      `Lag          ${lagSeconds} s`,
      `Failing      ${codes.length === 0 ? 'none' : codes.map(([code, count]) => `${count} with ${code}`).join(', ')}`,
      ...silent,
      ...worst.map(told),
    ],
  };
}

const told = ({ issuer_id, seconds_left, failures, failed_with }: Worst): string =>
  `  ${issuer_id}  ${seconds_left} s left${failed_with ? `, ${failures} failed in a row, the last with ${failed_with}` : ''}`;
