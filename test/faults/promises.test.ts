import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorCodes } from '../../src/errors.ts';
import { readerErrorCodes } from '../../src/reader/reader.ts';
import { cells } from './cells.ts';
import { expectedOf } from './expected.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/reliability.md'), 'utf8');

const promises = [...rowsOf('Promises'), ...rowsOf('What was broken once').map((row) => row.slice(1))].map((row) => ({
  promise: row[0],
  tests: testsIn(row.at(-1) ?? ''),
}));
const steps = new Map(rowsOf('What each fault comes to').map((row) => [row[0]?.replaceAll('`', ''), row]));

describe('a promise in docs/reliability.md', () => {
  it('is one of many', () => {
    expect(promises.length).toBeGreaterThan(10);
  });

  it.each(promises)('is held by tests that exist: $promise', ({ tests }) => {
    expect(tests).not.toEqual([]);
    for (const { file, sentence } of tests) {
      const path = join(root, file);
      expect(existsSync(path), `there is no ${file}`).toBe(true);
      expect(sentencesIn(readFileSync(path, 'utf8')), `${file} has no it "${sentence}"`).toContain(sentence);
    }
  });
});

describe('the sentence of a test', () => {
  it.each([
    ["  it('is plain', async () => {", ['is plain']],
    ['test("isn\'t alone", () => {', ["isn't alone"]],
    ["it(\n  'is on its own line',\n  () => {", ['is on its own line']],
    ["it.each([\n  ['a', (s) => s.end()],\n])('has rows: %s', (row) => {", ['has rows: %s']],
    ["it.each<[string, () => void]>(\n  rows.map((row) => row),\n)(\n  'when $step: %i', () => {", ['when $step: %i']],
    ["it('is first', f);\nit.each([1])('is second', f);\nit('is third', f);", ['is first', 'is second', 'is third']],
    ["describe('is no test', () => {", []],
    ["describe.each([1])('is no test, %i', () => {", []],
    ["// it('is gone', () => {", []],
    ["it.skip('is not run', () => {", []],
  ])('%j', (source, sentences) => {
    expect(sentencesIn(source)).toEqual(sentences);
  });
});

describe('the table of steps in docs/reliability.md', () => {
  it('has a row for every step, and no other', () => {
    expect([...steps.keys()].sort()).toEqual([...new Set(cells.map(({ step }) => step))].sort());
  });

  it('has something in every column', () => {
    for (const [step, row] of steps) {
      expect(row, step).toHaveLength(6);
      for (const column of row) expect(column, step).not.toBe('');
    }
  });

  it.each([...steps])('tells every code that a cell tells, and none that there is not: %s', (step, row) => {
    const told = codesIn(row[2] ?? '');
    const cellsOfStep = cells.filter((cell) => cell.step === step);
    expect(told).toEqual(expect.arrayContaining(cellsOfStep.flatMap((cell) => codesIn(expectedOf(cell)))));
    expect([...errorCodes, ...readerErrorCodes]).toEqual(expect.arrayContaining(told));
  });
});

/** The cells of the first table under a heading, without its head. */
function rowsOf(heading: string): string[][] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((column) => column.trim()),
  );
}

/** Every code span is a test file, or a sentence of the file before it. A file without a sentence holds nothing. */
function testsIn(heldBy: string): { file: string; sentence: string }[] {
  const tests: { file: string; sentence: string }[] = [];
  for (const [, file = '', sentences = ''] of heldBy.matchAll(/`(test\/[\w./-]+\.ts)`((?:(?!`test\/).)*)/g)) {
    const named = [...sentences.matchAll(/`([^`]+)`/g)].map(([, sentence = '']) => sentence);
    for (const sentence of named.length > 0 ? named : ['(no sentence is named)']) tests.push({ file, sentence });
  }
  return tests;
}

/** The titles as they are written, `%s` and `$name` included. */
function sentencesIn(source: string): string[] {
  const title = /^ *(?:it|test)(?:\(|\.each\b[\s\S]*?\)\()\s*(['"`])((?:(?!\1|\n).)*)\1,/gm;
  return [...source.matchAll(title)].map(([, , sentence = '']) => sentence);
}

function codesIn(text: string): string[] {
  return [...text.matchAll(/\b[A-Z]+(?:_[A-Z]+)+\b/g)].map(([code]) => code);
}
