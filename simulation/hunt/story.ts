import type { Hunted } from './hunt-worker.ts';
import type { Line } from './run.ts';

const MOST_LINES = 40;

/** A broken promise as a person reads it: what, the shortest story found, and how to see it again. */
export function tellStory({ seed, outcome, shrunk }: Hunted): string {
  const { violation } = outcome;
  const lines = [
    `BROKEN: ${violation?.promise} (seed ${seed}, after ${outcome.hours.toFixed(1)} h)`,
    `  ${violation?.what}`,
  ];
  if (shrunk) {
    const { happenings, ...options } = shrunk.world;
    lines.push(`The shortest story: ${JSON.stringify(options)}`);
    for (const one of happenings) lines.push(`  ${JSON.stringify(one)}`);
    lines.push('and what came of it:', ...shortened(shrunk.outcome.story));
  }
  lines.push(`Replay: npm run hunt -- --seed ${seed}`);
  return lines.join('\n');
}

function shortened(story: readonly Line[]): string[] {
  const telling = story.filter(({ text }) => !/^tick in container \d+: fresh$/.test(text));
  const lines = telling.slice(-MOST_LINES).map(({ at, text }) => `  ${(at / 1000).toFixed(3).padStart(10)} s  ${text}`);
  return telling.length > MOST_LINES ? [`  (${telling.length - MOST_LINES} lines before)`, ...lines] : lines;
}
