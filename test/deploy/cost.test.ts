import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { costTable, table } from '../../infra/cost.ts';

test('docs/cost.md holds what node infra/cost.ts computes', async () => {
  const page = await readFile(new URL('../../docs/cost.md', import.meta.url), 'utf8');
  expect(table.exec(page)?.[0]).toBe(costTable());
});
