import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseTokenRecord } from '../../src/token-store/token-record.ts';
import { type Cell, cells, nameOf, waits } from './cells.ts';
import { expectedCount, expectedOf } from './expected.ts';
import { renderMatrix } from './matrix-table.ts';
import { captureOutput } from './output-capture.ts';
import { writeBlock } from './reliability-doc.ts';
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

describe('every step of a refresh x every fault x every way in', () => {
  it('has an expectation for every cell, and no other', () => {
    expect(expectedCount).toBe(cells.length);
  });

  it.each(cells.map((cell) => ({ name: nameOf(cell), cell })))('$name', ({ cell }) => {
    const observation = seen.get(cell);
    if (!observation) throw new Error('the cell was not run');
    expect(observation.summary).toBe(expectedOf(cell));
    expect(observation.stray).toBeUndefined();
    expect(observation.leaks).toEqual([]);
    expectStoredTokenNoWorse(observation);
    if (!cell.entry.includes('reader')) expectTold(observation);
    expectLiveToken(observation);
    if (observation.healedSeconds !== undefined) expect(observation.healedSeconds).toBeGreaterThan(300);
  });
});

describe('docs/reliability.md', () => {
  it('shows the matrix as this run saw it', () => {
    writeBlock(
      'matrix',
      renderMatrix(cells.map((cell) => ({ ...cell, summary: seen.get(cell)?.summary ?? 'not run' }))),
    );
  });
});

afterAll(() => seen.clear());

/** Nothing that was stored is ever worse for a failed refresh. */
function expectStoredTokenNoWorse({ before, after }: Observation): void {
  expect(parseTokenRecord(JSON.stringify(after))).toHaveProperty('record');
  expect(after['expires_at']).toBeGreaterThanOrEqual(Number(before['expires_at']));
}

/** One line says how it went; a failure has its code there, and place and advice in its message. */
function expectTold({ error, lines, correlationId }: Observation): void {
  const told = lines.filter((line) => 'outcome' in line);
  expect(told).toHaveLength(1);
  expect(told[0]).toMatchObject(
    error
      ? { level: 'ERROR', outcome: 'failed', error_code: error.code, correlation_id: correlationId }
      : { level: 'INFO', outcome: 'ok', correlation_id: correlationId },
  );
  if (!error) return;
  expect(error).toMatchObject({ issuerId: 'ISSUER0001', correlationId, name: error.code });
  expect(error).not.toHaveProperty('cause');
}

function expectLiveToken({ answer, now }: Observation): void {
  if (answer && 'access_token' in answer) expect(Number(answer['expires_at'])).toBeGreaterThan(now);
}
