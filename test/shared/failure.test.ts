import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/errors.ts';
import { Failure } from '../../src/shared/failure.ts';

const facts = {
  code: 'SIGNING_FAILED',
  what: 'KMS did not sign.',
  remedy: 'Enable the key.',
  retryable: false,
} as const;

describe('a failure', () => {
  it('has a brand that is in no print of it', () => {
    const error = new BrokerError(facts);
    expect(error).toBeInstanceOf(Failure);
    expect(Object.getOwnPropertySymbols(error)).toEqual([]);
    expect(inspect(error)).not.toContain('Symbol');
  });

  it('is known for what it is in another copy of the package, which has classes of its own', async () => {
    // With another query, Node and vitest load the file again.
    const copy = (await import('../../src/errors.ts?copy' as string)) as typeof import('../../src/errors.ts');
    expect(copy.BrokerError).not.toBe(BrokerError);
    const foreign = new copy.BrokerError(facts);
    expect(foreign).not.toBeInstanceOf(BrokerError);
    expect(BrokerError.is(foreign)).toBe(true);
    expect(copy.BrokerError.is(new BrokerError(facts))).toBe(true);
  });

  it.each([undefined, null, 'text', {}, new Error('x'), { code: 'SIGNING_FAILED' }])(
    'is nothing that only looks like one: %j',
    (thrown) => {
      expect(BrokerError.is(thrown)).toBe(false);
    },
  );
});
