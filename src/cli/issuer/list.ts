import { type Worst, worseFirst } from '../../fleet/round-report.ts';
import { runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { PlaceFlags } from '../frame/flags.ts';
import { openFleet } from './fleet.ts';

export interface ListFlags extends PlaceFlags {
  readonly worst?: number;
}

/** @property tried False: nothing is known of it yet. */
interface Row extends Worst {
  readonly owner: string;
  readonly tried: boolean;
}

export async function listIssuers(this: Context, flags: ListFlags): Promise<void> {
  await runCommand(this, 'issuer list', flags, async (session) => {
    const { index } = await openFleet(session);
    const now = Math.floor(Date.now() / 1000);
    const rows = (await index.candidates())
      .map(
        ({ issuerId, owner, state: { expiresAt, failures, failedWith, triedAt } }): Row => ({
          issuer_id: issuerId,
          owner,
          seconds_left: Math.max(0, expiresAt - now),
          failures,
          failed_with: failedWith,
          tried: triedAt > 0,
        }),
      )
      .sort((one, other) => worseFirst(one, other) || (one.issuer_id < other.issuer_id ? -1 : 1));
    const shown = rows.slice(0, flags.worst ?? rows.length);
    return {
      facts: {
        count: rows.length,
        issuers: shown.map(({ failed_with = null, ...row }) => ({ ...row, failed_with })),
      },
      text: rows.length === 0 ? ['No issuer yet: d1-token issuer add.'] : [...shown.map(told), ofAll(shown, rows)],
    };
  });
}

const told = ({ issuer_id, owner, seconds_left, failures, failed_with, tried }: Row): string => {
  const failing = failures === 0 ? '' : `  ${failures} failed in a row, the last with ${failed_with}`;
  return `${issuer_id}  ${owner}  ${tried ? `${seconds_left} s left` : 'not tried yet'}${failing}`;
};

const ofAll = (shown: readonly Row[], rows: readonly Row[]) =>
  shown.length < rows.length
    ? `${shown.length} of ${rows.length}, the worst first.`
    : `${rows.length}, the worst first.`;
