import { createApp } from '../app.ts';
import { createParts } from '../parts.ts';
import { createTelemetry } from '../telemetry.ts';
import type { World } from '../trial/trial.ts';
import type { Issuer } from './issuer.ts';
import { lastUsed } from './last-used.ts';
import { pacedStore, type WriteSlot } from './paced-store.ts';
import type { IssuerApp } from './worker.ts';

/** Each holds a certificate, a connection and a token: a container's memory must not grow with the number of issuers. */
export const MOST_APPS = 200;

/**
 * The apps of the issuers that a container has served last: each has a certificate, a connection and a token of its own, and
 * the clients of AWS are everybody's. An issuer whose configuration changed gets another.
 */
export function createIssuerApps({
  stage,
  ...world
}: Omit<World, 'config'> & { readonly stage: string | undefined }): (issuer: Issuer) => IssuerApp {
  return lastUsed(MOST_APPS, ({ issuerId, config }) => {
    const slot: WriteSlot = { notBefore: 0 };
    const parts = createParts({ ...world, config });
    const { clock, random } = world;
    const run = createApp({
      config,
      ...parts,
      store: pacedStore(parts.store, slot, clock),
      clock,
      random,
      telemetry: createTelemetry(issuerId, clock, stage, true),
    });
    return { run, slot };
  });
}
