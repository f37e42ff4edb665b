import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { errorCodes } from '../../src/errors.ts';

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');
const runbook = await read('docs/runbook.md');
const alarms = await read('infra/alarms.yml');
const watch = await read('infra/watch.yml');

/** As the places where Markdown is read make them: lower case, no punctuation, hyphens for spaces. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .replaceAll(' ', '-');
const headings = (page: string) => [...page.matchAll(/^#+ (.+)$/gm)].map((match) => match[1] ?? '');
const anchors = headings(runbook).map(anchor);

describe('the runbook', () => {
  test.each(errorCodes)('has a section for %s', (code) => {
    expect(headings(runbook)).toContain(code);
  });

  test.each([
    'could not be found',
    'could not be connected to',
    'refused the connection',
    'hung up without an answer',
    'did not answer within',
    'server certificate is not trusted',
    'refused the client certificate',
  ])('knows what to do when an error says "%s"', async (words) => {
    const sources = await Promise.all(
      ['request', 'response'].map((name) => read(`src/token-endpoint/token-${name}.ts`)),
    );
    expect([...sources, await read('src/token-endpoint/endpoint-error.ts')].join()).toContain(words);
    expect(runbook).toContain(`"${words}"`);
  });

  test('has a section for each alarm, and none for another', () => {
    const wanted = [...alarms.matchAll(/#(alarm-[\w-]+)/g)].map((match) => match[1]);
    expect(wanted.length).toBeGreaterThanOrEqual(7);
    expect(anchors.filter((name) => name.startsWith('alarm-')).sort()).toEqual(wanted.sort());
  });

  test('has a section for each event that a rule tells of, and none for another', () => {
    const wanted = new Set([...watch.matchAll(/#(event-[\w-]+)/g)].map((match) => match[1]));
    expect(anchors.filter((name) => name.startsWith('event-')).sort()).toEqual([...wanted].sort());
  });

  test('links to sections that exist', async () => {
    const links = [...runbook.matchAll(/\]\((\w+\.md)?#([\w-]+)\)/g)];
    expect(links.length).toBeGreaterThan(5);
    for (const [link, page, name] of links) {
      const there = page ? headings(await read(`docs/${page}`)).map(anchor) : anchors;
      expect(there, link).toContain(name);
    }
  });
});
