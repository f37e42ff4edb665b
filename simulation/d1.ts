import type { Sign } from '../src/assertion/kms-signer.ts';
import { BrokerError } from '../src/errors.ts';
import type { Clock } from '../src/shared/clock.ts';
import { rejected, unreachable } from '../src/token-endpoint/endpoint-error.ts';
import type { TokenEndpoint } from '../src/token-endpoint/token-endpoint.ts';
import type { Timeouts } from '../src/token-endpoint/token-request.ts';
import { type RecordFacts, toTokenRecord } from '../src/token-endpoint/token-response.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedTime } from './simulated-time.ts';

const TOKEN_LIFETIME_SECONDS = 900;

/**
 * Why no token can be had: the network or D1 itself, a key that D1 does not know yet, a certificate that has expired. `lost`:
 * D1 issues a token, and its answer gets lost. `hanging`: it does not answer before the caller gives up.
 */
export type ExchangeFault = 'unreachable' | 'rejected' | 'certificate' | 'lost' | 'hanging';

export interface D1Options {
  readonly time: SimulatedTime;
  readonly random: SeededRandom;
  /** What keeps an exchange from succeeding at a moment. */
  readonly fault: (moment: number) => ExchangeFault | undefined;
  /** When the API answers 401 whatever the token. */
  readonly refusesAll: (moment: number) => boolean;
  /** Seconds that the next new token lives: 900 unless told. */
  readonly lifetimeSeconds?: () => number;
  /** Milliseconds that an exchange takes: 100-600 unless told. */
  readonly latency?: (moment: number) => number;
  /** How much of that passes after the token was issued, 0-1: its life has begun when it comes. None unless told. */
  readonly returnShare?: number;
  /**
   * The same token is given again while more than this is left of it; below zero, after its death too. Each exchange gives a
   * new one unless told.
   */
  readonly tokenReuseUntilSeconds?: number | undefined;
  /** Seconds by which the end of a token is put off when it is given again; never beyond a whole life. None unless told. */
  readonly lengthens?: () => number;
  /** A new token ends the one before. */
  readonly oneTokenAtATime?: boolean;
  readonly onIssued?: (token: IssuedToken) => void;
}

export interface IssuedToken {
  readonly token: string;
  /** Its place in the order of issuing, from 1. */
  readonly number: number;
  /** Milliseconds since 1970 UTC, by D1's clock, which is the right one. */
  readonly issuedAt: number;
  /** Likewise: the end of its life, if nothing ends it sooner. D1 may put it off. */
  diesAt: number;
  readonly lifetimeSeconds: number;
  /** Likewise: when it was revoked or ended by the next. */
  endedAt: number | undefined;
}

/**
 * D1: its token endpoint, as the broker sees it through `TokenEndpoint`, and an API that takes its tokens.
 *
 * An exchange that fails stands for an invocation whose attempts have all failed: the retries within an invocation are not
 * simulated, which is the harder case for the broker.
 */
export class D1 {
  readonly #options: D1Options;
  readonly #tokens = new Map<string, IssuedToken>();
  #last: IssuedToken | undefined;

  constructor(options: D1Options) {
    this.#options = options;
  }

  /** Tokens issued so far. */
  get issued(): number {
    return this.#tokens.size;
  }

  get last(): IssuedToken | undefined {
    return this.#last;
  }

  get isRefusingAll(): boolean {
    return this.#options.refusesAll(this.#options.time.now());
  }

  readonly sign: Sign = async (_input, signal) => {
    await this.#options.time.sleep(this.#options.random.between(5, 20), signal);
    return Buffer.alloc(64);
  };

