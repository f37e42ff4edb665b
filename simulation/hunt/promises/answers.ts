import type { IssuedToken } from '../../d1.ts';
import type { Container } from '../container.ts';
import { answerOf, isCalm, longestExchange, type PromiseRule, seconds } from '../watch.ts';

export const answers: readonly PromiseRule[] = [
  {
    name: 'answers are alive',
    sentence:
      'A token that is answered is alive by the clock of its container, and by D1, but for what clocks are off.',
    holds: () => true,
    check: ({ d1, facts, now }, broken) => ({
      ended: ({ container }, ended) => {
        const answer = answerOf(ended);
        if (!answer) return;
        const expired = container.clock.now() - answer.expires_at * 1000;
        if (expired >= 1000)
          broken(`${answer.access_token} had died ${seconds(expired)} s before, by the container's clock`);
        const over = now() - (d1.find(answer.access_token)?.diesAt ?? 0);
        if (over > 2 * facts.clockError * 1000 + 1000)
          broken(`${answer.access_token} had died ${seconds(over)} s before`);
        if (answer.expires_in !== answer.expires_at - Math.floor(container.clock.now() / 1000)) {
          broken(`expires_in ${answer.expires_in} is not what is left of ${answer.access_token}`);
        }
      },
    }),
  },
  {
    name: 'wishes up to 300 s',
    sentence: 'Likewise calm, a wish for up to 300 s is met.',
    holds: (facts, world) =>
      isCalm(facts) && world.tokenReuseUntilSeconds === undefined && facts.count('refusal') <= 10,
    check: ({ facts }, broken) => ({
      ended: ({ event, kind, refused }, ended) => {
        if (kind !== 'token' || refused || typeof ended === 'string') return;
        const wish = (event as { min_remaining_seconds?: number }).min_remaining_seconds ?? 60;
        if (wish > 300) return;
        if (ended.error) broken(`a wish for ${wish} s failed with ${ended.error.code}`);
        const answer = answerOf(ended);
        if (answer && answer.expires_in < wish - 2 * facts.clockError - 1)
          broken(`a wish for ${wish} s got ${answer.expires_in} s`);
      },
    }),
  },
  {
    name: 'newest wins',
    sentence:
      'A container never answers with a token that came before one that it has obtained and that lives, its own last one included, whoever wins the swap (clocks that are right; within 5 s, but for twice what they are off, 1 s and one exchange).',
    holds: (facts) => facts.clockError <= 5 && !facts.has('moved back', 'foreign value', 'clock steps'),
    check: ({ world, d1, facts, now, arrivedAt, isRepeated, refused: refusedTokens }, broken) => {
      const newest = new Map<Container, IssuedToken>();
      const longest = longestExchange(world);
      // Tokens are ordered by when they came, in whole seconds. Clocks that differ can't tell which of two is the younger.
      const slack = facts.clockError === 0 ? 0 : 2 * facts.clockError * 1000 + 1000 + longest * 1000;
      return {
        obtained: (container, token, working) => {
          // A rotation's token is the secret's, under AWSPENDING. A token that is repeated keeps its place.
          if (working.some(({ kind }) => kind === 'rotation') || isRepeated(token)) return;
          newest.set(container, token);
        },
        ended: ({ container, obtained }, ended) => {
          const answer = answerOf(ended);
          const own = newest.get(container);
          const answered = answer && d1.find(answer.access_token);
          if (!answered || !own || own === answered || refusedTokens.has(own.token)) return;
          if (own.diesAt <= now() + (2 + longest + facts.clockError) * 1000) return;
          // Of two that came in the same second either will do, but for the one that the call itself has brought.
          const second = Math.floor((arrivedAt(own) - slack) / 1000);
          if (answer.obtained_at >= second + (obtained.at(-1) === own.number ? 1 : 0)) return;
          if (arrivedAt(answered) < arrivedAt(own) - slack) {
            broken(`${answered.token} was answered, and ${own.token} is known`);
          }
        },
      };
    },
  },
  {
    name: 'callers are served',
    sentence:
      'With D1 well, a caller that refuses nothing gets a token, whatever the secret comes to (tokens of 60 s or more, clocks within 5 s).',
    holds: (facts, world) =>
      facts.d1Well &&
      facts.containersWell &&
      facts.clockError <= 5 &&
      world.timeoutSeconds === 90 &&
      world.tokenReuseUntilSeconds === undefined &&
      Math.min(...world.lives) >= 60,
    check: (_watch, broken) => ({
      ended: ({ kind, event }, ended) => {
        if (kind !== 'token' || typeof ended === 'string' || !ended.error) return;
        broken(`${JSON.stringify(event)} got ${ended.error.code}`);
      },
    }),
  },
  {
    name: 'the token in hand',
    sentence:
      'A caller that refuses nothing gets no error while its container holds a token that lives, for all that D1 has told it (tokens of equal life, clocks within 5 s).',
    holds: (facts) => facts.clockError <= 5 && facts.lifetime !== undefined && !facts.has('frozen', 'clock steps'),
    check: ({ world, d1, facts, now, isRepeated }, broken) => {
      /** Until when it lives, as the container was told: D1 may have put the end off, and the answer got lost. */
      const held = new Map<Container, { token: IssuedToken; until: number }>();
      const margin = (2 + longestExchange(world) + facts.clockError) * 1000;
      return {
        obtained: (container, token, working, seconds) => {
          if (working.some(({ kind }) => kind === 'rotation') || isRepeated(token)) return;
          held.set(container, { token, until: now() + seconds * 1000 });
        },
        ended: ({ kind, event, container }, ended) => {
          const answer = answerOf(ended);
          const answered = answer && d1.find(answer.access_token);
          if (answered) held.set(container, { token: answered, until: answer.expires_at * 1000 });
          if (kind !== 'token' || typeof ended === 'string' || !ended.error) return;
          const own = held.get(container);
          if (own && Math.min(own.until, own.token.diesAt) > now() + margin) {
            broken(`${JSON.stringify(event)} got ${ended.error.code}, and ${own.token.token} is held`);
          }
        },
      };
    },
  },
  {
    name: 'no false alarms',
    sentence:
      'With D1 and Secrets Manager well, no tick fails, also where the timeout is as short as 4 s and an exchange takes no more than 0.6 s (clocks within 5 s).',
    holds: (facts, world) =>
      facts.d1Well &&
      facts.secretWell &&
      facts.containersWell &&
      facts.clockError <= 5 &&
      facts.count('refusal') <= 10 &&
      world.tokenReuseUntilSeconds === undefined &&
      (world.timeoutSeconds === 90 || world.exchangeTakes[1] <= 600),
    check: (_watch, broken) => ({
      ended: ({ kind }, ended) => {
        if (kind === 'tick' && typeof ended === 'object' && ended.error) broken(`a tick failed: ${ended.error.code}`);
      },
    }),
  },
  {
    name: 'errors',
    sentence: 'What comes out is an answer or an error of the list, never INTERNAL, and comes before the timeout.',
    holds: () => true,
    check: ({ facts }, broken) => ({
      ended: ({ event, kind }, ended) => {
        if (ended === 'timed out' && !facts.has('frozen')) broken(`${kind} ${JSON.stringify(event)} timed out`);
        if (typeof ended === 'object' && ended.error?.code === 'INTERNAL') {
          broken(`${kind} ${JSON.stringify(event)}: ${ended.error.what}`);
        }
      },
    }),
  },
];
