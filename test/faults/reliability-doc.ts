import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(new URL('../../docs/reliability.md', import.meta.url));

/**
 * Puts a text that a test run made into docs/reliability.md, between its markers.
 *
 * @throws Error in CI, when the text there is another: then the change was not committed.
 */
export function writeBlock(name: string, text: string): void {
  const [begin, end] = [`<!-- begin: ${name} -->`, `<!-- end: ${name} -->`];
  const page = readFileSync(file, 'utf8');
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`docs/reliability.md has no place for "${name}".`);
  const written = `${page.slice(0, from + begin.length)}\n\n${text.trim()}\n\n${page.slice(to)}`;
  if (written === page) return;
  if (process.env['CI'])
    throw new Error(`docs/reliability.md is not what this run makes of "${name}": run npm test and commit it.`);
  writeFileSync(file, written);
}
