import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deviations } from './deviations.ts';
import { fidelityDocument, type Verdict, type Verdicts } from './fidelity.ts';
import { type Implementation, implementations, start } from './implementations.ts';
import { isAnswer, type Rule } from './rule.ts';
import { rules } from './rules.ts';

const verdicts = {
  sandbox: new Map<string, Verdict>(),
  MiniStack: new Map<string, Verdict>(),
  moto: new Map<string, Verdict>(),
} satisfies Verdicts;

const isListed = (implementation: Implementation, { id }: Rule) =>
  deviations.some(({ rule, emulator }) => rule === id && emulator === implementation);

describe.each(implementations)('%s', (implementation) => {
  let aws: Awaited<ReturnType<typeof start>>;

  beforeAll(async () => {
    aws = await start(implementation);
  });
  afterAll(() => aws?.close());

  it.each(rules.map((rule) => ({ rule, id: rule.id, title: rule.statement })))('$id: $title', async ({ rule }) => {
    const isAsked = rule.needs === undefined || aws[rule.needs] !== undefined;
    const difference = isAsked ? await differenceFrom(rule) : undefined;
    verdicts[implementation].set(rule.id, difference ? 'deviates' : isAsked ? 'follows' : 'not checked');
    if (difference && !isListed(implementation, rule)) throw difference;
    if (!difference && isListed(implementation, rule)) {
      expect.fail(`${implementation} does not deviate any more: take the entry out of test/contract/deviations.ts.`);
    }
  });

  /** How `aws` breaks the rule; rejects when that could not be found out. */
  async function differenceFrom(rule: Rule): Promise<Error | undefined> {
    try {
      await rule.check(aws);
      return undefined;
    } catch (error) {
      const isExpectation = error instanceof Error && error.name === 'AssertionError';
      if (isExpectation || isAnswer(error)) return error;
      throw error;
    }
  }
});

it('Rules have ids of their own, and every deviation is one of an existing rule, once, with a reason', () => {
  const ids = rules.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)]);
  const listed = deviations.map(({ rule, emulator }) => `${rule} on ${emulator}`);
  expect(listed).toEqual([...new Set(listed)]);
  for (const { rule, instead, reason } of deviations) {
    expect(ids).toContain(rule);
    expect(instead).toMatch(/\.$/);
    expect(reason).toMatch(/\.$/);
  }
});

it('docs/fidelity.md says what was found', ({ skip }) => {
  const isComplete = implementations.every((implementation) => verdicts[implementation].size === rules.length);
  const isAsListed = rules.every((rule) =>
    implementations.every(
      (implementation) => (verdicts[implementation].get(rule.id) === 'deviates') === isListed(implementation, rule),
    ),
  );
  skip(!isComplete || !isAsListed, 'not every rule was checked, or one is not as listed');
  const file = new URL('../../docs/fidelity.md', import.meta.url);
  const text = fidelityDocument(verdicts);
  if (process.env['CI']) {
    expect(readFileSync(file, 'utf8'), 'Run `npm run test:contract` and commit docs/fidelity.md.').toBe(text);
  } else {
    mkdirSync(new URL('.', file), { recursive: true });
    writeFileSync(file, text);
  }
});
