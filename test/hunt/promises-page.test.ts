import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { promiseRules } from '../../simulation/hunt/promises.ts';

const page = readFileSync(new URL('../../docs/reliability.md', import.meta.url), 'utf8');

it('docs/reliability.md tells every promise that the hunter checks, in its words', () => {
  const rows = /<!-- begin: hunter -->\n(.*?)\n<!-- end: hunter -->/s.exec(page)?.[1]?.split('\n').slice(2) ?? [];
  const told = rows.map((row) =>
    row
      .split('|')
      .slice(1, 3)
      .map((cell) => cell.trim()),
  );
  expect(told).toEqual(promiseRules.map(({ name, sentence }) => [name, sentence]));
});
