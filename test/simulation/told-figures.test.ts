import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
/** On one line, because a figure may stand at the end of one. */
const textOf = (path: string) => readFileSync(join(root, path), 'utf8').replaceAll(/\s+/g, ' ');

/** A row of a scenario's table in docs/simulation.md, by the titles of its columns. */
function rowOf(scenario: string, policy: string): Record<string, string> {
  const page = readFileSync(join(root, 'docs/simulation.md'), 'utf8');
  const table = page.split(/^### /m).find((section) => section.startsWith(`${scenario}\n`)) ?? '';
  const cells = table
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.slice(2, -2).split(' | '));
  const row = cells.find(([name]) => name === policy) ?? [];
  return Object.fromEntries((cells[0] ?? []).map((title, index) => [title, row[index] ?? '']));
}

it('the README compares with fixed rates, retries included, in the figures of docs/simulation.md', () => {
  const share = (cell: string | undefined) => (cell === '0' ? '0 %' : cell);
  const policies = ['rate(10 minutes)', 'rate(10 minutes), 2 retries', 'this project'];
  const [naive, retried, own] = policies.map((policy) => rowOf('4-minute outages, 5 % failures', policy)['plain']);
  const means = policies.map((policy) => rowOf('10 seeds', policy)['plain, mean']);
  const asking = rowOf('10 seeds', 'this project')['reader with broker, mean'];
  expect(textOf('README.md')).toContain(
    `without a token ${naive} of the time, and with Lambda's two retries ${retried}. With this broker it is ${share(own)} in the same two weeks. Over ten such fortnights the means are ${means[0]}, ${means[1]} and ${means[2]}, and ${share(asking)} for a reader that may ask this broker`,
  );
});

it('what docs/simulation.md says of long outages is in its tables', () => {
  const own = rowOf('long outages, 5 % failures', 'this project');
  const seconds = (title: string) => Number(own[title]).toLocaleString('en');
  expect(textOf('docs/simulation.md')).toContain(
    `(${own['reader with broker']} against ${own['plain']}, longest ${seconds('longest, with broker (s)')} s against ${seconds('longest, plain (s)')} s)`,
  );
  const longest = rowOf('long outages, one by one', '3829');
  expect(textOf('docs/simulation.md')).toContain(
    `found ${longest['1: left']} s left for plain consumers, and ${longest['2: left']} s for the reader`,
  );
});
