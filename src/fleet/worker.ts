import type { InvocationContext } from '../app.ts';
import { asBrokerError } from '../errors.ts';
import type { Answer, TickAnswer } from '../events.ts';
import type { Clock } from '../shared/clock.ts';
import type { Errand } from './dispatch-plan.ts';
import type { Issuer } from './issuer.ts';
import type { Entry, IssuerIndex } from './issuer-index.ts';
import { failed, type IssuerState, succeeded } from './issuer-state.ts';
import type { WriteSlot } from './paced-store.ts';

/** What one issuer is tried with. */
export interface IssuerApp {
  /** As `src/app.ts` makes it, on a store that waits for the slot. */
  readonly run: (event: unknown, context: InvocationContext) => Promise<Answer>;
  readonly slot: WriteSlot;
}

/** From when a try begins until it writes: most of D1's answers have come by then. */
const WRITES_AFTER_MILLISECONDS = 1_000;

/**
 * Tries issuers, each by an app of its own: certificate, connection, token and failure are nobody else's.
 *
 * @param read Checks an entry's fields.
 * @param appOf The app of an issuer.
 * @returns A function that makes one try, and keeps what came of it in the index: a failed try is a state, not a message
 * that goes round. It throws only what the index throws.
 */
export function createWorker({
  index,
  read,
  appOf,
  clock,
}: {
  index: Pick<IssuerIndex, 'find' | 'keep'>;
  read: (entry: Entry['fields']) => Issuer;
  appOf: (issuer: Issuer) => IssuerApp;
  clock: Clock;
}) {
  return async function run(
    { issuerId, notBefore }: Pick<Errand, 'issuerId' | 'notBefore'>,
    context: InvocationContext,
  ): Promise<void> {
    await clock.sleep(Math.max(0, notBefore - clock.now()));
    const entry = await index.find(issuerId);
    // It was removed while the errand was on its way.
    if (!entry) return;
    await index.keep(entry, await attempt(entry, notBefore, context));
  };

  async function attempt(
    { fields, state }: Entry,
    notBefore: number,
    context: InvocationContext,
  ): Promise<IssuerState> {
    try {
      const { run: refresh, slot } = appOf(read(fields));
      slot.notBefore = notBefore + WRITES_AFTER_MILLISECONDS;
      const answer = await refresh({ action: 'refresh' }, context);
      return succeeded(answer as TickAnswer, clock.now());
    } catch (thrown) {
      return failed(state, asBrokerError(thrown), clock.now());
    }
  }
}
