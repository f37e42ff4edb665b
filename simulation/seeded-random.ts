import { createHash } from 'node:crypto';
import type { Random } from '../src/shared/random.ts';

/** Chance that repeats itself. Each stream has a name, so that what one draws does not change what another gets. */
export class SeededRandom implements Random {
  readonly #name: string;
  #state: number;

  constructor(seed: number, name: string) {
    this.#name = `${seed}/${name}`;
    this.#state = createHash('sha256').update(this.#name).digest().readInt32BE();
  }

  /** mulberry32: 32 bits of state are plenty for the few hundred thousand draws of a run. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Unlike those of the system, not unique beyond one run. */
  uuid(): string {
    const hex = Array.from({ length: 4 }, () =>
      Math.floor(this.fraction() * 2 ** 32)
        .toString(16)
        .padStart(8, '0'),
    ).join('');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  /** True in `share` of the cases, 0-1. Draws in any case, so that runs with different shares stay comparable. */
  happens(share: number): boolean {
    return this.fraction() < share;
  }

  /** A whole number, each from `least` to `most` as likely as any other. */
  between(least: number, most: number): number {
    return Math.round(least + this.fraction() * (most - least));
  }

  /** A whole number. */
  exponential(mean: number): number {
    return Math.round(-mean * Math.log(1 - this.fraction()));
  }
}
