import { openBenchBank } from './bank.ts';
import { type ColdStart, coldStart } from './cold-start/start.ts';
import { buildVariants, type Variant } from './cold-start/variants.ts';
import { median } from './statistics.ts';

const RUNS = 21;

type Variants = Awaited<ReturnType<typeof buildVariants>>;
type Key = keyof Variants;

export interface Medians {
  readonly name: string;
  readonly total_milliseconds: number;
  readonly import_milliseconds: number;
  readonly event_milliseconds: number;
  readonly cpu_milliseconds: number;
}

export interface ColdStartOf {
  readonly ratio_to_sdk_floor: number;
  readonly ratio_to_same_calls: number;
  readonly ratio_to_usual: number;
  /** The same, in processor time: waiting for the sandbox, and for a processor, is not in it. */
  readonly cpu_ratio_to_sdk_floor: number;
  readonly cpu_ratio_to_same_calls: number;
  readonly cpu_ratio_to_usual: number;
  readonly variants: Readonly<Record<Key, Medians>>;
}

export interface ColdStartBench {
  readonly runs: number;
  /** A direct call that finds a live token in the secret. */
  readonly cached: ColdStartOf;
  /** A direct call that finds an expired one. */
  readonly refresh: ColdStartOf;
}

/** Whole processes, one after the other, every variant in every round. */
export async function benchColdStart(runs = RUNS): Promise<ColdStartBench> {
  const bank = await openBenchBank();
  try {
    const variants = await buildVariants();
    const keys = Object.keys(variants) as Key[];
    const start = async ({ file, environment }: Variant, token: 'live' | 'expired') => {
      await bank.store(token);
      return coldStart(file, {}, { ...bank.environment, ...(await environment?.()) });
    };
    const samples = { live: recordOf(keys, () => [] as ColdStart[]), expired: recordOf(keys, () => [] as ColdStart[]) };
    // The first round fills the disk's cache, and the compile cache; it is not counted.
    for (let run = -1; run < runs; run += 1) {
      for (const token of ['live', 'expired'] as const) {
        for (const key of keys) {
          const sample = await start(variants[key], token);
          if (run >= 0) samples[token][key].push(sample);
        }
      }
    }
    const compared = (token: 'live' | 'expired') =>
      compare(recordOf(keys, (key) => medians(variants[key].name, samples[token][key])));
    return { runs, cached: compared('live'), refresh: compared('expired') };
  } finally {
    await bank.close();
  }
}

function medians(name: string, samples: readonly ColdStart[]): Medians {
  return {
    name,
    total_milliseconds: median(samples.map((sample) => sample.totalMilliseconds)),
    import_milliseconds: median(samples.map((sample) => sample.importMilliseconds)),
    event_milliseconds: median(samples.map((sample) => sample.eventMilliseconds)),
    cpu_milliseconds: median(samples.map((sample) => sample.cpuMilliseconds)),
  };
}

function compare(variants: Record<Key, Medians>): ColdStartOf {
  const { broker, sdk_floor: floor, same_calls: same, usual } = variants;
  return {
    ratio_to_sdk_floor: broker.total_milliseconds / floor.total_milliseconds,
    ratio_to_same_calls: broker.total_milliseconds / same.total_milliseconds,
    ratio_to_usual: broker.total_milliseconds / usual.total_milliseconds,
    cpu_ratio_to_sdk_floor: broker.cpu_milliseconds / floor.cpu_milliseconds,
    cpu_ratio_to_same_calls: broker.cpu_milliseconds / same.cpu_milliseconds,
    cpu_ratio_to_usual: broker.cpu_milliseconds / usual.cpu_milliseconds,
    variants,
  };
}

const recordOf = <K extends string, V>(keys: readonly K[], value: (key: K) => V) =>
  Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<K, V>;
