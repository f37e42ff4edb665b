import type { IssuedToken } from '../../d1.ts';
import type { Container } from '../container.ts';
import { answerOf, isBudgetSpent, isPaced, type PromiseRule, seconds } from '../watch.ts';

export const refusals: readonly PromiseRule[] = [
  {
    name: 'never the refused',
    sentence:
      'An answer to `newer_than` or `refused` is never the refused token, nor one obtained before it. `newer_than` without `refused` cannot tell a token that D1 repeats to a container that cannot read the secret, or whose clock is more than 2 s off.',
    holds: () => true,
    check: ({ world, facts }, broken) => ({
      ended: ({ refused, event, obtained }, ended) => {
        const answer = answerOf(ended);
        if (!answer || !refused || refused.saying === 'force') return;
        // To who has not seen it a repeated token is a new one, obtained now.
        const isRepeated = world.tokenReuseUntilSeconds !== undefined && obtained.length > 0;
        const isUnseen = isRepeated && facts.has('secret service', 'deleted', 'foreign value', 'moved back');
        const isUnclear = refused.saying === 'newer_than' && (isUnseen || facts.clockError > 2);
        if (answer.access_token === refused.token && !isUnclear) broken(`${refused.token} was refused, and answered`);
        if ('newer_than' in event && facts.clockError <= 2 && answer.obtained_at <= refused.obtainedAt) {
          broken(`${answer.access_token} was not obtained after ${refused.token}`);
        }
      },
    }),
  },
  {
    name: 'the refused leaves the secret',
    sentence:
      'A refused token that an invocation got a replacement for is out of the secret when it ends, or after the next event of its container that finds Secrets Manager well.',
    holds: (facts, world) =>
      facts.count('refusal') <= 10 &&
      !facts.has('moved back', 'foreign value', 'deleted') &&
      world.versionQuota === 'none' &&
      world.tokenReuseUntilSeconds === undefined &&
      facts.clockError <= 5 &&
      !facts.has('frozen') &&
      world.concurrency === 1,
    check: ({ d1, now, current, isTrouble }, broken) => {
      const owed = new Map<Container, { refused: string; replacement: number; since: number }>();
      return {
        ended: ({ container, refused, kind, beganAt, obtained }, ended) => {
          if (typeof ended === 'string') {
            owed.delete(container);
            return;
          }
          const debt = owed.get(container);
          if (debt) {
            const replacement = d1.find(`token-${debt.replacement}`);
            const suits =
              kind === 'tick' || (replacement && replacement.diesAt - beganAt > replacement.lifetimeSeconds * 900);
            const isCounted =
              kind !== 'rotation' && suits && beganAt - debt.since > 11_000 && !isTrouble(beganAt - 60_000, now());
            if (current()?.token !== debt.refused) owed.delete(container);
            else if (isCounted && !ended.error) {
              broken(
                `${debt.refused} is in the secret still, ${seconds(now() - debt.since)} s after token-${debt.replacement} was answered`,
              );
            }
          }
          const answer = answerOf(ended);
          const number = obtained.at(-1);
          if (!refused || !answer || number === undefined || current()?.token !== refused.token) return;
          if (answer.access_token === refused.token) return;
          const stored = current();
          if (stored && isBudgetSpent(stored, now())) return;
          if (!isTrouble(beganAt - 60_000, now())) {
            broken(`${refused.token} is in the secret, though token-${number} was obtained in its place and answered`);
          }
          owed.set(container, { refused: refused.token, replacement: number, since: now() });
        },
      };
    },
  },
  {
    name: 'the floor of refusals',
    sentence: 'One exchange a minute and container for refusals (where the stored token lives and is not due).',
    holds: (facts, world) =>
      world.concurrency === 1 &&
      facts.secretWell &&
      facts.lifetime === 900 &&
      facts.clockError <= 5 &&
      !facts.has('clock steps'),
    check: (watch, broken) => {
      const last = new Map<Container, number>();
      return {
        exchanging: (container) => {
          if (watch.working(container)[0]?.kind !== 'refusal' || !isPaced(watch)) return;
          const before = last.get(container);
          last.set(container, watch.now());
          if (before !== undefined && watch.now() - before < 59_900) {
            broken(`a second exchange after ${seconds(watch.now() - before)} s in container ${container.index}`);
          }
        },
      };
    },
  },
  {
    name: 'a wish is a wish',
    sentence:
      'A caller without a refusal causes no exchange while the stored token lives, is not due, and was written before the call and less than ten minutes ago.',
    holds: (facts, world) =>
      world.concurrency === 1 &&
      facts.secretWell &&
      facts.lifetime === 900 &&
      facts.clockError <= 5 &&
      !facts.has('clock steps', 'frozen'),
    check: (watch, broken) => ({
      exchanging: (container) => {
        const [invocation] = watch.working(container);
        if (invocation?.kind !== 'token' || !isPaced(watch)) return;
        // Who waits for the pace waits beside the tick that does, and asks when it does.
        if ((watch.current()?.at ?? 0) >= invocation.beganAt) return;
        broken(
          `${JSON.stringify(invocation.event)} asked D1, ${seconds(watch.now() - (watch.current()?.writtenAt ?? 0))} s after a write`,
        );
      },
    }),
  },
  {
    name: 'a replacement is given',
    sentence:
      'Who names the refused token, and whose call got another one from D1, gets it, also where clocks are up to 20 s off (tokens of 180 s or more).',
    holds: (facts, world) =>
      facts.clockError <= 20 &&
      Math.min(...world.lives) >= 180 &&
      world.tokenReuseUntilSeconds === undefined &&
      !facts.has('clock steps', 'frozen', 'D1 slow'),
    check: ({ d1 }, broken) => {
      const byRotations = new Set<IssuedToken>();
      return {
        obtained: (_container, token, working) => {
          // A rotation's token is the secret's, under AWSPENDING.
          if (working.some(({ kind }) => kind === 'rotation')) byRotations.add(token);
        },
        ended: ({ refused, obtained, beganAt, event }, ended) => {
          if (!refused || refused.saying === 'force' || typeof ended === 'string') return;
          const token = d1.find(`token-${obtained.at(-1)}`);
          if (
            !token ||
            byRotations.has(token) ||
            token.token === refused.token ||
            token.issuedAt < beganAt ||
            !ended.error
          )
            return;
          if (ended.error.code === 'REPLACEMENT_NOT_READY') {
            broken(`${JSON.stringify(event)} got ${token.token}, and was told that there is no other`);
          }
        },
      };
    },
  },
  {
    name: 'a wrong date is no shield',
    sentence:
      'A token that a clock which was minutes ahead has dated into the future is refused as any other: when a call has got another one in its place, and its clock is right, it is out of the secret.',
    holds: (facts, world) =>
      facts.clockError > 60 &&
      facts.has('clock steps') &&
      facts.secretWell &&
      world.concurrency === 1 &&
      !facts.has('frozen', 'killed', 'D1 slow', 'D1 down') &&
      world.tokenReuseUntilSeconds === undefined,
    check: ({ now, current }, broken) => ({
      ended: ({ container, refused, obtained }, ended) => {
        const answer = answerOf(ended);
        const stored = current();
        if (!answer || !refused || obtained.length === 0 || answer.access_token === refused.token) return;
        if (!stored?.record || stored.token !== refused.token || Math.abs(container.clock.now() - now()) > 100) return;
        if (stored.record.obtained_at < now() / 1000 + 61) return;
        if (isBudgetSpent(stored, now())) return;
        broken(
          `${refused.token} is in the secret, though ${answer.access_token} was obtained in its place and answered`,
        );
      },
    }),
  },
  {
    name: 'callers take turns',
    sentence:
      'Callers that refuse nothing ask D1 no sooner than 10 s after their container asked last, while the stored token lives (Secrets Manager well, clocks within 5 s).',
    holds: (facts, world) =>
      world.concurrency === 1 &&
      facts.secretWell &&
      facts.clockError <= 5 &&
      !facts.has('clock steps', 'frozen', 'rotation', 'revoked'),
    check: ({ facts, working, now, current }, broken) => {
      const asked = new WeakMap<Container, number>();
      return {
        exchanging: (container) => {
          const before = asked.get(container);
          asked.set(container, now());
          const [invocation] = working(container);
          const end = (current()?.record?.expires_at ?? 0) * 1000;
          if (invocation?.kind !== 'token' || before === undefined || now() + (facts.clockError + 1) * 1000 > end)
            return;
          if (now() - before < 9_500) {
            broken(`${JSON.stringify(invocation.event)} asked D1 ${seconds(now() - before)} s after the last time`);
          }
        },
      };
    },
  },
];
