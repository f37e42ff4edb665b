import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { costTable, table, totals } from '../../infra/cost.ts';

test('docs/cost.md holds what node infra/cost.ts computes', async () => {
  const page = await readFile(new URL('../../docs/cost.md', import.meta.url), 'utf8');
  expect(table.exec(page)?.[0]).toBe(costTable());
});

test('the sums are what docs/cost.md says of its goal', async () => {
  const page = await readFile(new URL('../../docs/cost.md', import.meta.url), 'utf8');
  const [own, shared, rotatedTwice] = [4.1, 3.1, 6.1];
  const missed = [totals().own - own, totals().shared - shared, totals().rotatedTwice - rotatedTwice].map((usd) =>
    usd.toFixed(2),
  );
  expect(new Set(missed).size).toBe(1);
  expect(page.replaceAll('\n', ' ')).toContain(`It is missed by ${missed[0]}.`);
  expect([totals(3).own, totals(3).shared, totals(3).rotatedTwice].map((usd) => usd.toFixed(2)).join(' ')).toBe(
    '4.08 3.08 6.08',
  );
});
