import type { Container } from '../container.ts';
import type { Invocation, Stored } from '../watch.ts';
import { isCalm, isShort, type PromiseRule, seconds } from '../watch.ts';

export const writes: readonly PromiseRule[] = [
  {
    name: 'writes',
    sentence:
      'With ticks on time, tokens of 900 s, no outage and a healthy Secrets Manager, whatever D1 repeats (but for a token whose end it puts off): at most 145 versions become current in any 24 hours, 169 with forced ones, and one more for each rotation; pro rata in an hour and in six.',
    holds: (facts, world) => isCalm(facts) && world.lengthens === 0,
    check: ({ facts, world }, broken) => {
      const writes: number[] = [];
      const rotations: number[] = [];
      // Where two containers ask D1 at once, the younger token takes the older one's place, on the budget of forced writes.
      const hasForced = facts.has('refusal') || world.containers > 1 || world.concurrency > 1;
      return {
        stored: ({ at, by }) => {
          if (by === 'rotation') {
            rotations.push(at);
            return;
          }
          writes.push(at);
          for (const hours of [1, 6, 24]) {
            const since = at - hours * 3_600_000;
            const most = 6 * hours + 1 + (hasForced ? 12 + Math.floor(hours / 2) : 0);
            const rotated = rotations.filter((moment) => moment > since).length;
            const first = writes.at(-most - rotated - 1);
            if (first !== undefined && at - first < hours * 3_600_000 - 2_000) {
              broken(`${most + rotated + 1} versions in ${seconds(at - first)} s`);
            }
          }
        },
      };
    },
  },
  {
    name: 'the bill',
    sentence:
      'What is written ahead of its pace is on the bill of forced writes: two hours more, twelve times two hours at most, so 24 in any 24 hours. Every write and every rotation carries the bill on (clocks within 5 s; not what was written while a rotation was under way, or AWSCURRENT was moved by hand).',
    holds: ({ clockError }) => clockError <= 5,
    check: ({ facts }, broken) => {
      const slack = 2 * facts.clockError + 1;
      let lastMove = Number.NEGATIVE_INFINITY;
      return {
        stored: (now, before) => {
          const movedAt = lastMove;
          if (now.by !== 'write') lastMove = now.at;
          if (now.by === 'hand' || !now.record || !before?.record) return;
          const [bill, old] = [billOf(now), billOf(before)];
          const moment = now.at / 1000;
          // A label that is moved is no successor: who read before, writes past it.
          const isMeanwhile = now.at - movedAt < INVOCATION_MILLISECONDS || before.at >= now.writtenAt;
          if (bill < old && old > moment + slack && !isMeanwhile) {
            broken(`the bill of ${before.token} is not carried on by ${now.token}`);
          }
          if (bill > moment + MOST_ON_THE_BILL + slack) broken(`the bill of ${now.token} is beyond the budget`);
          if (now.by === 'rotation' || isMeanwhile || !isEarly(now, before, slack)) return;
          // A write is decided on before it arrives: tries and waits may lie between.
          if (bill < Math.max(old, moment - 120) + FORCED_WRITE_COSTS) {
            broken(
              `${now.token} was written ${seconds(now.at - before.writtenAt)} s after ${before.token}, off the bill`,
            );
          }
        },
      };
    },
  },
  {
    name: 'short lives',
    sentence:
      'At most one write per max(60 s, life - window), but for what is on the bill of forced writes, where ticks are on time, nothing is refused and D1 puts no end off, for tokens that live 60-900 s (clocks within 2 s).',
    holds: (facts, world) =>
      isShort(facts) &&
      world.lengthens === 0 &&
      (facts.lifetime ?? 0) >= 60 &&
      facts.clockError <= 2 &&
      !facts.has('refusal', 'rotation'),
    check: ({ facts, world }, broken) => {
      const pace = Math.min(600, Math.max(60, (facts.lifetime ?? 900) - facts.window));
      const slack = 2 * facts.clockError + world.exchangeTakes[1] / 1000 + 1.5;
      return {
        stored: (now, before) => {
          // Two containers asked D1 at once: the younger token may have ended the older, and replaces it, on the bill.
          if (before && billOf(now) > billOf(before)) return;
          if (before && now.at - before.at < (pace - slack) * 1000) {
            broken(`${now.token} ${seconds(now.at - before.at)} s after ${before.token}, and the pace is ${pace} s`);
          }
        },
      };
    },
  },
  {
    name: 'no repeats',
    sentence:
      'No two versions in a row hold the same token, whatever D1 repeats, unless D1 promises it more than 5 s beyond its known end (clocks within 2 s; not within 90 s of a rotation, or of a value or label that came by hand).',
    holds: ({ clockError }) => clockError <= 2,
    check: (_watch, broken) => {
      let lastMove = Number.NEGATIVE_INFINITY;
      return {
        stored: (now, before) => {
          const movedAt = lastMove;
          if (now.by !== 'write') lastMove = now.at;
          if (now.by === 'hand' || !before?.token || now.token !== before.token) return;
          if (now.at - movedAt < INVOCATION_MILLISECONDS) return;
          const longer = (now.record?.expires_at ?? 0) - (before.record?.expires_at ?? 0);
          if (longer <= 5) broken(`${now.token} was stored twice`);
        },
      };
    },
  },
  {
    name: 'questions end',
    sentence:
      'One invocation asks D1 25 times at most: once, and every half second for 10 s after the end of a token that it repeats.',
    holds: ({ clockError, has }, { concurrency }) => concurrency === 1 && clockError <= 5 && !has('clock steps'),
    check: ({ working }, broken) => {
      const questions = new Map<Invocation, number>();
      return {
        exchanging: (container) => {
          const [invocation] = working(container);
          if (!invocation) return;
          const count = (questions.get(invocation) ?? 0) + 1;
          questions.set(invocation, count);
          if (count > 25) broken(`a ${invocation.kind} has asked D1 ${count} times`);
        },
        ended: (invocation) => void questions.delete(invocation),
      };
    },
  },
  {
    name: 'seen through',
    sentence:
      'A container that has seen a version within 9 s is not led by an older read to write it again (where nobody else moves labels, clocks within 5 s).',
    holds: ({ has, clockError }) => clockError <= 5 && !has('moved back', 'foreign value', 'clock steps'),
    check: ({ now }, broken) => {
      const seen = new WeakMap<Container, Map<string, number>>();
      return {
        saw: (container, versionId) => {
          const versions = seen.get(container) ?? new Map<string, number>();
          seen.set(container, versions.set(versionId, now()));
        },
        putting: (container, versionId) => {
          const ago = now() - (seen.get(container)?.get(versionId) ?? Number.NEGATIVE_INFINITY);
          if (ago < 9_000)
            broken(`container ${container.index} asks to write a version that it saw ${seconds(ago)} s ago`);
        },
      };
    },
  },
  {
    name: 'refreshed is so',
    sentence:
      'The version that a tick says it wrote was current at some time while the tick ran (but for a tick within 10 s after AWSCURRENT was moved back by hand, where reads are seconds behind).',
    holds: () => true,
    check: ({ world, now, current }, broken) => {
      const ends = new Map<string, number>();
      const isBehind = world.happenings.some((one) => one.kind === 'secret service' && one.how === 'stale');
      let movedAt = Number.NEGATIVE_INFINITY;
      return {
        stored: ({ by }, before) => {
          if (by === 'hand') movedAt = now();
          if (before) ends.set(before.versionId, now());
        },
        ended: ({ kind, beganAt }, ended) => {
          if (isBehind && beganAt - movedAt < 10_000) return;
          if (kind !== 'tick' || typeof ended === 'string' || ended.answer?.['refreshed'] !== true) return;
          const versionId = String(ended.answer['version_id']);
          if (current()?.versionId === versionId || (ends.get(versionId) ?? 0) >= beganAt) return;
          broken(`a tick says that it refreshed, and what it wrote was not current`);
        },
      };
    },
  },
];

const FORCED_WRITE_COSTS = 7_200;
const INVOCATION_MILLISECONDS = 90_000;
const MOST_ON_THE_BILL = 12 * FORCED_WRITE_COSTS;

/** Seconds since 1970 UTC. */
const billOf = ({ record }: Stored): number => record?.forced_writes_settled_at ?? 0;

/** Whether a version was written before the pace of the one that it replaced allowed it. @param slack Seconds. */
function isEarly(now: Stored, before: Stored, slack: number): boolean {
  if (!before.record) return false;
  const { expires_in: life, expires_at: end } = before.record;
  const window = Math.min(300, life / 2);
  const pace = Math.min(600, Math.max(60, life - window));
  const isUrgent = end - now.at / 1000 <= (pace > 60 ? window * 0.6 : 0) + slack;
  return !isUrgent && now.at - before.writtenAt < (pace - slack) * 1000;
}
