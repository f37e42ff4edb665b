import { type Patience, SharedWork, waitFor } from '../shared/shared-work.ts';
import type { AccessToken } from './access-token.ts';
import { BrokerFailure } from './broker-failure.ts';
import type { Settings } from './options.ts';
import { asReaderError, TokenReaderError, unexpected } from './reader-error.ts';
import { RefusedTokens } from './refused-tokens.ts';
import type { ServerClock } from './server-clock.ts';
import { checkTokenOptions, type TokenOptions } from './token-options.ts';
import type { BrokerSource, TokenSource } from './token-source.ts';

interface Held {
  readonly token: AccessToken;
  /** The same object for every caller: a promise can't be changed, and what it holds is frozen. */
  readonly promise: Promise<AccessToken>;
  /** Milliseconds since 1970 UTC on the server clock. */
  readonly expiresAt: number;
  /** From here on the secret is read again in the background. Same clock. */
  refreshAt: number;
  /** Until here nothing but the clock is looked at. Same clock. */
  carefreeUntil: number;
}

/** Between two looks for a token that was not there at the first: jittered to 5-15 s. */
const RETRY_MILLISECONDS = 10_000;
/** The broker gets one token in this time because of refusals: what D1 refuses at once again has another reason. */
const YOUNG_MILLISECONDS = 60_000;

/** The one token of a reader: kept while it lives, replaced ahead of its end, and replaced when D1 refuses it. */
export class TokenKeeper {
  readonly #settings: Settings;
  readonly #time: ServerClock;
  readonly #secret: TokenSource;
  readonly #broker: BrokerSource | undefined;
  readonly #replacements: SharedWork<AccessToken | undefined>;
  readonly #refused = new RefusedTokens();
  #held: Held | undefined;
  /** A blocking look for a better token than a living one is not repeated before this, on the server clock. */
  #lookAgainAt = 0;
  #replaceAgainAt = 0;

  constructor(settings: Settings, time: ServerClock, secret: TokenSource, broker: BrokerSource | undefined) {
    const { clock, readTimeoutMilliseconds, brokerTimeoutMilliseconds } = settings;
    this.#settings = settings;
    this.#time = time;
    this.#secret = secret;
    this.#broker = broker;
    // Longer than what it consists of, each part of which has a limit and a sentence of its own.
    const limit = readTimeoutMilliseconds + 2 * brokerTimeoutMilliseconds + 1_000;
    this.#replacements = new SharedWork(clock, () => this.#none(), limit);
  }

  /** Not `async`: a hit costs a look at the clock and allocates nothing. */
  token(wish?: TokenOptions): Promise<AccessToken> {
    if (wish === undefined && this.#held !== undefined && this.#time.now() < this.#held.carefreeUntil) {
      return this.#held.promise;
    }
    return this.#carefully(wish ?? {});
  }

