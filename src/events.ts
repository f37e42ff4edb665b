import * as v from 'valibot';
import { BrokerError } from './errors.ts';
import type { CheckReport, Which, WhichCertificate } from './shared/check-report.ts';
import { LATEST_EPOCH_SECONDS, LONGEST_PROMISE_SECONDS } from './shared/d1.ts';
import type { TokenRecord } from './shared/token-record.ts';

const DEFAULT_MIN_REMAINING_SECONDS = 60;

export const rotationSteps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;
export type RotationStep = (typeof rotationSteps)[number];

/** D1's rule for `x-correlation-id`. Logged in clear at the other end: nothing personal belongs in it. */
export const isCorrelationId = (value: unknown): value is string =>
  typeof value === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(value);

export type Command =
  | { readonly kind: 'refresh'; readonly correlationId: string | undefined }
  | {
      readonly kind: 'token';
      readonly correlationId: string | undefined;
      /** 0-840 seconds that the token must at least live on. */
      readonly minRemainingSeconds: number;
      /** Another token than every one that this container knows. */
      readonly force: boolean;
      /** `obtained_at` of the token that D1 refused: only one obtained later will do. Seconds since 1970 UTC. */
      readonly newerThan: number | undefined;
      /** The first 16 hexadecimal characters of the SHA-256 of the refused access token. Logged nowhere. */
      readonly refused: string | undefined;
    }
  | {
      readonly kind: 'check';
      readonly correlationId: string | undefined;
      readonly certificate: WhichCertificate;
      readonly signingKey: Which;
      /** Without it nothing is asked of D1 but a connection. */
      readonly exchange: boolean;
    }
  | {
      readonly kind: 'rotate';
      readonly correlationId: undefined;
      readonly step: RotationStep;
      readonly secretId: string;
      readonly clientRequestToken: string;
    };

export interface TickAnswer {
  readonly refreshed: boolean;
  /** A reason of the plan's table in docs/architecture.md, or why the token was replaced. */
  readonly reason: string;
  /** Seconds since 1970 UTC. */
  readonly expires_at: number;
  readonly version_id: string | undefined;
}

/** Where the token that a caller got came from. */
export type Source = 'memory' | 'secret' | 'exchange';

/** The token record's public fields, but `expires_in` is counted from when it was answered; and where the token came from. */
export type TokenAnswer = TokenRecord & {
  readonly source: Source;
  /** Seconds since 1970 UTC: when `expires_in` was counted, so that `answered_at + expires_in` is `expires_at`. */
  readonly answered_at: number;
};

/** Everything that an event is answered with. */
export type Answer = TickAnswer | TokenAnswer | CheckReport | undefined;

/** An unusable correlation id is no reason to refuse a token: another is made. */
const correlationId = v.pipe(
  v.optional(v.unknown()),
  v.transform((value) => (isCorrelationId(value) ? value : undefined)),
);

/** EventBridge Scheduler says `aws.scheduler`, an EventBridge rule `aws.events` (EventBridge User Guide). */
const tickSchema = v.pipe(
  v.looseObject({ source: v.picklist(['aws.scheduler', 'aws.events']), 'detail-type': v.literal('Scheduled Event') }),
  v.transform((): Command => ({ kind: 'refresh', correlationId: undefined })),
);

const refreshSchema = v.pipe(
  v.strictObject({ action: v.literal('refresh'), correlation_id: correlationId }),
  v.transform((event): Command => ({ kind: 'refresh', correlationId: event.correlation_id })),
);

const tokenSchema = v.pipe(
  v.strictObject({
    // The others have schemas of their own; they are named here for the sentence that refuses any other action.
    action: v.optional(v.picklist(['token', 'refresh', 'check'])),
    min_remaining_seconds: v.optional(
      v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(LONGEST_PROMISE_SECONDS)),
      DEFAULT_MIN_REMAINING_SECONDS,
    ),
    force: v.optional(v.boolean(), false),
    newer_than: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(LATEST_EPOCH_SECONDS))),
    refused: v.optional(v.pipe(v.string(), v.length(16), v.regex(/^[0-9a-f]{16}$/i))),
    correlation_id: correlationId,
  }),
  v.transform(
    (event): Command => ({
      kind: 'token',
      correlationId: event.correlation_id,
      minRemainingSeconds: event.min_remaining_seconds,
      force: event.force,
      newerThan: event.newer_than,
      refused: event.refused?.toLowerCase(),
    }),
  ),
);

const checkSchema = v.pipe(
  v.strictObject({
    action: v.literal('check'),
    certificate: v.optional(v.picklist(['current', 'next', 'previous']), 'current'),
    signing_key: v.optional(v.picklist(['current', 'next']), 'current'),
    exchange: v.optional(v.boolean(), true),
    correlation_id: correlationId,
  }),
  v.transform(
    (event): Command => ({
      kind: 'check',
      correlationId: event.correlation_id,
      certificate: event.certificate,
      signingKey: event.signing_key,
      exchange: event.exchange,
    }),
  ),
);

/** Secrets Manager User Guide, "Lambda rotation functions". It also sends a RotationToken, which is not needed. */
const rotationSchema = v.pipe(
  v.looseObject({
    Step: v.picklist(rotationSteps),
    SecretId: v.pipe(v.string(), v.minLength(1), v.maxLength(2048)),
    ClientRequestToken: v.pipe(v.string(), v.minLength(32), v.maxLength(64)),
  }),
  v.transform(
    (event): Command => ({
      kind: 'rotate',
      correlationId: undefined,
      step: event.Step,
      secretId: event.SecretId,
      clientRequestToken: event.ClientRequestToken,
    }),
  ),
);

/**
 * Reads a Lambda event as one command.
 *
 * @throws BrokerError EVENT_INVALID, naming the field.
 */
export function parseEvent(event: unknown): Command {
  if (typeof event !== 'object' || event === null || Array.isArray(event))
    throw eventInvalid('it is not a JSON object');
  const result = v.safeParse(schemaFor(event), event);
  if (result.success) return result.output;
  throw eventInvalid(`field ${fieldName(result.issues[0])} ${problem(result.issues[0])}`);
}

function schemaFor(event: object): v.GenericSchema<unknown, Command> {
  if ('Step' in event || 'SecretId' in event || 'ClientRequestToken' in event) return rotationSchema;
  if ('source' in event || 'detail-type' in event) return tickSchema;
  if ('action' in event && event.action === 'refresh') return refreshSchema;
  if ('action' in event && event.action === 'check') return checkSchema;
  return tokenSchema;
}

/** The sender chose the name of a field that is not known: only a harmless one is repeated. */
function fieldName(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue) ?? '';
  return /^[\w.-]{1,40}$/.test(path) ? path : '(name not shown)';
}

/** The rule that was broken, never the value: an event may hold anything. */
function problem(issue: v.BaseIssue<unknown>): string {
  if (issue.expected === 'never') return 'is not known';
  if (issue.type === 'min_length' || issue.type === 'max_length') return 'is too short or too long';
  if (issue.received === 'undefined') return 'is missing';
  // Of the rules in these schemas, only `integer` has no words for what it expects.
  return `must be ${issue.expected ?? 'a whole number'}`;
}

const eventInvalid = (why: string) =>
  new BrokerError({
    code: 'EVENT_INVALID',
    what: `The event cannot be understood: ${why}.`,
    remedy: 'The README lists the accepted events.',
    retryable: false,
  });
