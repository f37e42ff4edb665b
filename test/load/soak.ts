import { parseArgs } from 'node:util';
import { parseFaultRule } from '../../sandbox/faults/parse-rule.ts';
import type { FaultRule } from '../../sandbox/faults/rule.ts';
import { seededRandom } from '../../sandbox/faults/seeded-random.ts';
import { mostVersions } from './bounds.ts';
import type { Figures } from './measurements.ts';
import { type Load, runLoad } from './run-load.ts';

const say = (text: string) => process.stdout.write(`${text}\n`);

// npm run soak -- --minutes 60 --seed 1
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    containers: { type: 'string', default: '6' },
    rate: { type: 'string', default: '5' },
    faults: { type: 'string', default: 'random' },
  },
});
const number = (name: 'minutes' | 'seed' | 'containers' | 'rate', minimum: number): number => {
  const value = Number(values[name]);
  if (!(value >= minimum && value <= 1_000_000)) throw new Error(`--${name} must be a number from ${minimum}`);
  return value;
};
if (!['random', 'none'].includes(values.faults)) throw new Error('--faults must be random or none');

/** One call in fifty fails in each of these ways; which one, the seed says. */
const SHARE = 0.02;
const randomFaults = (seed: number): FaultRule[] => {
  const random = seededRandom(seed);
  const calls = {
    'kms.Sign': ['delay ms=300', 'throttle', 'refuse', 'unavailable', 'reset', 'garbage', 'lost', 'hang'],
    'secretsmanager.*': ['delay ms=300', 'throttle', 'refuse', 'unavailable', 'reset', 'garbage', 'lost', 'hang'],
    'd1.connect': ['delay ms=300', 'refuse', 'reset', 'garbage', 'hang'],
    'd1.oauth2/token': [
      ...['delay ms=300', 'throttle retry_after=1', 'refuse', 'unavailable', 'reset', 'garbage', 'lost', 'hang'],
    ],
  };
  return Object.entries(calls).flatMap(([call, faults]) =>
    faults.map((fault) => {
      const [kind, ...settings] = fault.split(' ');
      const own = Math.floor(random() * 4_294_967_295);
      return parseFaultRule([call, kind, ...settings, `probability=${SHARE}`, `seed=${own}`].join(' '));
    }),
  );
};

const seed = number('seed', 0);
const load: Load = {
  containers: number('containers', 1),
  callsPerSecond: number('rate', 0.001),
  seconds: number('minutes', 0.01) * 60,
  tokenLifetimeSeconds: 30,
  tickEverySeconds: 1,
  forceEverySeconds: 3,
  rotateEverySeconds: 30,
  rules: values.faults === 'random' ? randomFaults(seed) : [],
};
const MINUTE_SECONDS = 60;
let told = 0;
const tell = (figures: Figures) => {
  if (figures.seconds < told + MINUTE_SECONDS) return;
  told = figures.seconds;
  const { seconds, calls, errors, expired, versionsWritten, memoryLateMegabytes } = figures;
  const failed = Object.values(errors).reduce((sum, count) => sum + count, 0);
  const minute = Math.round(seconds / MINUTE_SECONDS);
  say(
    `minute ${minute}: ${calls} calls, ${failed} failed, ${expired} expired, ${versionsWritten} versions, ${memoryLateMegabytes} MB`,
  );
};

say(`${load.seconds / 60} minutes, ${load.containers} containers, seed ${seed}, faults: ${values.faults}`);
const figures = await runLoad({ ...load, onProgress: tell });
const bound = mostVersions(load, figures.seconds);
say(JSON.stringify({ ...figures, versionsBound: bound }, undefined, 2));
const failed = Object.values(figures.errors).reduce((sum, count) => sum + count, 0);
const broken = [
  figures.expired > 0 && 'an expired token was handed out',
  figures.leaks > 0 && 'something secret was logged',
  figures.versionsWritten > bound && 'more versions were written than may be',
  figures.memoryLateMegabytes > figures.memoryEarlyMegabytes * 1.25 && 'memory grew by more than a quarter',
  values.faults === 'none' && failed > 0 && 'a call failed though nothing was wrong',
  Object.keys(figures.errors).some((code) => code.startsWith('died')) && 'a container died',
].filter(Boolean);
if (broken.length > 0) {
  say(`Broken: ${broken.join('; ')}.`);
  process.exitCode = 1;
}