  /** @param clock The caller's: it says when the request was sent. */
  tokenEndpoint(
    clock: Pick<Clock, 'now'>,
    settings: Omit<RecordFacts, 'correlationId' | 'sentAt'> & Pick<Timeouts, 'exchangeTimeoutMilliseconds'>,
  ): TokenEndpoint {
    return {
      exchange: async (createAssertion, call, _deadline, signal) => {
        await createAssertion(signal);
        call.journal.exchangeAttempts += 1;
        const takes = this.#takes();
        // What takes longer than an attempt may is the last of several.
        const attempt = Math.min(takes, settings.exchangeTimeoutMilliseconds);
        if (takes > attempt) await this.#options.time.sleep(takes - attempt, signal);
        const sentAt = clock.now();
        const { correlationId } = call;
        return toTokenRecord(await this.answer(signal, attempt), { ...settings, correlationId, sentAt });
      },
    };
  }

  /** What the token endpoint answers, after its time. */
  async answer(signal: AbortSignal, takes = this.#takes()) {
    const { time, fault: faultAt, returnShare = 0 } = this.#options;
    const sentAt = time.now();
    const back = Math.round(takes * returnShare);
    await time.sleep(takes - back, signal);
    if (signal.aborted) throw unreachable('did not answer');
    const fault = faultAt(sentAt);
    if (fault === 'hanging') await time.sleep(25_000, signal);
    if (fault && fault !== 'lost') throw failures[fault]();
    const { token, diesAt } = this.#issue();
    const left = Math.max(0, Math.floor((diesAt - time.now()) / 1000));
    if (back > 0) await time.sleep(back, signal);
    if (signal.aborted) throw unreachable('did not answer');
    if (fault === 'lost') throw failures.lost();
    return { access_token: token, token_type: 'Bearer' as const, expires_in: left };
  }

  #takes(): number {
    const { time, random, latency } = this.#options;
    return latency?.(time.now()) ?? random.between(100, 600);
  }

  #issue(): IssuedToken {
    const { time, lifetimeSeconds: lifetime, tokenReuseUntilSeconds: reuse, oneTokenAtATime, onIssued } = this.#options;
    const now = time.now();
    const last = this.#last;
    if (last && reuse !== undefined && last.endedAt === undefined && last.diesAt - now > reuse * 1000) {
      const longer = last.diesAt > now ? (this.#options.lengthens?.() ?? 0) : 0;
      last.diesAt = Math.max(last.diesAt, Math.min(last.diesAt + longer * 1000, now + last.lifetimeSeconds * 1000));
      return last;
    }
    if (last && oneTokenAtATime) last.endedAt ??= now;
    const number = this.#tokens.size + 1;
    const lifetimeSeconds = lifetime?.() ?? TOKEN_LIFETIME_SECONDS;
    const diesAt = now + lifetimeSeconds * 1000;
    const issued: IssuedToken = {
      token: `token-${number}`,
      number,
      issuedAt: now,
      diesAt,
      lifetimeSeconds,
      endedAt: undefined,
    };
    this.#tokens.set(issued.token, issued);
    this.#last = issued;
    onIssued?.(issued);
    return issued;
  }

  find(token: string): IssuedToken | undefined {
    return this.#tokens.get(token);
  }

  revoke(token: string): void {
    const found = this.#tokens.get(token);
    if (found) found.endedAt ??= this.#options.time.now();
  }

  /** @returns Milliseconds since 1970 UTC, by D1's clock, which is the right one. */
  diesAt(token: string): number {
    const found = this.#tokens.get(token);
    return found ? Math.min(found.diesAt, found.endedAt ?? Number.POSITIVE_INFINITY) : 0;
  }

  /** Whether an API of D1 takes the token now. */
  accepts(token: string): boolean {
    return this.#options.time.now() < this.diesAt(token) && !this.isRefusingAll;
  }
}

const failures: Record<ExchangeFault, () => BrokerError> = {
  unreachable: () => unreachable('did not answer'),
  hanging: () => unreachable('did not answer in time'),
  lost: () => unreachable('was cut off'),
  rejected: () => rejected('invalid_grant', 400),
  certificate: () =>
    new BrokerError({
      code: 'CLIENT_CERTIFICATE_INVALID',
      what: 'The client certificate has expired.',
      remedy: 'Renew it.',
      retryable: false,
    }),
};
