import { mayChange } from '../frame/change.ts';
import { failure, usageFailure } from '../frame/cli-failure.ts';
import { openStage, type Result, runCommand, type StageSession } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { ChangeFlags, PlaceFlags } from '../frame/flags.ts';
import { invokeCheck, mustHavePassed } from '../frame/invoke.ts';
import { type KeyParamsFile, openKeyParams, type ToldParams, toldParams } from '../frame/key-params.ts';
import { otherPlace, type StackKey } from '../frame/stage.ts';
import { updateStack } from '../frame/update-stack.ts';
import { recordProof } from './proof.ts';
import { described, nextSteps, type Rollover, readRollover, rolloverFacts } from './rollover-state.ts';

export interface StatusFlags extends PlaceFlags {
  readonly file?: string;
}

export interface RolloverFlags extends ChangeFlags {
  readonly file?: string;
}

export interface StartFlags extends RolloverFlags {
  readonly kid: string;
}

/** A session that also knows the file that the next deployment goes by. */
interface RolloverSession extends StageSession {
  readonly params: KeyParamsFile;
}

/** The stack's parameter with the kid of a place. */
const kidParameter = (place: StackKey['place']) => (place === 'current' ? 'CurrentKeyId' : 'NextKeyId');

export async function status(this: Context, flags: StatusFlags): Promise<void> {
  await rollover(this, 'status', flags, async ({ params, stack }, now) => {
    const found = params.compare(stack.parameters);
    const file = toldParams(params, found, stack.parameters, 'looked');
    // Outside a checkout nobody can tell, and nothing is wrong.
    const isOutside = found.kind === 'unknown';
    const result = told(now, flags, isOutside ? { ...file, next: [] } : file);
    return found.kind === 'differs' ? { ...result, outcome: 'attention' } : result;
  });
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
      if (now.other.kid === kid && now.state === 'started') return nothingToDo(session, now, flags);
      throw failure('ROLLOVER_UNDER_WAY', described(now), 'Finish that rollover first, or take it back.');
    }
    const place = otherPlace(now.active.place);
    const what = `The stack gets a second signing key, in the place ${place}, with the kid ${kid}. The first one goes on signing.`;
    return change(session, flags, what, { [kidParameter(place)]: kid });
  });
}

export async function check(this: Context, flags: RolloverFlags): Promise<void> {
  await rollover(this, 'check', flags, async (session, now) => {
    if (now.state !== 'started') throw notUnderWay(now);
    const { other } = now;
    const what = `The function gets a token with the candidate, kid ${other.kid}, and the key is tagged when that works.`;
    const dry = await mayChange(session, flags, what);
    if (dry) return withParams(dry, session, session.stack.parameters);
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
    return told({ ...now, provenAt: at.getTime() }, flags, await written(session, session.stack.parameters));
  });
}

export async function switchKeys(this: Context, flags: RolloverFlags): Promise<void> {
  await rollover(this, 'switch', flags, async (session, now) => {
    if (now.state === 'switched') return nothingToDo(session, now, flags);
    if (now.state !== 'started') throw notUnderWay(now);
    if (now.provenAt === undefined) {
      throw failure(
        'CANDIDATE_UNPROVEN',
        `No check with the candidate, kid ${now.other.kid}, has passed within a day.`,
        `d1-token key rollover check --stage ${flags.stage}`,
      );
    }
    const what = `The key ${now.other.place}, kid ${now.other.kid}, signs from now on; the old one stays in the stack.`;
    return change(session, flags, what, { ActiveSigningKey: now.other.place }, true);
  });
}

export async function back(this: Context, flags: RolloverFlags): Promise<void> {
  await rollover(this, 'back', flags, async (session, now) => {
    if (now.state === 'idle') return nothingToDo(session, now, flags);
    if (now.state === 'switched') {
      const what = `The old key ${now.other.place}, kid ${now.other.kid}, signs again; the new one stays as the candidate.`;
      return change(session, flags, what, { ActiveSigningKey: now.other.place }, true);
    }
    const what = `The candidate, kid ${now.other.kid}, leaves the stack. It stays in the account; the key that signs is not touched.`;
    return change(session, flags, what, { [kidParameter(now.other.place)]: 'none' });
  });
}

