import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  comparePolicies,
  compareSeeds,
  SEEDS,
  sweepOutages,
  watchLongOutages,
  watchStrictQuota,
} from './experiments.ts';
import { simulateDayOfMany } from './fleet/simulate-fleet.ts';
import { loseRegion, lostRegionSection } from './lost-region.ts';
import { plotOutages, plotSharesWithout, plotStrictQuota, plotWrites } from './plots.ts';
import { longOutageTable, outageTable, policyTables, seedsTable } from './tables.ts';
import { TwoRegionsWorkers } from './two-regions-workers.ts';
import { WorldWorkers } from './world-workers.ts';

// `npm run simulate`: the tables of docs/simulation.md on standard output and in that file, and its plots. With
// `-- --seed 2 --days 30`, or either, the tables are only printed. `-- --issuers 10000` prints a day of many issuers instead,
// and `--hours 6` makes it a shorter one.

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    days: { type: 'string' },
    issuers: { type: 'string' },
    hours: { type: 'string' },
  },
});
if (values.issuers !== undefined) {
  const { issuers, hours = '24', seed = '1' } = values;
  console.log(await simulateDayOfMany(positive(issuers), positive(hours), positive(seed)));
  process.exit();
}
const isForDocs = values.seed === undefined && values.days === undefined;
const setting = { seed: positive(values.seed ?? '1'), days: positive(values.days ?? '14') };

const workers = new WorldWorkers();
const [compared, seeds, outages, longOutages, strictQuota] = await Promise.all([
  comparePolicies(workers.run, setting),
  compareSeeds(workers.run, setting),
  sweepOutages(workers.run, setting),
  watchLongOutages(workers.run, setting),
  watchStrictQuota(workers.run, setting),
]);
await workers.close();
const regionWorkers = new TwoRegionsWorkers();
const lostRegion = await loseRegion(regionWorkers.run, setting);
await regionWorkers.close();
const tables = [
  `Seed ${setting.seed}, ${setting.days} simulated days for each policy and scenario.`,
  policyTables(compared),
  `### ${SEEDS} seeds`,
  `Share of the time without a live token in *4-minute outages, 5 % failures*, for the seeds ${setting.seed}-${setting.seed + SEEDS - 1}.`,
  seedsTable(seeds),
  '### outages by length',
  'Mean seconds without a live token for each outage, and no other fault.',
  outageTable(outages),
  '### long outages, one by one',
  "The outages of *long outages, 5 % failures* that this project's consumers noticed, in seconds: how long each lasted, what was left of the stored token when it began, and how long each consumer had none. World 1 is that of the consumers that only read, world 2 that of the reader with broker, as in the tables above; in world 3 two of them live side by side.",
  longOutageTable(longOutages),
  ...lostRegionSection(lostRegion),
].join('\n\n');
console.log(tables);

if (isForDocs) {
  const docs = join(import.meta.dirname, '..', 'docs');
  const plot = async (name: string, svg: Promise<string>) => writeFileSync(join(docs, 'simulation', name), await svg);
  await plot('without-token.svg', plotSharesWithout(compared));
  await plot('outages.svg', plotOutages(outages));
  await plot('strict-quota.svg', plotStrictQuota(strictQuota));
  const writes = compared.find(({ scenario }) => scenario.name === '4-minute outages, 5 % failures');
  if (writes) await plot('writes.svg', plotWrites(writes));
  putBetweenMarkers(join(docs, 'simulation.md'), tables);
}

function positive(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new RangeError('--seed, --days, --issuers and --hours take a whole number from 1.');
}

/** So that the document's tables are those of the last run, and of no other. */
function putBetweenMarkers(path: string, text: string): void {
  const [begin, end] = ['<!-- begin: npm run simulate -->', '<!-- end: npm run simulate -->'];
  const document = readFileSync(path, 'utf8');
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new RangeError(`${path} has lost its markers.`);
  writeFileSync(path, `${document.slice(0, from + begin.length)}\n\n${text}\n\n${document.slice(to)}`);
}
