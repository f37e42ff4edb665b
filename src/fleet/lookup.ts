import type { Clock } from '../shared/clock.ts';
import type { Entry, IssuerIndex } from './issuer-index.ts';

/** An alias can't be digits alone, and an issuer's id can. Source: Lambda API Reference, CreateAlias. */
const ALIAS_PREFIX = 'issuer-';
/** A changed configuration is in force after this; a removed issuer's callers are refused after it. */
const KEPT_MILLISECONDS = 60_000;
/** As many as apps are kept. */
const MOST = 200;

export const aliasOf = (issuerId: string): string => `${ALIAS_PREFIX}${issuerId}`;

/** @returns The issuer whose alias was invoked; `undefined` when none was. */
export function issuerOf(invokedFunctionArn: string): string | undefined {
  const alias = invokedFunctionArn.split(':')[7];
  return alias?.startsWith(ALIAS_PREFIX) ? alias.slice(ALIAS_PREFIX.length) : undefined;
}

/** Finds issuers in the index, and asks it for each once a minute at most. Who is not there is asked for each time. */
export function createLookup(index: Pick<IssuerIndex, 'find'>, clock: Pick<Clock, 'now'>) {
  const found = new Map<string, { readonly entry: Entry; readonly at: number }>();
  return async (issuerId: string): Promise<Entry | undefined> => {
    const kept = found.get(issuerId);
    if (kept && clock.now() - kept.at < KEPT_MILLISECONDS) return kept.entry;
    found.delete(issuerId);
    const entry = await index.find(issuerId);
    if (entry) found.set(issuerId, { entry, at: clock.now() });
    const [oldest] = found.keys();
    if (found.size > MOST && oldest !== undefined) found.delete(oldest);
    return entry;
  };
}
