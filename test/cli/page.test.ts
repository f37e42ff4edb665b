import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { page } from './page.ts';

it('docs/cli.md is what the definitions say: npm run docs:cli writes it', () => {
  expect(readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')).toBe(page());
});
