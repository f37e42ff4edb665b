import type { Issuer } from './issuer.ts';
import type { IssuerApp } from './worker.ts';

/** Each holds a certificate, a connection and a token: a container's memory must not grow with the number of issuers. */
const MOST_APPS = 200;

/** One app an issuer, the last used ones: an issuer whose configuration changed gets another. */
export function createApps(make: (issuer: Issuer) => IssuerApp, most = MOST_APPS): (issuer: Issuer) => IssuerApp {
  const apps = new Map<string, { readonly fingerprint: string; readonly app: IssuerApp }>();
  return (issuer) => {
    const { issuerId, fingerprint } = issuer;
    const found = apps.get(issuerId);
    const kept = found?.fingerprint === fingerprint ? found : { fingerprint, app: make(issuer) };
    // Last in the order of insertion: the first is the one that was used longest ago.
    apps.delete(issuerId);
    apps.set(issuerId, kept);
    const [oldest] = apps.keys();
    if (apps.size > most && oldest !== undefined) apps.delete(oldest);
    return kept.app;
  };
}
