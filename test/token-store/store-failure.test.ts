import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/errors.ts';
import { storeFailure } from '../../src/token-store/store-failure.ts';

describe('A failed call on the token secret, told', () => {
  it('leaves an error of the broker’s own as it is', () => {
    const own = new BrokerError({ code: 'DEADLINE_EXCEEDED', what: 'Late.', remedy: 'Hurry.', retryable: true });
    expect(storeFailure('a-secret', 'read', own)).toBe(own);
  });

  it('says which secret, and whether it was to be read or written', () => {
    expect(storeFailure('a-secret', 'read', new Error()).what).toBe(
      'The token secret a-secret could not be read: Error.',
    );
    expect(storeFailure('a-secret', 'written', new Error()).what).toContain('could not be written');
  });

  it.each([undefined, null, 'hunter2', { name: 'hunter2 with spaces' }, new Error('hunter2')])(
    'can be anything (%#), and none of it is quoted',
    (thrown) => {
      const error = storeFailure('a-secret', 'written', thrown);
      expect(error).toMatchObject({ code: 'TOKEN_STORE_UNAVAILABLE', retryable: true });
      expect(inspect(error, { depth: null, showHidden: true })).not.toContain('hunter2');
    },
  );
});
