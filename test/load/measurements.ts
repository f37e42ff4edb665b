import type { Call } from '../../sandbox/calls.ts';
import { CANARY } from '../../sandbox/faults/cut-off.ts';
import { InvocationFailed } from '../../sandbox/lambda/container.ts';
import type { TokenAnswer } from '../../src/events.ts';

export interface Figures {
  readonly seconds: number;
  /** Direct calls that were answered or failed. */
  readonly calls: number;
  readonly callsPerSecond: number;
  /** Of direct calls: error code -> count. Anything that is no error of the broker's is under `died`. */
  readonly errors: Readonly<Record<string, number>>;
  /** Of ticks, forced calls and rotations. */
  readonly otherErrors: Readonly<Record<string, number>>;
  readonly ticks: number;
  readonly forced: number;
  readonly rotations: number;
  /** Tokens that were dead, by the caller's clock, when the caller got them. */
  readonly expired: number;
  readonly tokens: number;
  readonly exchanges: number;
  readonly versionsWritten: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  readonly longestMilliseconds: number;
  /** Resident memory of all containers together, first and last quarter of the run's samples. */
  readonly memoryEarlyMegabytes: number;
  readonly memoryLateMegabytes: number;
  /** Log lines that held a token, an assertion or a made-up secret. */
  readonly leaks: number;
  readonly lines: number;
  readonly faults: number;
}

/** Bins of 1 ms, so that an hour of latencies takes no more room than a minute's. */
const LONGEST_BIN = 60_000;

export class Measurements {
  #began = Date.now();
  #calls = 0;
  #ticks = 0;
  #forced = 0;
  #rotations = 0;
  #expired = 0;
  #exchanges = 0;
  #written = 0;
  #leaks = 0;
  #lines = 0;
  readonly #errors = new Map<string, number>();
  readonly #otherErrors = new Map<string, number>();
  readonly #latencies = new Map<number, number>();
  readonly #memory: number[] = [];
  /** The end of each token seen, so that one token counts once. */
  readonly #tokens = new Set<string>();

  get calls(): number {
    return this.#calls;
  }

  begin(): void {
    this.#began = Date.now();
  }

  async call(work: () => Promise<unknown>): Promise<void> {
    const began = performance.now();
    await this.#attempt(work, this.#errors, (answer) => this.#judge(answer as TokenAnswer));
    const bin = Math.min(LONGEST_BIN, Math.floor(performance.now() - began));
    this.#latencies.set(bin, (this.#latencies.get(bin) ?? 0) + 1);
    this.#calls += 1;
  }

  async tick(work: () => Promise<unknown>): Promise<void> {
    this.#ticks += 1;
    await this.#attempt(work, this.#otherErrors, () => {});
  }

  async forced(work: () => Promise<unknown>): Promise<void> {
    this.#forced += 1;
    await this.#attempt(work, this.#otherErrors, (answer) => this.#judge(answer as TokenAnswer));
  }

  async rotation(work: () => Promise<string>): Promise<void> {
    this.#rotations += 1;
    await this.#attempt(work, this.#otherErrors, (result) => {
      if (result !== 'succeeded') add(this.#otherErrors, `rotation ${result}`);
    });
  }

  read(lines: readonly string[]): void {
    this.#lines += lines.length;
    this.#leaks += lines.filter((line) => line.includes(CANARY) || /eyJ[\w-]{16}/.test(line)).length;
  }

  count(calls: readonly Call[]): void {
    for (const { operation, outcome } of calls) {
      if (operation === 'oauth2/token' && outcome === 'ok') this.#exchanges += 1;
      if (operation === 'PutSecretValue' && outcome === 'ok') this.#written += 1;
    }
  }

  memory(megabytes: readonly number[]): void {
    this.#memory.push(megabytes.reduce((sum, each) => sum + each, 0));
  }

  figures(): Figures {
    const seconds = (Date.now() - this.#began) / 1000;
    // The first tenth is warming up: code is compiled, heaps find their size.
    const samples = this.#memory.slice(Math.floor(this.#memory.length / 10));
    const quarter = Math.max(1, Math.floor(samples.length / 4));
    return {
      seconds: round(seconds),
      calls: this.#calls,
      callsPerSecond: round(this.#calls / seconds),
      errors: Object.fromEntries(this.#errors),
      otherErrors: Object.fromEntries(this.#otherErrors),
      ticks: this.#ticks,
      forced: this.#forced,
      rotations: this.#rotations,
      expired: this.#expired,
      tokens: this.#tokens.size,
      exchanges: this.#exchanges,
      versionsWritten: this.#written,
      p50Milliseconds: this.#quantile(0.5),
      p99Milliseconds: this.#quantile(0.99),
      longestMilliseconds: this.#quantile(1),
      memoryEarlyMegabytes: round(mean(samples.slice(0, quarter))),
      memoryLateMegabytes: round(mean(samples.slice(-quarter))),
      leaks: this.#leaks,
      lines: this.#lines,
      faults: 0,
    };
  }

  #judge({ expires_at, access_token }: TokenAnswer): void {
    if (expires_at <= Date.now() / 1000) this.#expired += 1;
    this.#tokens.add(access_token.slice(-12));
  }

  async #attempt<T>(work: () => Promise<T>, errors: Map<string, number>, good: (answer: T) => void): Promise<void> {
    try {
      good(await work());
    } catch (error) {
      add(errors, error instanceof InvocationFailed ? error.name : `died: ${String(error)}`);
    }
  }

  #quantile(share: number): number {
    const bins = [...this.#latencies].sort(([one], [other]) => one - other);
    let left = this.#calls * share;
    for (const [bin, count] of bins) {
      left -= count;
      if (left <= 0) return bin;
    }
    return 0;
  }
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

const mean = (values: readonly number[]) =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
const round = (value: number) => Math.round(value * 10) / 10;
