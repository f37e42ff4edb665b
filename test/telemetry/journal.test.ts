import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/errors.ts';
import { Journal } from '../../src/invocation.ts';
import { FakeClock } from '../support/fake-clock.ts';

const ignore = () => {};

describe('the journal of an invocation', () => {
  it('adds up the time of each step', async () => {
    const clock = new FakeClock();
    const journal = new Journal(clock, ignore);
    await journal.time('sign', async () => clock.advance(7));
    await journal.time('exchange', async () => clock.advance(20));
    await journal.time('sign', async () => clock.advance(8));

    expect(journal.stepMilliseconds).toEqual({ sign: 15, exchange: 20 });
  });

  it('gives back what a step gives', async () => {
    expect(await new Journal(new FakeClock(), ignore).time('sign', async () => 'signature')).toBe('signature');
  });

  it('counts the time of a step that fails, and lets its error through', async () => {
    const clock = new FakeClock();
    const journal = new Journal(clock, ignore);
    const failing = journal.time('exchange', async () => {
      clock.advance(30);
      throw new Error('no answer');
    });

    await expect(failing).rejects.toThrow('no answer');
    expect(journal.stepMilliseconds).toEqual({ exchange: 30 });
  });

  it('passes a warning on at once', () => {
    const warnings: BrokerError[] = [];
    const journal = new Journal(new FakeClock(), (warning) => warnings.push(warning));
    const warning = new BrokerError({ code: 'TOKEN_SECRET_FOREIGN', what: '', remedy: '', retryable: false });
    journal.warn(warning);

    expect(warnings).toEqual([warning]);
  });
});
