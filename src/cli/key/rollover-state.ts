import { asCliFailure, failure } from '../frame/cli-failure.ts';
import type { Clients } from '../frame/clients.ts';
import type { Fact, Facts } from '../frame/document.ts';
import { activePlace, keyAt, otherPlace, type Stack, type StackKey } from '../frame/stage.ts';
import { PROOF_HOURS, readProof } from './proof.ts';

/** Where a rollover is. All of it is read from AWS, each time. */
export type Rollover = { readonly active: StackKey } & (
  | { readonly state: 'idle' }
  /** The other key is the candidate. `provenAt` is when a check with it last passed, within a day. */
  | { readonly state: 'started'; readonly other: StackKey; readonly provenAt: number | undefined }
  /** The other key is the old one. */
  | { readonly state: 'switched'; readonly other: StackKey }
);

/** @param now Milliseconds since 1970 UTC. */
export async function readRollover(clients: Clients, stack: Stack, now: number): Promise<Rollover> {
  const place = activePlace(stack);
  const active = keyAt(stack, place);
  if (!active)
    throw failure('KEY_WITHOUT_KID', 'The active signing key has no kid.', 'Correct infra/params.yml and deploy.');
  const other = keyAt(stack, otherPlace(place));
  if (!other) return { state: 'idle', active };
  const [bornActive, bornOther] = await Promise.all([bornAt(clients, active), bornAt(clients, other)]);
  // The younger of two is the one that is to come, or has come.
  if (bornActive > bornOther) return { state: 'switched', active, other };
  const provenAt = await readProof(clients, other);
  const isFresh = provenAt !== undefined && provenAt <= now + 60_000 && now - provenAt < PROOF_HOURS * 3_600_000;
  return { state: 'started', active, other, provenAt: isFresh ? provenAt : undefined };
}

async function bornAt(clients: Clients, { arn }: StackKey): Promise<number> {
  const { KeyMetadata } = await (await clients.kms()).describeKey({ KeyId: arn }).catch((error: unknown) => {
    throw asCliFailure(error, 'kms:DescribeKey');
  });
  return KeyMetadata?.CreationDate?.getTime() ?? 0;
}

const keyFact = ({ place, kid, arn }: StackKey): Fact => ({ place, kid, arn });

export const rolloverFacts = (rollover: Rollover): Facts => ({
  state: rollover.state,
  active: keyFact(rollover.active),
  other: 'other' in rollover ? keyFact(rollover.other) : null,
  proven_at:
    rollover.state === 'started' && rollover.provenAt !== undefined ? new Date(rollover.provenAt).toISOString() : null,
});

/** What comes next, in commands. */
export function nextSteps(rollover: Rollover, stage: string): string[] {
  switch (rollover.state) {
    case 'idle':
      return [];
    case 'started':
      return rollover.provenAt === undefined
        ? [
            `send Thales the issuer id, the kid ${rollover.other.kid} and the public key: d1-token key export --stage ${stage} --place ${rollover.other.place}`,
            `when Thales has confirmed: d1-token key rollover check --stage ${stage}`,
          ]
        : [`within ${PROOF_HOURS} hours of the check: d1-token key rollover switch --stage ${stage}`];
    case 'switched':
      return [
        `when nobody has missed the old key for a while, have Thales remove the kid ${rollover.other.kid}, and: d1-token key rollover finish --stage ${stage}`,
        `or the way back: d1-token key rollover back --stage ${stage}`,
      ];
  }
}

/** The state in words. */
export function described(rollover: Rollover): string {
  const { active } = rollover;
  switch (rollover.state) {
    case 'idle':
      return `No rollover is under way. The key ${active.place} signs, kid ${active.kid}.`;
    case 'started':
      return `The key ${active.place} signs, kid ${active.kid}. The candidate is ${rollover.other.place}, kid ${rollover.other.kid}; ${
        rollover.provenAt === undefined
          ? 'no check with it has passed within a day.'
          : `a check with it passed at ${new Date(rollover.provenAt).toISOString()}.`
      }`;
    case 'switched':
      return `The new key ${active.place} signs, kid ${active.kid}. The old one is ${rollover.other.place}, kid ${rollover.other.kid}.`;
  }
}
