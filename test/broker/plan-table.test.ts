import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { rows } from '../../src/broker/plan.ts';

const page = readFileSync(new URL('../../docs/architecture.md', import.meta.url), 'utf8');

const table = [
  '| reason | for | when | does |',
  '| --- | --- | --- | --- |',
  ...rows.map((row) => `| \`${row.reason}\` | ${row.for} | ${row.when} | ${row.does} |`),
].join('\n');

it('docs/architecture.md shows the plan as it is', () => {
  const shown = /<!-- begin: plan -->\n+(.*?)\n+<!-- end: plan -->/s.exec(page)?.[1];

  expect(shown, `Put this between the plan's markers in docs/architecture.md:\n\n${table}\n`).toBe(table);
});

it('no row breaks the table', () => {
  expect(rows.flatMap(({ when, does }) => [when, does]).filter((text) => /[|\n]/.test(text))).toEqual([]);
});