  /**
   * A token newer than any that D1 refused; one search for any number of callers.
   *
   * @returns `undefined` when there is none: the refusal then stands.
   * @throws The reason of the caller's signal, and nothing else.
   */
  async replacementOf(refused: AccessToken, patience: Patience): Promise<AccessToken | undefined> {
    this.#refused.add(refused);
    const held = this.#unrefused();
    if (held) return held.token;
    if (!this.#replacements.underWay && this.#time.now() < this.#replaceAgainAt) return undefined;
    const search = this.#replacements.join(() => this.#replace()).catch(() => undefined);
    return waitFor(search, patience, this.#settings.clock, () => waitTimedOut(patience));
  }

  async #carefully(wish: TokenOptions): Promise<AccessToken> {
    checkTokenOptions(wish);
    const { minRemainingSeconds = this.#settings.minRemainingSeconds, signal } = wish;
    signal?.throwIfAborted();
    const held = this.#alive();
    if (held) {
      const now = this.#time.now();
      if (held.expiresAt - now >= minRemainingSeconds * 1000) {
        if (now >= held.refreshAt) this.#lookInBackground(held);
        return held.token;
      }
      if (now < this.#lookAgainAt) return held.token;
    }
    try {
      return await waitFor(this.#look(Math.ceil(minRemainingSeconds)), wish, this.#settings.clock, () =>
        waitTimedOut(wish),
      );
    } catch (error) {
      const living = this.#alive();
      // Out of time or of luck: the token in hand is worth more than an error. A caller that has left wants neither.
      if (!living || signal?.aborted) throw error;
      this.#settings.warn(asReaderError(error, unexpected));
      return living.token;
    }
  }

  /** Never fails anybody: the token in hand lives. */
  #lookInBackground(held: Held): void {
    this.#postpone(held);
    void this.#read().then((failure) => failure && this.#settings.warn(failure));
  }

  /** Secret first, then the broker; whatever they bring is kept, also when the caller has left. */
  async #look(minRemainingSeconds: number): Promise<AccessToken> {
    let failure: TokenReaderError | undefined;
    if (!this.#broker?.isAsked(minRemainingSeconds)) {
      failure = await this.#read(minRemainingSeconds);
      const held = this.#alive();
      if (held && held.expiresAt - this.#time.now() >= minRemainingSeconds * 1000) return held.token;
    }
    if (this.#broker) {
      try {
        this.#keep(await this.#broker.token({ minRemainingSeconds: Math.min(minRemainingSeconds, 840) }));
      } catch (thrown) {
        failure = asReaderError(thrown, unexpected).after(failure);
      }
    }
    this.#lookAgainAt = this.#time.now() + this.#jittered(RETRY_MILLISECONDS);
    const held = this.#alive();
    if (!held) throw failure ?? this.#none();
    this.#postpone(held);
    if (failure) this.#settings.warn(failure);
    return held.token;
  }

  async #replace(): Promise<AccessToken | undefined> {
    const failure = await this.#read();
    let wait = this.#jittered(RETRY_MILLISECONDS);
    if (!this.#unrefused() && this.#broker) {
      try {
        const minRemainingSeconds = Math.ceil(this.#settings.minRemainingSeconds);
        this.#keep(await this.#broker.token({ minRemainingSeconds, refused: this.#refused.newest }));
        // A token that is refused already is no answer.
        if (this.#unrefused()) wait = YOUNG_MILLISECONDS;
      } catch (thrown) {
        const seconds = thrown instanceof BrokerFailure ? thrown.retryAfterSeconds : undefined;
        if (seconds !== undefined) wait = seconds * 1000;
        this.#settings.warn(asReaderError(thrown, unexpected).after(failure));
      }
    } else if (failure) this.#settings.warn(failure);
    this.#replaceAgainAt = this.#time.now() + wait;
    const replacement = this.#unrefused();
    const held = this.#alive();
    if (!replacement && held) this.#postpone(held);
    return replacement?.token;
  }

  /** @returns Why the secret holds no token that lives. */
  async #read(minRemainingSeconds = 0): Promise<TokenReaderError | undefined> {
    const read = await this.#secret.read((token) => this.#isFresh(token, minRemainingSeconds));
    if ('failure' in read) return read.failure;
    this.#keep(read.token);
    return this.#time.now() < read.token.expires_at * 1000 ? undefined : this.#expired(read.token);
  }

  /** Whether there is nothing newer to be expected: what lies in a cache will do. */
  #isFresh(token: AccessToken, minRemainingSeconds: number): boolean {
    const until = Math.min(this.#refreshAtLatest(token), (token.expires_at - minRemainingSeconds) * 1000);
    return !this.#refused.include(token) && this.#time.now() < until;
  }

  /** Keeps the token that lives longest; what D1 refused lives no longer, whatever it says. */
  #keep(token: AccessToken): void {
    const expiresAt = token.expires_at * 1000;
    const held = this.#unrefused();
    if (this.#time.now() >= expiresAt || (held && expiresAt <= held.expiresAt)) return;
    if (this.#refused.include(token) && this.#alive()) return;
    const jitter = this.#aheadMilliseconds(token) * this.#settings.random.fraction() * 0.25;
    this.#held = {
      token,
      promise: Promise.resolve(token),
      expiresAt,
      refreshAt: this.#refreshAtLatest(token) + jitter,
      carefreeUntil: 0,
    };
    this.#beCarefree(this.#held);
  }

  #postpone(held: Held): void {
    held.refreshAt = this.#time.now() + this.#jittered(RETRY_MILLISECONDS);
    this.#beCarefree(held);
  }

  #beCarefree(held: Held): void {
    held.carefreeUntil = Math.min(held.refreshAt, held.expiresAt - this.#settings.minRemainingSeconds * 1000);
  }

  #alive(): Held | undefined {
    return this.#held && this.#time.now() < this.#held.expiresAt ? this.#held : undefined;
  }

  #unrefused(): Held | undefined {
    const held = this.#alive();
    return held && !this.#refused.include(held.token) ? held : undefined;
  }

  #refreshAtLatest(token: AccessToken): number {
    return token.expires_at * 1000 - this.#aheadMilliseconds(token);
  }

  /** At most half of what the token had when it was given, or a short-lived one would be due as soon as it is there. */
  #aheadMilliseconds(token: AccessToken): number {
    return Math.min(this.#settings.refreshAheadSeconds, token.expires_in / 2) * 1000;
  }

  #jittered(milliseconds: number): number {
    return milliseconds * (0.5 + this.#settings.random.fraction());
  }

  #expired(token: AccessToken): TokenReaderError {
    const { secretId } = this.#settings;
    const now = this.#time.now() / 1000;
    return new TokenReaderError({
      code: 'TOKEN_EXPIRED',
      what: `The token in secret ${secretId} expired ${duration(now - token.expires_at)} ago; it was obtained ${duration(now - token.obtained_at)} ago.`,
      remedy: this.#broker
        ? "Check this machine's clock and the broker's alarms."
        : "Check this machine's clock and that the broker runs every minute; with brokerFunctionName the reader can ask it.",
      retryable: true,
    });
  }

  #none(): TokenReaderError {
    return new TokenReaderError({
      code: 'TOKEN_EXPIRED',
      what: 'No source had an access token that lives.',
      remedy: "Check this machine's clock and the broker's alarms.",
      retryable: true,
    });
  }
}

function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole} s`;
  return whole < 7_200 ? `${Math.round(whole / 60)} minutes` : `${Math.round(whole / 3_600)} hours`;
}

const waitTimedOut = ({ timeoutMilliseconds }: Patience) =>
  new TokenReaderError({
    code: 'TOKEN_WAIT_TIMED_OUT',
    what: `No access token came within the caller's ${timeoutMilliseconds} ms.`,
    remedy: 'Allow the call more time, or look at how long Secrets Manager and the broker take to answer.',
    retryable: true,
  });
