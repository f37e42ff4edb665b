import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseTokenRecord } from '../../src/shared/token-record.ts';
import { type Cell, cells, nameOf, waits } from './cells.ts';
import { expectedCount, expectedOf } from './expected.ts';
import { captureOutput } from './output-capture.ts';
import { type Observation, runCell } from './run-cell.ts';

/** Cells that wait for real timeouts cost time and no work; the others the reverse. */
const WAITING_AT_ONCE = 14;
const WORKING_AT_ONCE = 3;

const seen = new Map<Cell, Observation>();

beforeAll(async () => {
  const capture = captureOutput();
  const take = async (queue: Cell[]): Promise<void> => {
    for (let cell = queue.shift(); cell; cell = queue.shift()) seen.set(cell, await runCell(cell, capture));
  };
  const waiting = cells.filter(waits);
  const working = cells.filter((cell) => !waits(cell));
  try {
    await Promise.all([
      ...Array.from({ length: WAITING_AT_ONCE }, () => take(waiting)),
      ...Array.from({ length: WORKING_AT_ONCE }, () => take(working)),
    ]);
  } finally {
    capture.restore();
  }
}, 240_000);

afterAll(() => seen.clear());

describe('every step of a refresh x every fault x every way in', () => {
  it('has an expectation for every cell, and no other', () => {
    expect(expectedCount).toBe(cells.length);
  });

  it.each(cells.map((cell) => ({ name: nameOf(cell), cell })))('$name', ({ name, cell }) => {
    const { summary, stray } = observationOf(cell);
    expect(stray, `${name}: threw what is no error of the product's own`).toBeUndefined();
    const expected = expectedOf(cell);
    expect(summary, `${name}\n  expected: ${expected}\n  seen:     ${summary}\n`).toBe(expected);
  });
});

/** What docs/reliability.md promises. Each sentence is named there; a failure lists every cell that breaks it. */
describe('in every cell', () => {
  it('the stored token lives on, and no reader that holds a token gets an error', () => {
    for (const { cell, name, after, now, error } of observations()) {
      expect.soft(after['expires_at'], name).toBeGreaterThan(now);
      if (cell.entry === 'warm reader') expect.soft(error, name).toBeUndefined();
    }
  });

  it('the stored token is no worse than it was', () => {
    for (const { name, before, after } of observations()) {
      expect.soft(parseTokenRecord(JSON.stringify(after)), name).toHaveProperty('record');
      expect.soft(after['expires_at'], name).toBeGreaterThanOrEqual(Number(before['expires_at']));
    }
  });

  it('a token that is handed out lives', () => {
    for (const { name, answer, now } of observations()) {
      if (answer && 'access_token' in answer) expect.soft(answer['expires_at'], name).toBeGreaterThan(now);
    }
  });

  it('a tick in a new container heals once the fault is over', () => {
    for (const { name, healedSeconds } of observations()) {
      if (healedSeconds !== undefined) expect.soft(healedSeconds, name).toBeGreaterThan(300);
    }
  });

  it('one log line tells how it went, with the code of a failure and the correlation id', () => {
    for (const { cell, name, error, lines, correlationId } of observations()) {
      if (cell.entry.includes('reader')) continue;
      const told = lines.filter((line) => 'outcome' in line);
      expect.soft(told, name).toHaveLength(1);
      expect
        .soft(told[0], name)
        .toMatchObject(
          error
            ? { level: 'ERROR', outcome: 'failed', error_code: error.code, correlation_id: correlationId }
            : { level: 'INFO', outcome: 'ok', correlation_id: correlationId },
        );
      if (!error) continue;
      expect.soft(error, name).toMatchObject({ issuerId: 'ISSUER0001', correlationId, name: error.code });
      expect.soft(error, name).not.toHaveProperty('cause');
    }
  });

  it('no log line says yes to another try that cannot help', () => {
    for (const { name, lines } of observations()) {
      for (const { retryable, tried_again } of lines) {
        if (retryable === false && tried_again !== undefined) expect.soft(tried_again, name).not.toMatch(/^yes/);
      }
    }
  });

  it('nothing secret is in an error, a warning or a log line', () => {
    for (const { name, leaks } of observations()) expect.soft(leaks, name).toEqual([]);
  });

  it('a direct caller, forced or not, gets a token that lives while the stored one does', () => {
    for (const { cell, name, answer } of observations()) {
      if (cell.entry !== 'direct' && cell.entry !== 'forced') continue;
      expect.soft(answer?.['access_token'], name).toBeTypeOf('string');
    }
  });
});

function observationOf(cell: Cell): Observation {
  const observation = seen.get(cell);
  if (!observation) throw new Error(`${nameOf(cell)}: the cell was not run`);
  return observation;
}

const observations = () => cells.map((cell) => ({ ...observationOf(cell), cell, name: nameOf(cell) }));
