import type { Issuer } from './issuer.ts';

/** Keeps what was made for the issuers that were used last, `most` of them, and for their configuration as it is. */
export function lastUsed<T>(most: number, make: (issuer: Issuer) => T): (issuer: Issuer) => T {
  const kept = new Map<string, { readonly fingerprint: string; readonly made: T }>();
  return (issuer) => {
    const { issuerId, fingerprint } = issuer;
    const found = kept.get(issuerId);
    const one = found?.fingerprint === fingerprint ? found : { fingerprint, made: make(issuer) };
    // Last in the order of insertion: the first is the one that was used longest ago.
    kept.delete(issuerId);
    kept.set(issuerId, one);
    const [oldest] = kept.keys();
    if (kept.size > most && oldest !== undefined) kept.delete(oldest);
    return one.made;
  };
}
