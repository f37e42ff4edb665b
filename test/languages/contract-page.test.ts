import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseEvent } from '../../src/events.ts';
import { stories } from './stories.ts';
import { languages, typed } from './toolchains.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/contract.md'), 'utf8');
const blocks = [...page.matchAll(/```(\w+)\n(.*?)```/gs)].map(([, language = '', text = '']) => ({ language, text }));
const blocksIn = (language: string) => blocks.filter((block) => block.language === language).map(({ text }) => text);

const samples = ['python', 'java/src/main/java/example', 'go']
  .map((folder) => join(root, 'examples', folder))
  .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  .filter((file) => statSync(file).isFile())
  .map((file) => readFileSync(file, 'utf8'));

describe('docs/contract.md', () => {
  it.each(stories.map(({ name }) => name))('names the story that holds a rule: %s', (name) => {
    const sentence = `${name.charAt(0).toUpperCase()}${name.slice(1)}.`;
    expect(page).toContain(`_${sentence}_`);
  });

  it('asks the broker in a way that the broker understands', () => {
    const events = blocksIn('json').map((text) => parseEvent(JSON.parse(text)));
    expect(events).toMatchObject([{ kind: 'token', newerThan: 1_795_000_000, refused: expect.any(String) }]);
  });

  it('has the lines that `npm run test:examples` types, one block for each language', () => {
    const lines = languages.map(({ name }) => typed(name).args[1]);
    expect(blocksIn('sh')).toEqual(lines);
  });

  it('shows no other code than that of the samples', () => {
    const shown = blocks.filter(({ language }) => !['sh', 'json'].includes(language));
    expect(shown).not.toEqual([]);
    for (const { text } of shown) expect(samples.some((sample) => sample.includes(text))).toBe(true);
  });
});
