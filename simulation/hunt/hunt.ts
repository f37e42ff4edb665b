import { parseArgs } from 'node:util';
import type { Hunted } from './hunt-worker.ts';
import { Hunters, seedsFrom } from './hunters.ts';
import keptSeeds from './kept-seeds.json' with { type: 'json' };
import { promiseRules } from './promises.ts';
import { tellStory } from './story.ts';

// `npm run hunt`: the kept seeds, and fresh ones until `--hours` simulated hours are over (2,000 unless told). `--seed N` runs
// one; `--from N` begins the fresh ones there; `--keep-going` tells of all that fail, and not of the first few alone; Ctrl-C ends
// it with what was held by then. `--teeth` puts known defects into a copy of the sources, and hunts each; `--only TEXT` those
// whose sentence has the text.

const FIRST_FRESH_SEED = 1_000_000;
const MOST_FAILURES = 10;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string' },
    hours: { type: 'string' },
    teeth: { type: 'boolean' },
    only: { type: 'string' },
    'keep-going': { type: 'boolean' },
  },
});

if (values.teeth) {
  const { showTeeth } = await import('./teeth.ts');
  process.exitCode = (await showTeeth(values.only)) ? 0 : 1;
} else process.exitCode = (await hunt()) ? 0 : 1;

async function hunt(): Promise<boolean> {
  const began = Date.now();
  let isStopped = false;
  process.once('SIGINT', () => {
    isStopped = true;
  });
  const hunters = new Hunters();
  const found = (hunted: Hunted) => {
    if (hunted.shrunk) console.log(`${tellStory(hunted)}\n`);
    else console.log(`BROKEN: ${hunted.outcome.violation?.promise} (seed ${hunted.seed})\n`);
  };
  const hours = number(values.hours, 2_000);
  const seeds = values.seed === undefined ? freshSeeds() : seedsFrom(number(values.seed, 0), number(values.seed, 0));
  const tally = await hunters.hunt(seeds, {
    shrinks: true,
    goesOn: ({ hours: run, failed }) =>
      !isStopped && run < hours && (values['keep-going'] || failed.length < MOST_FAILURES),
    found,
  });
  await hunters.close();
  const minutes = (Date.now() - began) / 60_000;
  console.log(
    `${tally.worlds} worlds, ${Math.round(tally.hours)} simulated hours, ${Math.round(tally.hours / minutes)} a minute`,
  );
  for (const { name } of promiseRules) {
    const broken = tally.failed.filter(({ outcome }) => outcome.violation?.promise === name).length;
    const held = Math.round(tally.held.get(name) ?? 0);
    console.log(
      `  ${name.padEnd(30)} ${String(held).padStart(9)} h${broken > 0 ? `   broken in ${broken} worlds` : ''}`,
    );
  }
  console.log(`${tally.worlds - tally.failed.length} passed, ${tally.failed.length} failed`);
  return tally.failed.length === 0;
}

function* freshSeeds(): Generator<number> {
  if (values.from === undefined) for (const { seed } of keptSeeds) yield seed;
  yield* seedsFrom(number(values.from, FIRST_FRESH_SEED));
}

function number(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new RangeError('--seed, --from and --hours take a whole number.');
}
