import type { Clock } from '../../src/shared/clock.ts';
import { config, createContainerApp, type Invocation } from '../broker-function.ts';
import type { D1 } from '../d1.ts';
import type { SimulatedClient } from '../secrets-manager-client.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { SimulatedTime } from '../simulated-time.ts';
import type { Step } from './description.ts';

const never = new Promise<never>(() => {});

/** How an invocation ended: with an answer or an error of the broker's, or with the container's death. */
export type Ended = Invocation | 'died' | 'timed out';

/** An answer of D1's, as a container got it. */
export interface Came {
  /** Milliseconds since 1970 UTC: no later than an exchange may take, also where the container was frozen meanwhile. */
  readonly at: number;
  /** The token's `expires_in`. */
  readonly seconds: number;
}

/**
 * One container of the function: a memory and a clock of its own. All that it waits for goes through `#pass`, which is where
 * it can be frozen (as Lambda does between invocations) and where it can die.
 */
export class Container {
  readonly index: number;
  /** Set when it was made, from 1: an index is used again after a death. */
  readonly number: number;
  readonly clock: Clock;
  active = 0;
  dead = false;
  /** What it does now is what these events asked for. */
  readonly #time: SimulatedTime;
  readonly #timeoutMilliseconds: number;
  readonly #handle: (event: unknown, context: { getRemainingTimeInMillis: () => number }) => Promise<Invocation>;
  readonly #death = Promise.withResolvers<'died'>();
  #frozenUntil = 0;
  #thawing: (() => void)[] = [];
  #armed: { step: Step; done: boolean } | undefined;

  constructor({
    index,
    number,
    time,
    random,
    timeoutSeconds,
    aheadMilliseconds,
    createClient,
    d1,
    onExchange,
    onObtained,
  }: {
    index: number;
    number: number;
    time: SimulatedTime;
    random: SeededRandom;
    timeoutSeconds: number;
    /** How far its clock is ahead now. */
    aheadMilliseconds: () => number;
    createClient: (container: Container) => SimulatedClient;
    d1: D1;
    onExchange: (container: Container) => void;
    onObtained: (container: Container, token: string, came: Came) => void;
  }) {
    this.index = index;
    this.number = number;
    this.#time = time;
    this.#timeoutMilliseconds = timeoutSeconds * 1000;
    this.clock = {
      now: () => Math.round(time.now() + aheadMilliseconds()),
      sleep: (milliseconds, signal) => this.#pass('sleep', () => time.sleep(milliseconds, signal)),
    };
    const client = createClient(this);
    const send = (command: object, options?: object) => {
      const step = command.constructor.name.replace(/Command$/, '') as Step;
      return this.#pass(step, () => client.send(command as never, options as never));
    };
    const endpoint = d1.tokenEndpoint(this.clock, config);
    this.#handle = createContainerApp({
      client: { send } as SimulatedClient,
      sign: (input, signal) => this.#pass('sign', () => d1.sign(input, signal)),
      tokenEndpoint: {
        exchange: async (...arguments_) => {
          const obtained = await this.#pass('exchange', () => {
            onExchange(this);
            return endpoint.exchange(...arguments_);
          });
          if (obtained) {
            // Seconds are whole, so that the answer may have come until the end of the last one that it can be dated by.
            const latest = obtained.obtained_at * 1000 + config.exchangeTimeoutMilliseconds + 999 - aheadMilliseconds();
            const at = Math.min(time.now(), latest);
            onObtained(this, obtained.access_token, { at, seconds: obtained.expires_in });
          }
          return obtained;
        },
      },
      clock: this.clock,
      random,
    });
  }

  async invoke(event: unknown): Promise<Ended> {
    const timedOut = new AbortController();
    const startedAt = this.#time.now();
    this.active += 1;
    const thawing = this.#thawing;
    this.#thawing = [];
    for (const thaw of thawing) thaw();
    const timeout = this.#time.sleep(this.#timeoutMilliseconds, timedOut.signal).then((): 'timed out' => 'timed out');
    const remaining = () => startedAt + this.#timeoutMilliseconds - this.#time.now();
    try {
      const ended = await Promise.race([
        this.#handle(event, { getRemainingTimeInMillis: remaining }),
        this.#death.promise,
        timeout,
      ]);
      if (ended === 'timed out') this.kill();
      return ended;
    } finally {
      this.active -= 1;
      timedOut.abort();
    }
  }

  freeze(milliseconds: number): void {
    this.#frozenUntil = Math.max(this.#frozenUntil, this.#time.now() + milliseconds);
  }

  get isFrozen(): boolean {
    return this.#frozenUntil > this.#time.now();
  }

  /** Dies at once, or at the next step of a kind. */
  die(step: Step, done: boolean): void {
    if (step === 'now') this.kill();
    else this.#armed = { step, done };
  }

  kill(): void {
    this.dead = true;
    this.#death.resolve('died');
  }

  async #pass<T>(step: Step, work: () => Promise<T>): Promise<T> {
    if (this.dead) return never;
    if (this.#armed?.step === step && !this.#armed.done) {
      this.kill();
      return never;
    }
    let failed = false;
    const outcome: unknown = await work().catch((error: unknown) => {
      failed = true;
      return error;
    });
    for (;;) {
      if (this.#armed?.step === step && this.#armed.done && step !== 'sleep') this.kill();
      if (this.dead) return never;
      if (this.isFrozen) await this.#time.sleep(this.#frozenUntil - this.#time.now());
      else if (this.active === 0) await new Promise<void>((resolve) => this.#thawing.push(resolve));
      else break;
    }
    if (failed) throw outcome;
    return outcome as T;
  }
}
