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
  it('says what failed, whose it is, whether to try again, and what to do about it', () => {
    expect(new BrokerError(facts).message).toBe('KMS did not sign. Trying again will not help. Enable the key.');
    expect(new BrokerError({ ...facts, issuerId: 'ISSUER0001', retryable: true }).message).toBe(
      'KMS did not sign. [issuer ISSUER0001] Trying again can help. Enable the key.',
    );
  });

  it('has no cause, and its brand is in no print of it', () => {
    const error = new BrokerError(facts);
    expect(error).toBeInstanceOf(Failure);
    expect(error).not.toHaveProperty('cause');
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
