import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { promiseRules } from '../../simulation/hunt/promises.ts';
import { teeth } from '../../simulation/hunt/teeth.ts';

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

it('docs/reliability.md names, of each of the ten defects, every tooth that puts it back', () => {
  const section = /\n## What was broken once\n(.*?)\n## /s.exec(page)?.[1] ?? '';
  const told = [...section.matchAll(/^\| (\d+) \|.*?\| (.*?) \|/gm)].flatMap(([, number, sentences = '']) =>
    sentences.split('<br>').map((sentence) => `(${number}) ${sentence}`),
  );
  expect(told.map((sentence) => sentence.split(' ')[0])).toEqual(expect.arrayContaining(['(1)', '(10)']));
  expect(told).toEqual(teeth.map(({ what }) => what).filter((what) => what.startsWith('(')));
});
