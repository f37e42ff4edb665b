import type { Context } from 'aws-lambda';
import { asBrokerError, BrokerError } from '../errors.ts';
import type { Answer } from '../events.ts';
import { systemRandom } from '../shared/random.ts';
import { clock, openApps, openIndex, read, stage } from './container.ts';
import { createFleetTelemetry } from './fleet-telemetry.ts';
import { createLookup, issuerOf } from './lookup.ts';
import type { IssuerApp } from './worker.ts';

const telemetry = createFleetTelemetry(stage);

const appOf = openApps();
const find = createLookup(openIndex(), clock);

/**
 * Lambda entry point for callers: the alias that is invoked names the issuer, so that IAM decides who gets whose token.
 *
 * @throws BrokerError EVENT_INVALID, CONFIG_INVALID, or as `src/app.ts`.
 */
export async function handler(event: unknown, context: Context): Promise<Answer> {
  telemetry.begin(context);
  const { run } = await appOfAlias(context.invokedFunctionArn);
  return run(event, context);
}

async function appOfAlias(invokedFunctionArn: string): Promise<IssuerApp> {
  const issuerId = issuerOf(invokedFunctionArn);
  try {
    const entry = issuerId === undefined ? undefined : await find(issuerId);
    if (!entry) throw unknownIssuer(issuerId);
    return appOf(read(entry.fields));
  } catch (thrown) {
    const error = asBrokerError(thrown).located({ issuerId, correlationId: systemRandom.uuid() });
    telemetry.refused('token', error, 'only if the caller asks again');
    throw error;
  }
}

const unknownIssuer = (issuerId: string | undefined) =>
  new BrokerError({
    code: 'EVENT_INVALID',
    what: issuerId === undefined ? 'The function was invoked without an alias.' : `There is no issuer ${issuerId}.`,
    remedy: 'Invoke the alias of the issuer, `issuer-` and its id; `d1-token issuer list` shows which there are.',
    retryable: false,
    issuerId,
  });
