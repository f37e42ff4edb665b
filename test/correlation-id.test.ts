import { expect, it } from 'vitest';
import { isCorrelationId } from '../src/events.ts';
import { systemRandom } from '../src/shared/random.ts';

it.each(['a', 'A-Z_0-9', 'x'.repeat(64), systemRandom.uuid()])('%j may be sent to D1 as x-correlation-id', (value) => {
  expect(isCorrelationId(value)).toBe(true);
});

it.each([
  '',
  'x'.repeat(65),
  'a b',
  'a\n',
  'a\r\nx-other: 1',
  'ä',
  'a.b',
  'a/b',
  42,
  null,
  undefined,
  ['a'],
  { toString: () => 'a' },
])('%j may not', (value) => {
  expect(isCorrelationId(value)).toBe(false);
});
