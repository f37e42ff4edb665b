import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { asBrokerError, BrokerError, errorCodes } from '../src/errors.ts';

const facts = {
  code: 'SIGNING_FAILED',
  what: 'KMS did not sign.',
  remedy: 'Enable the key.',
  retryable: false,
} as const;

describe('a BrokerError', () => {
  it('tells what failed, whether to try again, and what to do about it', () => {
    expect(new BrokerError(facts).message).toBe('KMS did not sign. Trying again will not help. Enable the key.');
    expect(new BrokerError({ ...facts, retryable: true }).message).toBe(
      'KMS did not sign. Trying again can help. Enable the key.',
    );
  });

  it.each(errorCodes)('has its code for a name, which Lambda reports as errorType: %s', (code) => {
    const error = new BrokerError({ ...facts, code });

    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(code);
    expect(error.code).toBe(code);
    expect(String(error)).toBe(`${code}: ${error.message}`);
  });

  it('carries its facts, and no cause', () => {
    expect(new BrokerError(facts)).toMatchObject({ ...facts, issuerId: undefined, correlationId: undefined });
    expect('cause' in new BrokerError(facts)).toBe(false);
  });

  it('tells whose it is, once that is known', () => {
    const located = new BrokerError(facts).located({ issuerId: 'ISSUER0001', correlationId: 'payment-42' });

    expect(located).toBeInstanceOf(BrokerError);
    expect(located).toMatchObject({ ...facts, issuerId: 'ISSUER0001', correlationId: 'payment-42' });
    expect(located.message).toBe(
      'KMS did not sign. [issuer ISSUER0001, correlation id payment-42] Trying again will not help. Enable the key.',
    );
  });

  it('tells the half that is known', () => {
    expect(new BrokerError({ ...facts, issuerId: 'ISSUER0001' }).message).toContain('[issuer ISSUER0001]');
    expect(new BrokerError({ ...facts, correlationId: 'payment-42' }).message).toContain('[correlation id payment-42]');
  });

  it('keeps the place that it had first: the correlation id that D1 saw', () => {
    const first = new BrokerError(facts).located({ correlationId: 'seen-by-d1' });
    const second = first.located({ issuerId: 'ISSUER0001', correlationId: 'of-one-who-waited' });

    expect(second).toMatchObject({ issuerId: 'ISSUER0001', correlationId: 'seen-by-d1' });
    expect(second.message).toContain('[issuer ISSUER0001, correlation id seen-by-d1]');
  });

  it('keeps the stack of where it was made, under the new message', () => {
    const made = new BrokerError({ ...facts, what: 'Costs $& and $1 more.' });
    const located = made.located({ issuerId: 'ISSUER0001' });

    expect(located.stack).toContain(located.message);
    expect(located.stack?.split('\n').slice(1)).toEqual(made.stack?.split('\n').slice(1));
  });

  it('does without a stack', () => {
    const made = new BrokerError(facts);
    delete (made as { stack?: string }).stack;

    expect(made.located({ issuerId: 'ISSUER0001' }).message).toContain('ISSUER0001');
  });
});

describe('whatever was thrown', () => {
  it('stays what it is when it is a BrokerError', () => {
    const error = new BrokerError(facts);

    expect(asBrokerError(error)).toBe(error);
  });

  class ForeignError extends Error {
    readonly response = { access_token: 'canary-in-a-property' };
  }

  it.each([
    ['an error', new ForeignError('canary-in-a-message', { cause: 'canary-in-a-cause' }), 'ForeignError'],
    ['a SyntaxError', syntaxError('{"private_key": canary}'), 'SyntaxError'],
    ['a text', 'canary', 'string'],
    ['an object', { canary: 'canary' }, 'object'],
    ['nothing', undefined, 'undefined'],
  ])('becomes INTERNAL: %s', (_what, thrown, kind) => {
    const error = asBrokerError(thrown);

    expect(error).toMatchObject({ code: 'INTERNAL', retryable: true });
    expect(error.what).toBe(`The broker failed in a way that it should not (${kind}).`);
    expect(inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true })).not.toContain('canary');
  });
});

function syntaxError(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return error;
  }
}
