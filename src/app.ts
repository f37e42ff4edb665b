import type { Context } from 'aws-lambda';
import { createBroker, type TickOutcome, type TokenOutcome } from './broker/broker.ts';
import { createObtain, type Obtain } from './broker/obtain.ts';
import { createRotation } from './broker/rotation.ts';
import type { createCheck } from './check/check.ts';
import type { Config } from './config.ts';
import { Deadline } from './deadline.ts';
import { asBrokerError } from './errors.ts';
import { type Answer, type Command, parseEvent, type TickAnswer, type TokenAnswer } from './events.ts';
import { type Call, Journal } from './invocation.ts';
import type { Parts } from './parts.ts';
import { type Clock, nowSeconds } from './shared/clock.ts';
import type { Random } from './shared/random.ts';
import { secondsLeft, type TokenRecord } from './shared/token-record.ts';
import type { Outcome, Telemetry } from './telemetry.ts';

/** Time to log and to answer, after the last step. */
const ANSWER_RESERVE_MILLISECONDS = 250;

export interface Dependencies extends Parts {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

/** The part of Lambda's context that the broker uses. */
export type InvocationContext = Pick<Context, 'getRemainingTimeInMillis'>;

/**
 * Everything that one container keeps, and the way through it of one event.
 *
 * @returns A function that answers an event; it throws a BrokerError with issuer and correlation id, and nothing else.
 */
export function createApp(dependencies: Dependencies) {
  const { config, sign, tokenEndpoint, store, readPrimary, loadTrial, clock, random, telemetry } = dependencies;
  const { issuerId } = config;
  const obtain = createObtain({ config, sign, tokenEndpoint, clock, random });
  const broker = createBroker({ config, store, readPrimary, obtain, clock });
  // A standby's rotation asks D1 no sooner than its tick: with a token that is good it pends that one, and is overtaken.
  const obtainInRotation: Obtain = async (call, limit, known) => {
    const isGood = (record: TokenRecord) => secondsLeft(record, nowSeconds(clock)) > config.refreshWindowSeconds;
    if (readPrimary && known.some(isGood)) return { record: undefined, isRepeated: true };
    return obtain(call, limit, known);
  };
  const rotate = createRotation({ store, obtain: obtainInRotation, clock });
  let check: Promise<ReturnType<typeof createCheck>> | undefined;

  return async (event: unknown, context: InvocationContext): Promise<Answer> => {
    const began = clock.now();
    const remaining = () => context.getRemainingTimeInMillis() - ANSWER_RESERVE_MILLISECONDS;
    const deadlineAt = began + remaining();
    let correlationId = random.uuid();
    let kind: Command['kind'] | 'unknown' = 'unknown';
    const journal = new Journal(clock, (warning) => telemetry.warn(warning, correlationId));
    const invocation = () => ({ kind, correlationId, journal, durationMilliseconds: clock.now() - began });
    try {
      const command = parseEvent(event);
      kind = command.kind;
      correlationId = command.correlationId ?? correlationId;
      // Lambda's own count is asked again and again: a clock that steps back must not make the invocation longer.
      const call: Call = {
        correlationId,
        deadline: new Deadline(clock, () => Math.min(deadlineAt, clock.now() + remaining())),
        journal,
      };
      const { answer, outcome } = await obey(command, call);
      telemetry.succeeded(invocation(), outcome);
      return answer;
    } catch (thrown) {
      const error = asBrokerError(thrown).located({ issuerId, correlationId });
      telemetry.failed(invocation(), error);
      throw error;
    }
  };

  async function obey(command: Command, call: Call) {
    switch (command.kind) {
      case 'refresh': {
        const tick = await broker.tick(call);
        return { answer: tickAnswer(tick), outcome: facts(tick) };
      }
      case 'token': {
        const token = await broker.token(command, call);
        return { answer: tokenAnswer(token), outcome: facts(token) };
      }
      case 'check': {
        check ??= makeCheck();
        const report = await (await check)(command, call);
        return { answer: report, outcome: { reason: report.passed ? 'passed' : 'failed' } };
      }
      case 'rotate':
        return {
          answer: undefined,
          outcome: { reason: await rotate(command, call), versionId: command.clientRequestToken },
        };
    }
  }

  /** When the first one comes: nobody else waits for its code to load. */
  async function makeCheck() {
    if (!loadTrial) throw new TypeError('These parts can make no check.');
    const [{ createCheck }, trial] = await Promise.all([import('./check/check.ts'), loadTrial()]);
    return createCheck({ config, trial, broker, store, readPrimary, clock, random });
  }

  function tickAnswer({ refreshed, reason, record, versionId }: TickOutcome): TickAnswer {
    return { refreshed, reason, expires_at: record.expires_at, version_id: versionId };
  }

  function tokenAnswer({ record, source }: TokenOutcome): TokenAnswer {
    const now = nowSeconds(clock);
    return { ...record, expires_in: secondsLeft(record, now), answered_at: now, source };
  }

  function facts(outcome: TickOutcome | TokenOutcome): Outcome {
    return {
      ...('source' in outcome ? { source: outcome.source } : { reason: outcome.reason, refreshed: outcome.refreshed }),
      versionId: outcome.versionId,
      expiresAt: outcome.record.expires_at,
    };
  }
}
