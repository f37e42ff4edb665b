import { createAssertion } from '../assertion/assertion.ts';
import type { Sign } from '../assertion/kms-signer.ts';
import type { Config } from '../config.ts';
import type { Deadline } from '../deadline.ts';
import { asBrokerError } from '../errors.ts';
import type { Call } from '../invocation.ts';
import { type Clock, nowSeconds } from '../shared/clock.ts';
import type { Random } from '../shared/random.ts';
import { sameToken, type TokenRecord } from '../shared/token-record.ts';
import { responseInvalid } from '../token-endpoint/endpoint-error.ts';
import type { TokenEndpoint } from '../token-endpoint/token-endpoint.ts';
import { livesLonger, rank } from './plan.ts';

/** What an obtained token needs to get stored; it is not spent on obtaining it. */
export const STORE_RESERVE_MILLISECONDS = 2_000;
/** With less time than this a refresh is not begun: it would sign and exchange, and then lose the token. */
export const SHORTEST_REFRESH_MILLISECONDS = STORE_RESERVE_MILLISECONDS + 1_000;

/** What D1 gave. */
export interface Obtained {
  /** `undefined` when it was nothing new: a known token with its known end, or no life at all. Its first record stays. */
  readonly record: TokenRecord | undefined;
  /** It was known, or had no life: D1 repeats itself, though it may have put the end off. */
  readonly isRepeated: boolean;
}

/**
 * Gets a token from D1: one signature and one exchange, if all goes well.
 *
 * @param known The records that the token may repeat or replace.
 */
export type Obtain = (call: Call, deadline: Deadline, known: readonly TokenRecord[]) => Promise<Obtained>;

export function createObtain({
  config,
  sign,
  tokenEndpoint,
  clock,
  random,
}: {
  config: Config;
  sign: Sign;
  tokenEndpoint: TokenEndpoint;
  clock: Clock;
  random: Random;
}): Obtain {
  const longestExchangeSeconds = Math.ceil(config.exchangeTimeoutMilliseconds / 1000);
  return async (call, deadline, known) => {
    const exchangeDeadline = deadline.earlier(STORE_RESERVE_MILLISECONDS);
    const exchanging = exchangeDeadline.limit('getting a token from D1', async (signal) => {
      const assertion = (attempt: AbortSignal) => createAssertion({ settings: config, sign, clock, random }, attempt);
      const record = await tokenEndpoint.exchange(assertion, call, exchangeDeadline, signal);
      if (!record) return { record: undefined, isRepeated: true };
      const repeated = known.find((one) => sameToken(one, record));
      if (repeated) {
        // It keeps its place among the tokens: whoever refused it does not get it as another.
        const { obtained_at } = repeated;
        if (!livesLonger(record, repeated)) return { record: undefined, isRepeated: true };
        // Two containers that are told of the same end still write two values: the same one again would be no write.
        const longer = { ...record, obtained_at, expires_in: record.expires_at - obtained_at };
        return { record: longer, isRepeated: true };
      }
      if (record.expires_at * 1000 <= clock.now()) throw responseInvalid('the access token has expired on its way');
      // Of two answers the one that came last is the newest, whichever was asked for first. One that comes later than it can
      // found the container frozen: others may have got theirs meanwhile.
      const came = Math.min(nowSeconds(clock), record.obtained_at + longestExchangeSeconds);
      // Monotone, or a good token would look older than the refused one where a clock went back.
      const after = Math.max(0, ...known.map((one) => rank(one, clock.now()) + 1));
      const obtained_at = Math.min(Math.max(came, after), record.expires_at - 1);
      return { record: { ...record, obtained_at }, isRepeated: false };
    });
    // Whoever waits for this exchange has a correlation id of its own; the one that D1 saw is the one to ask it about.
    return exchanging.catch((error: unknown) => {
      throw asBrokerError(error).located({ correlationId: call.correlationId });
    });
  };
}
