import { expect, it } from 'vitest';
import { parseEvent } from '../../src/events.ts';

it('A check is of what is in use and with an exchange, unless told', () => {
  expect(parseEvent({ action: 'check' })).toEqual({
    kind: 'check',
    correlationId: undefined,
    certificate: 'current',
    signingKey: 'current',
    exchange: true,
  });
  expect(parseEvent({ action: 'check', certificate: 'next', signing_key: 'next', exchange: false })).toMatchObject({
    certificate: 'next',
    signingKey: 'next',
    exchange: false,
  });
});

it('A check can be of the certificate before, and of no key before', () => {
  expect(parseEvent({ action: 'check', certificate: 'previous' })).toMatchObject({ certificate: 'previous' });
  expect(() => parseEvent({ action: 'check', signing_key: 'previous' })).toThrow('signing_key');
});

it.each([{ certificate: 'waiting' }, { signing_key: true }, { exchange: 'no' }, { force: true }])(
  'A check with %j is refused, naming the field',
  (fields) => {
    expect(() => parseEvent({ action: 'check', ...fields })).toThrow(Object.keys(fields)[0]);
  },
);
