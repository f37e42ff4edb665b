import type { Context } from 'aws-lambda';
import { BrokerError } from '../errors.ts';
import type { Answer } from '../events.ts';
import { clock, openApps, openIndex, read } from './container.ts';
import { createLookup, issuerOf } from './lookup.ts';

const appOf = openApps();
const find = createLookup(openIndex(), clock);

/**
 * Lambda entry point for callers: the alias that is invoked names the issuer, so that IAM decides who gets whose token.
 *
 * @throws BrokerError EVENT_INVALID, CONFIG_INVALID, or as `src/app.ts`.
 */
export async function handler(event: unknown, context: Context): Promise<Answer> {
  const issuerId = issuerOf(context.invokedFunctionArn);
  const entry = issuerId === undefined ? undefined : await find(issuerId);
  if (!entry) throw unknownIssuer(issuerId);
  return appOf(read(entry.fields)).run(event, context);
}

const unknownIssuer = (issuerId: string | undefined) =>
  new BrokerError({
    code: 'EVENT_INVALID',
    what: issuerId === undefined ? 'The function was invoked without an alias.' : `There is no issuer ${issuerId}.`,
    remedy: 'Invoke the alias of the issuer, `issuer-` and its id; `d1-token issuer list` shows which there are.',
    retryable: false,
    issuerId,
  });
