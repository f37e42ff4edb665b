import type { Container } from '../container.ts';
import type { Stored } from '../watch.ts';
import {
  areShortOutages,
  hasRoom,
  isBudgetSpent,
  isCalm,
  isNewWhenAsked,
  isShort,
  lastFault,
  longestExchange,
  type PromiseRule,
  seconds,
  TICK_GRACE,
} from '../watch.ts';

export const life: readonly PromiseRule[] = [
  {
    name: '237 s',
    sentence:
      'With ticks on time, tokens of 900 s, no revocation and no outage, clocks within 5 s, a healthy Secrets Manager, a refresh of at most 2 s, no rotation that D1 tells of a later end of the stored token, and a budget of forced writes that refusals and overlaps have not spent, the secret never has less than 237 s left (less twice what the clocks are off).',
    holds: (facts, world) => isCalm(facts) && isNewWhenAsked(world) && facts.count('refusal') <= 10,
    check: ({ d1, facts, now, current }, broken) => {
      const bound = (237 - 2 * facts.clockError) * 1000;
      const look = (stored: Stored | undefined) => {
        // What the budget has kept out of the secret is stored minutes later, and restarts the pace: 180 s are left then.
        if (!stored || isBudgetSpent(stored, stored.at)) return;
        const left = (d1.find(stored.token ?? '')?.diesAt ?? 0) - now();
        if (left < bound) broken(`${stored.token} had ${seconds(left)} s left in the secret`);
      };
      return { stored: (_now, before) => look(before), end: () => look(current()) };
    },
  },
  {
    name: 'short lives last',
    sentence:
      'Likewise, for tokens that live 130-899 s: the secret never has less than its window (300 s, or half the life) less 63 s left.',
    holds: (facts, world) =>
      isShort(facts) &&
      facts.lifetime !== undefined &&
      facts.lifetime >= 130 &&
      facts.lifetime < 900 &&
      isNewWhenAsked(world, facts.window) &&
      facts.count('refusal') <= 10,
    check: ({ d1, facts, now, current }, broken) => {
      const bound = (facts.window - 63 - 2 * facts.clockError) * 1000;
      const look = (stored: Stored | undefined) => {
        // What the budget has kept out of the secret is stored minutes later, and restarts the pace: 180 s are left then.
        if (!stored || isBudgetSpent(stored, stored.at)) return;
        const left = (d1.find(stored.token ?? '')?.diesAt ?? 0) - now();
        if (left < bound) broken(`${stored.token} had ${seconds(left)} s left in the secret`);
      };
      return { stored: (_now, before) => look(before), end: () => look(current()) };
    },
  },
  {
    name: 'the gap of a repeated token',
    sentence:
      'Where D1 repeats a token until it has died, ticks are on time, tokens live 150 s or longer, clocks are right, an exchange takes at most 1.5 s, and nothing else is wrong, the secret is without a live token for at most 2 s, one exchange and one write.',
    // The first question may be on its way when the token dies, and bring it once more: then half a second, and the next.
    holds: (facts, { tokenReuseUntilSeconds: reuse, exchangeTakes }) =>
      isShort(facts) &&
      reuse !== undefined &&
      reuse >= 0 &&
      (facts.lifetime ?? 0) >= 150 &&
      facts.clockError === 0 &&
      exchangeTakes[1] <= 1_500,
    check: ({ world, d1, now, current }, broken) => {
      const most = 2_000 + world.exchangeTakes[1] + 20 + world.requestTakes[1];
      const look = (stored: Stored | undefined) => {
        const gap = now() - (d1.find(stored?.token ?? '')?.diesAt ?? 0);
        if (stored && gap > most) broken(`${stored.token} had been dead for ${seconds(gap)} s in the secret`);
      };
      return { stored: (_now, before) => look(before), end: () => look(current()) };
    },
  },
  {
    name: 'an end that is put off',
    sentence:
      'When D1 gives a tick the stored token again and promises it a longer life, the secret says so when the tick ends without an error (but for 5 s and one exchange; clocks within 2 s; not when another end was stored while the tick ran, and the budget of forced writes is spent).',
    holds: (facts, world) =>
      world.lengthens > 0 && facts.secretWell && facts.clockError <= 2 && !facts.has('rotation', 'D1 slow'),
    check: ({ world, facts, now, current }, broken) => {
      const ends = new Map<Container, number>();
      const slack = (7 + 2 * longestExchange(world) + 2 * facts.clockError) * 1000;
      return {
        obtained: (container, _token, _working, left) => void ends.set(container, now() + left * 1000),
        ended: ({ kind, obtained, container, beganAt }, ended) => {
          const number = obtained.at(-1);
          const stored = current();
          if (kind !== 'tick' || typeof ended === 'string' || ended.error || number === undefined) return;
          if (!stored?.record || stored.token !== `token-${number}`) return;
          // The pace begins anew with another end, and there is no budget to write ahead of it: the next tick stores this one.
          if (stored.at >= beganAt && isBudgetSpent(stored, now())) return;
          const late = (ends.get(container) ?? 0) - stored.record.expires_at * 1000;
          if (late > slack) broken(`${stored.token} lives ${seconds(late)} s longer than the secret says`);
        },
      };
    },
  },
  {
    name: 'outages below 175 s',
    sentence:
      'With ticks on time, tokens of 900 s, clocks that are right, and nothing else wrong, an outage of D1 of less than 175 s, half an hour or more from the next, leaves the secret with a live token throughout.',
    holds: (facts, world) =>
      facts.ticksOnTime &&
      facts.secretWell &&
      facts.containersWell &&
      facts.clockError === 0 &&
      facts.lifetime === 900 &&
      !facts.has('revoked', 'D1 slow') &&
      !world.oneTokenAtATime &&
      isNewWhenAsked(world) &&
      areShortOutages(world.happenings),
    check: ({ d1, now, current }, broken) => {
      const look = (stored: Stored | undefined) => {
        const late = now() - d1.diesAt(stored?.token ?? '');
        if (stored && late >= 0) broken(`the secret held the dead ${stored.token} for ${seconds(late)} s`);
      };
      return { stored: (_now, before) => look(before), end: () => look(current()) };
    },
  },
  {
    name: 'heals',
    sentence:
      'From two ticks after the last fault on, the secret holds a live token (of those that live 240 s or longer; of those from 180 s on, it does after these two ticks; AWSCURRENT moved back by hand twice at most; where there is a version quota, of 190 or more, tokens of 900 s whose end is not put off by less than ten minutes; but for the gap of a token that D1 repeats until its death, 15 s at most with a timeout of 90 s).',
    holds: (facts, world) =>
      Math.min(...world.lives) >= 180 &&
      facts.clockError <= 5 &&
      hasRoom(world) &&
      (world.tokenReuseUntilSeconds ?? 0) >= 0 &&
      (world.tokenReuseUntilSeconds === undefined || world.timeoutSeconds === 90) &&
      facts.count('moved back') <= 2 &&
      lastFault(world.happenings) + 140 < world.hours * 3600,
    check: ({ world, d1, at, now, current, startsAt, refused }, broken) => {
      const from = startsAt + (lastFault(world.happenings) + 125 + TICK_GRACE) * 1000;
      const look = (stored: Stored | undefined) => {
        const token = d1.find(stored?.token ?? '');
        if (!token) return broken('the secret holds no token of D1');
        if (now() >= token.diesAt && !refused.has(token.token)) {
          const { tokenReuseUntilSeconds: reuse } = world;
          const gap = now() - token.diesAt;
          if (reuse === undefined || gap > 15_000) broken(`${token.token} has been dead for ${seconds(gap)} s`);
        }
      };
      at(from, () => look(current()));
      const isLong = Math.min(...world.lives) >= 240;
      return {
        stored: (_now, before) => isLong && from <= now() && look(before),
        end: () => from <= now() && look(current()),
      };
    },
  },
  {
    name: 'honest end',
    sentence: 'No stored token is said to live longer than it does, but for what the clock is off.',
    holds: () => true,
    check: ({ d1, facts }, broken) => ({
      stored: ({ record, token, by }) => {
        const issued = d1.find(token ?? '');
        if (by === 'hand' || !record || !issued) return;
        const over = record.expires_at * 1000 - issued.diesAt;
        if (over > facts.clockError * 1000 + 1) broken(`${token} is said to live ${seconds(over)} s too long`);
      },
    }),
  },
];
