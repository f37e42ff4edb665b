import { expect, it } from 'vitest';
import { comparePolicies } from '../../simulation/experiments.ts';
import { plotSharesWithout } from '../../simulation/plots.ts';
import { scenarios } from '../../simulation/scenarios.ts';
import { policyTables } from '../../simulation/tables.ts';
import { useWorlds } from './worlds.ts';

const run = useWorlds();
const everything = scenarios.filter(({ name }) => name === 'everything');
const compare = (seed: number) => comparePolicies(run, { seed, days: 1 }, everything);

it('the same seed gives the same tables and the same plots, byte for byte; another seed does not', async () => {
  const [once, again, other] = [await compare(1), await compare(1), await compare(2)];
  expect(policyTables(again)).toBe(policyTables(once));
  expect(policyTables(other)).not.toBe(policyTables(once));
  expect(await plotSharesWithout(again)).toBe(await plotSharesWithout(once));
});
