import type { Sign } from '../src/assertion/kms-signer.ts';
import { BrokerError } from '../src/errors.ts';
import { rejected, unreachable } from '../src/token-endpoint/endpoint-error.ts';
import type { TokenEndpoint } from '../src/token-endpoint/token-endpoint.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedTime } from './simulated-time.ts';

const TOKEN_LIFETIME_SECONDS = 900;

/** Why no token can be had: the network or D1 itself, a key that D1 does not know yet, a certificate that has expired. */
export type ExchangeFault = 'unreachable' | 'rejected' | 'certificate';

/**
 * D1: its token endpoint, as the broker sees it through `TokenEndpoint`, and an API that takes its tokens.
 *
 * An exchange that fails stands for an invocation whose attempts have all failed: the retries within an invocation are not
 * simulated, which is the harder case for the broker.
 */
export class D1 {
  readonly #time: SimulatedTime;
  readonly #random: SeededRandom;
  readonly #fault: (moment: number) => ExchangeFault | undefined;
  readonly #refusesAll: (moment: number) => boolean;
  readonly #diesAt = new Map<string, number>();

  constructor({
    time,
    random,
    fault,
    refusesAll,
  }: {
    time: SimulatedTime;
    random: SeededRandom;
    /** What keeps an exchange from succeeding at a moment. */
    fault: (moment: number) => ExchangeFault | undefined;
    /** When the API answers 401 whatever the token. */
    refusesAll: (moment: number) => boolean;
  }) {
    this.#time = time;
    this.#random = random;
    this.#fault = fault;
    this.#refusesAll = refusesAll;
  }

  /** Tokens issued so far. */
  get issued(): number {
    return this.#diesAt.size;
  }

  get isRefusingAll(): boolean {
    return this.#refusesAll(this.#time.now());
  }

  readonly sign: Sign = async (_input, signal) => {
    await this.#time.sleep(this.#random.between(5, 20), signal);
    return Buffer.alloc(64);
  };

  readonly tokenEndpoint: TokenEndpoint = {
    exchange: async (createAssertion, call, _deadline, signal) => {
      await createAssertion(signal);
      call.journal.exchangeAttempts += 1;
      const sentAt = this.#time.now();
      await this.#time.sleep(this.#random.between(100, 600), signal);
      const fault = this.#fault(sentAt);
      if (fault) throw failures[fault]();
      const token = `token-${this.#diesAt.size + 1}`;
      this.#diesAt.set(token, this.#time.now() + TOKEN_LIFETIME_SECONDS * 1000);
      return {
        response: { access_token: token, token_type: 'Bearer', expires_in: TOKEN_LIFETIME_SECONDS },
        sentAt,
      };
    },
  };

  /** @returns Milliseconds since 1970 UTC, by D1's clock, which is the right one. */
  diesAt(token: string): number {
    return this.#diesAt.get(token) ?? 0;
  }

  /** Whether an API of D1 takes the token now. */
  accepts(token: string): boolean {
    return this.#time.now() < this.diesAt(token) && !this.isRefusingAll;
  }
}

const failures: Record<ExchangeFault, () => BrokerError> = {
  unreachable: () => unreachable('did not answer'),
  rejected: () => rejected('invalid_grant', 400),
  certificate: () =>
    new BrokerError({
      code: 'CLIENT_CERTIFICATE_INVALID',
      what: 'The client certificate has expired.',
      remedy: 'Renew it.',
      retryable: false,
    }),
};
