import type { InvocationContext } from '../app.ts';
import { asBrokerError } from '../errors.ts';
import type { Answer, TickAnswer } from '../events.ts';
import type { Clock } from '../shared/clock.ts';
import type { Errand } from './dispatch-plan.ts';
import type { Issuer } from './issuer.ts';
import type { Entry, IssuerIndex } from './issuer-index.ts';
import { failed, type IssuerState, succeeded } from './issuer-state.ts';

/** The app of one issuer, as `src/app.ts` makes it. */
export type App = (event: unknown, context: InvocationContext) => Promise<Answer>;

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
  appOf: (issuer: Issuer) => App;
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
    await index.keep(entry, await attempt(entry, context));
  };

  async function attempt({ fields, state }: Entry, context: InvocationContext): Promise<IssuerState> {
    try {
      const answer = await appOf(read(fields))({ action: 'refresh' }, context);
      return succeeded(answer as TickAnswer, clock.now());
    } catch (thrown) {
      return failed(state, asBrokerError(thrown), clock.now());
    }
  }
}
