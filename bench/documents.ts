import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DependencyCost } from './dependencies.ts';

const root = join(import.meta.dirname, '..');

/**
 * Puts what was measured into docs/performance.md, between `<!-- bench: NAME -->` and `<!-- /bench -->`.
 *
 * @throws Error when a block is missing.
 */
export async function updatePerformance(blocks: Readonly<Record<string, string>>): Promise<void> {
  const file = join(root, 'docs', 'performance.md');
  let text = await readFile(file, 'utf8');
  for (const [name, block] of Object.entries(blocks)) {
    const place = new RegExp(`(<!-- bench: ${name} -->\n)[^]*?(<!-- /bench -->)`);
    if (!place.test(text)) throw new Error(`docs/performance.md has no block ${name}`);
    text = text.replace(place, (_, begin: string, end: string) => `${begin}\n${block}\n\n${end}`);
  }
  await writeFile(file, text);
}

/** What an addition of milliseconds must at least be, to be told from none. */
const NOISE_MILLISECONDS = 1;

/** Puts bytes and milliseconds into the table of docs/dependencies.md; the reasons stay as they are. */
export async function updateDependencies(costs: readonly DependencyCost[]): Promise<void> {
  const file = join(root, 'docs', 'dependencies.md');
  const lines = (await readFile(file, 'utf8')).split('\n').map((line) => {
    const [before, name = '', bytes = '', milliseconds = '', ...rest] = line.split('|');
    const cost = costs.find((one) => one.name === name.trim());
    if (!cost) return line;
    const added = cost.milliseconds < NOISE_MILLISECONDS ? 'below noise' : cost.milliseconds.toFixed(1);
    const inPlaceOf = (cell: string, text: string) => `${text.padStart(cell.length - 1)} `;
    const figures = [inPlaceOf(bytes, cost.bytes.toLocaleString('en')), inPlaceOf(milliseconds, added)];
    return [before, name, ...figures, ...rest].join('|');
  });
  await writeFile(file, lines.join('\n'));
}

/** Writes docs/performance/NAME.svg for each plot. */
export async function writePlots(plots: Readonly<Record<string, string>>): Promise<void> {
  const folder = join(root, 'docs', 'performance');
  await mkdir(folder, { recursive: true });
  await Promise.all(Object.entries(plots).map(([name, svg]) => writeFile(join(folder, `${name}.svg`), svg)));
}
