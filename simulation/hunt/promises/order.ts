import type { Container } from '../container.ts';
import type { Check, Stored } from '../watch.ts';
import { isBudgetSpent, isCalm, isNewWhenAsked, left, longestExchange, type PromiseRule, seconds } from '../watch.ts';

/**
 * From which version each write starts: the one that its container saw last. A rotation moves AWSCURRENT to a version that is
 * no successor, so that a write which is on its way then goes through.
 */
function startingPoints() {
  const seen = new Map<Container, string>();
  const starts = new Map<string, string | undefined>();
  const watching: Pick<Check, 'saw' | 'putting'> = {
    saw: (container, versionId) => void seen.set(container, versionId),
    putting: (container, versionId) => void starts.set(versionId, seen.get(container)),
  };
  const isPastARotation = (now: Stored, before: Stored) =>
    now.by === 'write' && before.by === 'rotation' && starts.get(now.versionId) !== before.versionId;
  return { watching, isPastARotation };
}

export const order: readonly PromiseRule[] = [
  {
    name: 'never worse',
    sentence:
      'What the broker makes current, by a write or a rotation, never dies before what was current, unless that was revoked or refused (where tokens live equally long, and clocks are within 5 s; but for one exchange, or 8 s where a container is frozen with the answer on its way; not a write that was decided on before a rotation moved AWSCURRENT).',
    holds: ({ lifetime, clockError }) => lifetime !== undefined && clockError <= 5,
    check: ({ world, d1, facts, refused }, broken) => {
      const wasCurrent = new Set<string>();
      const { watching, isPastARotation } = startingPoints();
      return {
        ...watching,
        stored: (now, before) => {
          const isBack = wasCurrent.has(now.token ?? '');
          wasCurrent.add(now.token ?? '');
          if (now.by === 'hand' || !before?.token || refused.has(before.token) || isPastARotation(now, before)) return;
          const [one, other] = [d1.find(before.token), d1.find(now.token ?? '')];
          if (!one || !other || one.endedAt !== undefined || one.diesAt <= now.at) return;
          // Records tell whole seconds: below one, nobody knows which dies first.
          if (other.diesAt >= one.diesAt - 1_000) return;
          // Of two that were asked for at once nobody can tell which is the younger; but none comes twice.
          const unclear = 2 * facts.clockError * 1000 + 1000 + longestExchange(world) * 1000;
          if (!isBack && one.issuedAt - other.issuedAt <= unclear) return;
          broken(`${other.token} with ${left(other, now.at)} s over ${one.token} with ${left(one, now.at)} s`);
        },
      };
    },
  },
  {
    name: 'never older',
    sentence:
      'What the broker makes current was not obtained before what was current (clocks within 5 s; not a write that was decided on before a rotation moved AWSCURRENT).',
    holds: ({ clockError }) => clockError <= 5,
    check: (_watch, broken) => {
      const { watching, isPastARotation } = startingPoints();
      return {
        ...watching,
        stored: (now, before) => {
          if (now.by === 'hand' || !now.record || !before?.record || isPastARotation(now, before)) return;
          const [one, other] = [before.record.obtained_at, now.record.obtained_at];
          if (other < one) broken(`${now.token} of ${other} over ${before.token} of ${one}`);
        },
      };
    },
  },
  {
    name: 'one at a time',
    sentence:
      'Where a new token ends the one before, with one container, no answer lost and no rotation: whenever an invocation is over the secret holds the token that D1 gave last.',
    holds: (facts, world) =>
      world.oneTokenAtATime &&
      world.containers === 1 &&
      world.concurrency === 1 &&
      facts.containersWell &&
      facts.secretWell &&
      facts.count('refusal') <= 10 &&
      !facts.has('rotation') &&
      !facts.has('D1 slow') &&
      !world.happenings.some((one) => one.kind === 'D1 down' && one.how !== 'unreachable' && one.how !== 'rejected'),
    check: ({ d1, current }, broken) => ({
      ended: (_invocation, ended) => {
        const { last } = d1;
        if (typeof ended === 'string' || !last) return;
        const stored = current()?.token;
        if (stored !== last.token) broken(`the secret holds ${stored}, and D1 gave ${last.token}`);
      },
    }),
  },
  {
    name: 'an ended one is replaced',
    sentence:
      'Where a new token ends the one before, and nothing else is wrong but that exchanges overlap: a stored token that was ended is replaced within 120 s (clocks that are right, a budget of forced writes that is not spent, and a second or more between what D1 gave).',
    holds: (facts, world) =>
      world.oneTokenAtATime &&
      isCalm(facts) &&
      isNewWhenAsked(world) &&
      facts.clockError === 0 &&
      !facts.has('rotation') &&
      facts.count('refusal') <= 10,
    check: ({ d1, now, current }, broken) => {
      const look = (stored: Stored | undefined) => {
        const token = d1.find(stored?.token ?? '');
        const ended = token?.endedAt;
        // Records tell whole seconds: of two tokens of the same second, nobody knows which ended the other.
        if (!token || ended === undefined || ended - token.issuedAt <= 1_000) return;
        // Where refreshes overlap again and again, the budget is spent.
        if (!stored || isBudgetSpent(stored, ended)) return;
        if (now() - ended > 122_000) {
          broken(`${stored.token} was in the secret ${seconds(now() - ended)} s after its end`);
        }
      };
      return { stored: (_now, before) => look(before), end: () => look(current()) };
    },
  },
];
