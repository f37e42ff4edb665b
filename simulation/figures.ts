import type { ConsumerFigures, Figures } from './world.ts';

const DAY_MILLISECONDS = 86_400_000;

/** The shortest time between two writes, in seconds; infinite when there are fewer. */
export const shortestBetweenWrites = (figures: Pick<Figures, 'writes'>): number =>
  betweenWrites(figures).reduce((least, gap) => Math.min(least, gap), Number.POSITIVE_INFINITY) / 1000;

/** The longest time between two writes, in seconds; 0 when there are fewer. */
export const longestBetweenWrites = (figures: Pick<Figures, 'writes'>): number =>
  betweenWrites(figures).reduce((most, gap) => Math.max(most, gap), 0) / 1000;

const betweenWrites = ({ writes }: Pick<Figures, 'writes'>): number[] =>
  writes.slice(1).map((write, index) => write - (writes[index] ?? 0));

/** The most writes within any stretch of `seconds`. */
export function mostWritesWithin({ writes }: Pick<Figures, 'writes'>, seconds: number): number {
  let from = 0;
  let most = 0;
  for (const [index, write] of writes.entries()) {
    while ((writes[from] ?? 0) <= write - seconds * 1000) from += 1;
    most = Math.max(most, index - from + 1);
  }
  return most;
}

export const mostWritesInADay = (figures: Pick<Figures, 'writes'>): number =>
  mostWritesWithin(figures, DAY_MILLISECONDS / 1000);

/** Share of the time in which a consumer could not get a live token, 0-1. */
export const shareWithout = (figures: ConsumerFigures | undefined): number =>
  figures ? figures.secondsWithout / figures.observedSeconds : Number.NaN;
