import { setTimeout as delay } from 'node:timers/promises';
import { awsFailure } from '../../shared/aws-failure.ts';
import type { CheckReport, Which, WhichCertificate } from '../../shared/check-report.ts';
import { CHECK_PACE_SECONDS } from '../../shared/check-report.ts';
import { parseJson } from '../../shared/json.ts';
import { asCliFailure, CliFailure, failure } from './cli-failure.ts';
import type { Clients } from './clients.ts';

/** A container that is busy with checks is asked so often. */
const TRIES = 4;

export interface CheckWish {
  readonly certificate?: WhichCertificate;
  readonly signing_key?: Which;
  readonly exchange?: boolean;
}

/**
 * Has the function make a check; waits where it says that it is too soon.
 *
 * @throws CliFailure with the function's own error code, or with what kept it from being asked.
 */
export async function invokeCheck(
  clients: Clients,
  functionName: string,
  wish: CheckWish,
  progress: (text: string) => void,
): Promise<CheckReport> {
  for (let tries = 1; ; tries += 1) {
    try {
      return (await invoke(clients, functionName, { action: 'check', ...wish })) as CheckReport;
    } catch (error) {
      if (!(error instanceof CliFailure) || error.code !== 'CHECK_TOO_SOON' || tries >= TRIES) throw error;
      const seconds = Number(/retry_after_seconds=(\d{1,2})/.exec(error.message)?.[1] ?? CHECK_PACE_SECONDS);
      progress(`The function made a check a moment ago; waiting ${seconds} s.`);
      await delay(seconds * 1000);
    }
  }
}

/** @throws CliFailure with the error code of the first step that failed. */
export function mustHavePassed(report: CheckReport, remedy: string): void {
  const step = report.steps.find(({ outcome }) => outcome === 'failed');
  if (step?.outcome !== 'failed') return;
  throw failure(step.error_code, step.what, `${step.remedy} ${remedy}`);
}

/** @returns The function's answer. @throws CliFailure */
export async function invoke(clients: Clients, functionName: string, event: object): Promise<unknown> {
  const answer = await (await clients.lambda())
    .invoke({ FunctionName: functionName, Payload: JSON.stringify(event) })
    .catch((error: unknown) => {
      throw awsFailure(error).name === 'TooManyRequestsException'
        ? throttled(functionName)
        : asCliFailure(error, 'lambda:InvokeFunction');
    });
  const payload = parseJson(Buffer.from(answer.Payload ?? []).toString());
  if (answer.FunctionError === undefined) return payload;
  const { errorType, errorMessage } = (payload ?? {}) as { errorType?: unknown; errorMessage?: unknown };
  // The broker's own errors quote nothing secret, and their code is in upper case; whatever else Lambda tells is not repeated.
  if (typeof errorType === 'string' && /^[A-Z_]{3,60}$/.test(errorType) && typeof errorMessage === 'string') {
    throw failure(errorType, errorMessage.slice(0, 1_000), `docs/runbook.md, section ${errorType}.`);
  }
  const ending =
    typeof errorType === 'string' && /^(Runtime|Sandbox)\.\w{1,40}$/.test(errorType) ? errorType : undefined;
  throw failure(
    'FUNCTION_FAILED',
    `The function ${functionName} ended without an answer${ending === undefined ? '' : ` (${ending})`}.`,
    remedies.get(ending ?? '') ?? 'Look at its log (d1-token logs): it may not start, or was cut off.',
  );
}

/** What Lambda calls the endings of a function that ran out of something (AWS Lambda Developer Guide, "Troubleshoot"). */
const remedies: ReadonlyMap<string, string> = new Map([
  [
    'Sandbox.Timedout',
    'It was cut off: raise timeoutSeconds in infra/params.yml, or find what is slow (d1-token logs).',
  ],
  ['Runtime.OutOfMemory', 'Raise memoryMegabytes in infra/params.yml, and deploy.'],
  ['Runtime.ExitError', 'Its process died, of too little memory for one: look at its log, and raise memoryMegabytes.'],
]);

const throttled = (functionName: string) =>
  failure(
    'FUNCTION_THROTTLED',
    `Lambda does not run ${functionName}: all that its concurrency allows is in use, or nothing is allowed.`,
    'Look at the function\'s concurrency: 0 is somebody\'s doing ("Throttle" in the console), else raise reservedConcurrency.',
  );
