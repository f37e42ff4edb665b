import { mayChange } from '../frame/change.ts';
import { failure, usageFailure } from '../frame/cli-failure.ts';
import { openStage, type Result, runCommand, type StageSession } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { ChangeFlags, PlaceFlags } from '../frame/flags.ts';
import { invokeCheck, mustHavePassed } from '../frame/invoke.ts';
import { otherPlace, type StackKey } from '../frame/stage.ts';
import { updateStack } from '../frame/update-stack.ts';
import { recordProof } from './proof.ts';
import { described, nextSteps, type Rollover, readRollover, rolloverFacts } from './rollover-state.ts';

export interface StartFlags extends ChangeFlags {
  readonly kid: string;
}

/** The stack's parameter with the kid of a place. */
const kidParameter = (place: StackKey['place']) => (place === 'current' ? 'CurrentKeyId' : 'NextKeyId');

export async function status(this: Context, flags: PlaceFlags): Promise<void> {
  await rollover(this, 'status', flags, async (_session, now) => told(now, flags));
}

export async function start(this: Context, flags: StartFlags): Promise<void> {
  await rollover(this, 'start', flags, async (session, now) => {
    const { kid } = flags;
    if (!/^[\x21-\x7e]{1,256}$/.test(kid) || kid === 'none') {
      throw usageFailure(`The kid "${kid}" cannot be used.`, 'It is 1-256 visible ASCII characters, and not none.');
    }
    if (now.active.kid === kid) {
      throw usageFailure(
        `The kid ${kid} is that of the key that signs.`,
        'A new key has a kid of its own: agree on one with Thales.',
      );
    }
    if (now.state !== 'idle') {
      if (now.other.kid === kid && now.state === 'started') return told(now, flags, 'Nothing to do.');
      throw failure('ROLLOVER_UNDER_WAY', described(now), 'Finish that rollover first, or take it back.');
    }
    const place = otherPlace(now.active.place);
    const what = `The stack gets a second signing key, in the place ${place}, with the kid ${kid}. The first one goes on signing.`;
    const dry = await mayChange(session, flags, what);
    if (dry) return dry;
    return changed(session, { [kidParameter(place)]: kid }, flags);
  });
}

export async function check(this: Context, flags: ChangeFlags): Promise<void> {
  await rollover(this, 'check', flags, async (session, now) => {
    if (now.state !== 'started') throw notUnderWay(now);
    const { other } = now;
    const what = `The function gets a token with the candidate, kid ${other.kid}, and the key is tagged when that works.`;
    const dry = await mayChange(session, flags, what);
    if (dry) return dry;
    const { clients, configuration, progress } = session;
    const report = await invokeCheck(clients, configuration.name, { signing_key: 'next' }, progress);
    const signed = report.steps.find(({ step }) => step === 'signing_key');
    if (report.key_id !== other.kid || (signed?.outcome === 'ok' && signed.facts['key'] !== other.arn)) {
      throw failure(
        'CONFIG_CHANGED',
        'The function has another candidate than the stack.',
        'Its configuration was changed by hand: deploy again.',
      );
    }
    mustHavePassed(report, 'Nothing was changed. Has Thales confirmed the key under this kid?');
    const at = new Date(report.checked_at * 1000);
    await recordProof(clients, other, at);
    return told({ ...now, provenAt: at.getTime() }, flags);
  });
}

export async function switchKeys(this: Context, flags: ChangeFlags): Promise<void> {
  await rollover(this, 'switch', flags, async (session, now) => {
    if (now.state === 'switched') return told(now, flags, 'Nothing to do.');
    if (now.state !== 'started') throw notUnderWay(now);
    if (now.provenAt === undefined) {
      throw failure(
        'CANDIDATE_UNPROVEN',
        `No check with the candidate, kid ${now.other.kid}, has passed within a day.`,
        `d1-token key rollover check --stage ${flags.stage}`,
      );
    }
    const what = `The key ${now.other.place}, kid ${now.other.kid}, signs from now on; the old one stays in the stack.`;
    const dry = await mayChange(session, flags, what);
    if (dry) return dry;
    return changed(session, { ActiveSigningKey: now.other.place }, flags, true);
  });
}

export async function back(this: Context, flags: ChangeFlags): Promise<void> {
  await rollover(this, 'back', flags, async (session, now) => {
    if (now.state === 'idle') return told(now, flags, 'Nothing to do.');
    const isSwitched = now.state === 'switched';
    const what = isSwitched
      ? `The old key ${now.other.place}, kid ${now.other.kid}, signs again; the new one stays as the candidate.`
      : `The candidate, kid ${now.other.kid}, leaves the stack. It stays in the account; the key that signs is not touched.`;
    const dry = await mayChange(session, flags, what);
    if (dry) return dry;
    if (isSwitched) return changed(session, { ActiveSigningKey: now.other.place }, flags, true);
    return changed(session, { [kidParameter(now.other.place)]: 'none' }, flags);
  });
}

export async function finish(this: Context, flags: ChangeFlags): Promise<void> {
  await rollover(this, 'finish', flags, async (session, now) => {
    if (now.state === 'idle') return told(now, flags, 'Nothing to do.');
    if (now.state === 'started') {
      throw failure(
        'NOT_SWITCHED',
        'The candidate does not sign yet, so the old key is still needed.',
        nextSteps(now, flags.stage)[0] ?? '',
      );
    }
    const what = `The old key, kid ${now.other.kid}, leaves the stack. It stays in the account: disable it, and delete it later.`;
    const dry = await mayChange(session, flags, what);
    if (dry) return dry;
    const { clients, configuration, progress } = session;
    // The last moment in which the old key can be of use.
    mustHavePassed(
      await invokeCheck(clients, configuration.name, {}, progress),
      'The old key was left in the stack: d1-token key rollover back.',
    );
    const result = await changed(session, { [kidParameter(now.other.place)]: 'none' }, flags);
    const parameter = now.other.place === 'current' ? 'keyId' : 'nextKeyId';
    return {
      ...result,
      next: [
        `write ${parameter}: none into infra/params.yml, or the next deployment makes another key.`,
        `disable the old key, and delete it later: aws kms disable-key --key-id ${now.other.arn}`,
      ],
    };
  });
}

async function rollover<F extends PlaceFlags>(
  context: Context,
  name: string,
  flags: F,
  work: (session: StageSession, now: Rollover) => Promise<Result>,
): Promise<void> {
  await runCommand(context, `key rollover ${name}`, flags, async (session) => {
    const stage = await openStage(session);
    return work(stage, await readRollover(stage.clients, stage.stack, Date.now()));
  });
}

/** Changes the stack, and tells where the rollover is then. @param prove Whether a check must pass afterwards. */
async function changed(
  session: StageSession,
  changes: Readonly<Record<string, string>>,
  flags: ChangeFlags,
  prove = false,
): Promise<Result> {
  const stack = await updateStack(session, changes);
  if (prove) {
    const report = await invokeCheck(session.clients, session.configuration.name, {}, session.progress);
    mustHavePassed(report, `The stack was changed. The way back: d1-token key rollover back --stage ${flags.stage}`);
  }
  return told(await readRollover(session.clients, stack, Date.now()), flags);
}

function told(now: Rollover, flags: PlaceFlags, first?: string): Result {
  return {
    // A rollover that is not finished wants something done; the command itself went well.
    facts: rolloverFacts(now),
    text: [...(first === undefined ? [] : [first]), described(now)],
    next: nextSteps(now, flags.stage),
  };
}

const notUnderWay = (now: Rollover) =>
  failure('NO_ROLLOVER', described(now), 'd1-token key rollover start --kid KID begins one.');
