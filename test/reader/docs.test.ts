import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTokenReader, readerErrorCodes, type TokenReaderOptions } from '../../src/reader/reader.ts';

const root = join(import.meta.dirname, '../..');
// A formatter may pad the tables.
const page = readFileSync(join(root, 'src/reader/README.md'), 'utf8').replace(/ +/g, ' ');

describe('the manual', () => {
  it.each(readerErrorCodes)('has a line for %s', (code) => expect(page).toContain(`| \`${code}\` |`));

  it('has a line for every option', () => {
    const source = readFileSync(join(root, 'src/reader/options.ts'), 'utf8');
    const list = /const known[^{]*\{([^}]*)\}/.exec(source)?.[1] ?? '';
    const options = [...list.matchAll(/(\w+): true/g)].map((match) => match[1] as keyof TokenReaderOptions);
    expect(options.length).toBeGreaterThan(15);
    for (const option of options) expect(page).toMatch(new RegExp(`^\\| [^|]*\`${option}\``, 'm'));
    expect(createTokenReader).toBeTypeOf('function');
  });
});
