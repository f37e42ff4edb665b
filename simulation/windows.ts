import type { SeededRandom } from './seeded-random.ts';

/** A stretch of time; both ends are milliseconds since 1970 UTC. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** How often something is broken, and for how long. */
export interface Pattern {
  /**
   * `fixed`: once in every stretch of `everySeconds`, at a random moment of it, for exactly `lastsSeconds`. `exponential`:
   * these are the means, of the time between two beginnings and of the length (a Poisson process).
   */
  readonly distribution: 'fixed' | 'exponential';
  readonly everySeconds: number;
  readonly lastsSeconds: number;
}

/** The windows of a pattern, by their beginning; those of `exponential` may overlap. */
export function windowsOf(pattern: Pattern, random: SeededRandom, from: number, to: number): Window[] {
  const every = pattern.everySeconds * 1000;
  const lasts = pattern.lastsSeconds * 1000;
  const windows: Window[] = [];
  if (pattern.distribution === 'fixed') {
    for (let period = from; period < to; period += every) {
      const begin = Math.round(period + random.fraction() * Math.max(0, every - lasts));
      windows.push({ from: begin, to: begin + lasts });
    }
    return windows;
  }
  for (let begin = from + random.exponential(every); begin < to; begin += random.exponential(every)) {
    windows.push({ from: Math.round(begin), to: Math.round(begin + random.exponential(lasts)) });
  }
  return windows;
}

/** @returns Whether a moment, in milliseconds since 1970 UTC, lies in any of the windows. */
export function isWithin(windows: readonly Window[]): (moment: number) => boolean {
  const merged: Window[] = [];
  for (const window of windows.toSorted((one, other) => one.from - other.from)) {
    const last = merged.at(-1);
    if (last && window.from <= last.to)
      merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, window.to) };
    else merged.push(window);
  }
  return (moment) => {
    let [low, high] = [0, merged.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((merged[middle]?.to ?? 0) <= moment) low = middle + 1;
      else high = middle;
    }
    return (merged[low]?.from ?? Number.POSITIVE_INFINITY) <= moment;
  };
}
