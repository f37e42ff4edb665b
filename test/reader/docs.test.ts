import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { optionNames } from '../../src/reader/option-rules.ts';
import { readerErrorCodes } from '../../src/reader/reader.ts';

const root = join(import.meta.dirname, '../..');
// A formatter may pad the tables.
const page = readFileSync(join(root, 'src/reader/README.md'), 'utf8').replace(/ +/g, ' ');

describe('the manual', () => {
  it.each(readerErrorCodes)('has a line for %s', (code) => expect(page).toContain(`| \`${code}\` |`));

  it('has a line for every option', () => {
    expect(optionNames.length).toBeGreaterThan(15);
    for (const option of optionNames) expect(page).toMatch(new RegExp(`^\\| [^|]*\`${option}\``, 'm'));
  });
});
