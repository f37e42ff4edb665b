import { SharedWork } from '../shared/shared-work.ts';
import type { AccessToken } from './access-token.ts';
import type { AwsClient } from './aws-client.ts';
import { BrokerFailure } from './broker-failure.ts';
import type { BrokerFunction, BrokerWish } from './broker-function.ts';
import type { Settings } from './options.ts';
import { asReaderError, type TokenReaderError } from './reader-error.ts';
import { readThroughExtension } from './secrets-extension.ts';
import type { ServerClock } from './server-clock.ts';
import { readSecretText, secretFailure, secretTooLate, tokenFromSecret } from './token-secret.ts';

/** What a read of the secret brought: a token, dead or alive, or why there is none. */
export type Read = { readonly token: AccessToken } | { readonly failure: TokenReaderError };

/**
 * The token secret as a source of tokens: through the extension when that is wanted and has a token that will do, else
 * straight from Secrets Manager. One read at a time, whoever waits for it.
 */
export class TokenSource {
  readonly #settings: Settings;
  readonly #client: AwsClient;
  readonly #time: ServerClock;
  readonly #reads: SharedWork<Read>;

  constructor(settings: Settings, client: AwsClient, time: ServerClock) {
    const { clock, secretId, readTimeoutMilliseconds } = settings;
    this.#settings = settings;
    this.#client = client;
    this.#time = time;
    this.#reads = new SharedWork(
      clock,
      () => secretTooLate(secretId, readTimeoutMilliseconds),
      readTimeoutMilliseconds,
    );
  }

  /**
   * Reads the secret; it never rejects.
   *
   * @param isFresh Whether a token that may be minutes behind the secret will do.
   */
  read(isFresh: (token: AccessToken) => boolean): Promise<Read> {
    const { secretId } = this.#settings;
    return this.#reads
      .join(({ signal }) => this.#readOnce(isFresh, signal))
      .catch((thrown: unknown) => ({ failure: secretFailure(secretId, thrown) }));
  }

  async #readOnce(isFresh: (token: AccessToken) => boolean, signal: AbortSignal): Promise<Read> {
    const remembered = await this.#throughExtension(signal);
    if (remembered && isFresh(remembered)) return { token: remembered };
    const { secretId, clock } = this.#settings;
    const text = await readSecretText({ client: this.#client, secretId, clock, time: this.#time }, signal);
    return { token: this.#tokenIn(text) };
  }

  #tokenIn(text: string | undefined): AccessToken {
    const token = tokenFromSecret(this.#settings.secretId, text);
    this.#time.notBefore((token.expires_at - token.expires_in) * 1000);
    return token;
  }

  /** Whatever is wrong with the extension or its value, the secret itself can still be read. */
  async #throughExtension(signal: AbortSignal): Promise<AccessToken | undefined> {
    const { secretId, secretsExtension, warn } = this.#settings;
    const extension = secretsExtension();
    if (!extension) return undefined;
    try {
      const text = await readThroughExtension(extension, secretId, signal);
      return text === undefined ? undefined : this.#tokenIn(text);
    } catch (thrown) {
      warn(
        asReaderError(thrown, {
          code: 'SECRETS_EXTENSION_FAILED',
          doing: 'Reading through the Parameters and Secrets extension',
          remedy: 'The secret was read directly instead.',
          retryable: true,
        }),
      );
      return undefined;
    }
  }
}

/** Asks the broker's function, one question at a time; whoever can live with its answer waits for it. */
export class BrokerSource {
  readonly #ask: BrokerFunction;
  readonly #asked: SharedWork<AccessToken>;
  #wish: BrokerWish = { minRemainingSeconds: 0 };

  constructor(ask: BrokerFunction, asked: SharedWork<AccessToken>) {
    this.#ask = ask;
    this.#asked = asked;
  }

  /** Whether an answer is under way that will do. */
  isAsked(minRemainingSeconds: number): boolean {
    return this.#asked.underWay && this.#answers({ minRemainingSeconds });
  }

  /** @throws TokenReaderError as the broker function does. */
  async token(wish: BrokerWish): Promise<AccessToken> {
    while (this.#asked.underWay && !this.#answers(wish)) await this.#asked.settled();
    const joins = this.#asked.underWay;
    if (!joins) this.#wish = wish;
    try {
      return await this.#asked.join(({ signal }) => this.#ask(wish, signal));
    } catch (error) {
      // No replacement of a refused token: whoever takes any token has not been answered by that.
      const unasked = joins && !wish.refused && error instanceof BrokerFailure;
      if (unasked && error.brokerCode === 'REPLACEMENT_NOT_READY') return this.token(wish);
      throw error;
    }
  }

  #answers({ minRemainingSeconds, refused }: BrokerWish): boolean {
    const asked = this.#wish;
    if (minRemainingSeconds > asked.minRemainingSeconds) return false;
    return !refused || refused.access_token === asked.refused?.access_token;
  }
}