export async function finish(this: Context, flags: RolloverFlags): Promise<void> {
  await rollover(this, 'finish', flags, async (session, now) => {
    if (now.state === 'idle') return nothingToDo(session, now, flags);
    if (now.state === 'started') {
      throw failure(
        'NOT_SWITCHED',
        'The candidate does not sign yet, so the old key is still needed.',
        nextSteps(now, flags.stage)[0] ?? '',
      );
    }
    const what = `The old key, kid ${now.other.kid}, leaves the stack. It stays in the account: disable it, and delete it later.`;
    const changes = { [kidParameter(now.other.place)]: 'none' };
    const dry = await mayChange(session, flags, what);
    if (dry) return withParams(dry, session, withChanges(session.stack.parameters, changes));
    const { clients, configuration, progress } = session;
    // The last moment in which the old key can be of use.
    mustHavePassed(
      await invokeCheck(clients, configuration.name, {}, progress),
      'The old key was left in the stack: d1-token key rollover back.',
    );
    const result = await changed(session, flags, changes);
    const disable = `disable the old key, and delete it later: aws kms disable-key --key-id ${now.other.arn}`;
    return { ...result, next: [...(result.next ?? []), disable] };
  });
}

async function rollover<F extends StatusFlags>(
  context: Context,
  name: string,
  flags: F,
  work: (session: RolloverSession, now: Rollover) => Promise<Result>,
): Promise<void> {
  await runCommand(context, `key rollover ${name}`, flags, async (session) => {
    const stage = await openStage(session);
    const [params, now] = await Promise.all([
      openKeyParams(flags, stage.place.issuerId),
      readRollover(stage.clients, stage.stack, Date.now()),
    ]);
    return work({ ...stage, params }, now);
  });
}

/** @param prove Whether a check must pass afterwards. */
async function change(
  session: RolloverSession,
  flags: RolloverFlags,
  what: string,
  changes: Readonly<Record<string, string>>,
  prove = false,
): Promise<Result> {
  const dry = await mayChange(session, flags, what);
  if (dry) return withParams(dry, session, withChanges(session.stack.parameters, changes));
  return changed(session, flags, changes, prove);
}

/** Changes the stack and the file, and tells where the rollover is then. */
async function changed(
  session: RolloverSession,
  flags: RolloverFlags,
  changes: Readonly<Record<string, string>>,
  prove = false,
): Promise<Result> {
  const stack = await updateStack(session, changes);
  // Before anything can fail: the file says what the stack is.
  const file = await written(session, stack.parameters);
  if (prove) {
    const report = await invokeCheck(session.clients, session.configuration.name, {}, session.progress);
    mustHavePassed(report, `The stack was changed. The way back: d1-token key rollover back --stage ${flags.stage}`);
  }
  return told(await readRollover(session.clients, stack, Date.now()), flags, file);
}

/** The laptop may have been closed before the file was written. */
async function nothingToDo(session: RolloverSession, now: Rollover, flags: RolloverFlags): Promise<Result> {
  const { params, stack } = session;
  const file = flags.dryRun
    ? toldParams(params, params.compare(stack.parameters), stack.parameters, 'would write')
    : await written(session, stack.parameters);
  return told(now, flags, { ...file, text: [...file.text, 'Nothing else to do.'] });
}

type Parameters = RolloverSession['stack']['parameters'];

const withChanges = (parameters: Parameters, changes: Readonly<Record<string, string>>): Parameters =>
  new Map([...parameters, ...Object.entries(changes)]);

const written = async ({ params }: RolloverSession, parameters: Parameters) =>
  toldParams(params, await params.write(parameters), parameters, 'wrote');

function withParams(dry: Result, { params }: RolloverSession, parameters: Parameters): Result {
  const { text, fact } = toldParams(params, params.compare(parameters), parameters, 'would write');
  return { ...dry, facts: { ...dry.facts, params_file: fact }, text: [...dry.text, ...text] };
}

function told(now: Rollover, { stage }: PlaceFlags, file: ToldParams): Result {
  return {
    // A rollover that is not finished wants something done; the command itself went well.
    facts: { ...rolloverFacts(now), params_file: file.fact },
    text: [...file.text, described(now)],
    next: [...file.next, ...nextSteps(now, stage)],
  };
}

const notUnderWay = (now: Rollover) =>
  failure('NO_ROLLOVER', described(now), 'd1-token key rollover start --kid KID begins one.');
