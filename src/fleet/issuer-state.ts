import { createHash } from 'node:crypto';
import type { BrokerError, ErrorCode } from '../errors.ts';
import type { TickAnswer } from '../events.ts';

/**
 * What the index remembers of one issuer between two tries. All of it may be lost: the secret is the truth, and an issuer
 * of which nothing is known is tried at once.
 */
export interface IssuerState {
  /** Seconds since 1970 UTC: when the token in the secret dies; 0 when that is not known. */
  readonly expiresAt: number;
  /** Milliseconds since 1970 UTC of the last try; 0 before the first. */
  readonly triedAt: number;
  /** Tries that failed in a row. */
  readonly failures: number;
  /** What the last try failed with. */
  readonly failedWith?: ErrorCode | undefined;
  /** What the last try tells of D1: it answered, whatever it said, or it did not. Absent when it was not asked. */
  readonly host?: 'answered' | 'silent' | undefined;
}

export const untried: IssuerState = { expiresAt: 0, triedAt: 0, failures: 0 };

/** A tick that left the token as it was is not repeated sooner: a tick a minute is what one issuer gets too. */
const AGAIN_MILLISECONDS = 60_000;
/** What is waited after the first failures. */
const FIRST_BACKOFFS_SECONDS = [15, 30, 60];
/** The longest wait is below a third of the window, so that three tries fall into it. */
const LONGEST_BACKOFF_SHARE = 0.3;
const SPREAD_SHARE = 0.05;

/** @param now Milliseconds since 1970 UTC, as in all that follows. */
export function succeeded({ expires_at, refreshed, reason }: TickAnswer, now: number): IssuerState {
  const wasAsked = refreshed || reason === 'unchanged';
  return { expiresAt: expires_at, triedAt: now, failures: 0, host: wasAsked ? 'answered' : undefined };
}

export function failed(before: IssuerState, { code, retryable }: BrokerError, now: number): IssuerState {
  const { expiresAt, failures } = before;
  return { expiresAt, triedAt: now, failures: failures + 1, failedWith: code, host: hostAfter(code, retryable) };
}

/** A server that is not trusted has answered: it is the wrong one, or this issuer's CA bundle is out of date. */
function hostAfter(code: ErrorCode, retryable: boolean): IssuerState['host'] {
  if (code === 'TOKEN_ENDPOINT_REJECTED' || code === 'TOKEN_RESPONSE_INVALID') return 'answered';
  return code === 'TOKEN_ENDPOINT_UNREACHABLE' && retryable ? 'silent' : undefined;
}

/**
 * When the issuer is to be tried again.
 *
 * Refreshes are spread over the first twentieth of the window, each issuer's at a place of its own: whoever was refreshed in one
 * minute, after an outage or from a cold start, drifts apart again, and the next outage does not kill all at once.
 */
export function dueAt(
  issuerId: string,
  { expiresAt, triedAt, failures }: IssuerState,
  refreshWindowSeconds: number,
): number {
  if (triedAt === 0) return 0;
  if (failures > 0) return triedAt + backoffSeconds(failures, refreshWindowSeconds) * 1000;
  const left = refreshWindowSeconds * (1 - SPREAD_SHARE * placeOf(issuerId));
  return Math.max(Math.ceil((expiresAt - left) * 1000), triedAt + AGAIN_MILLISECONDS);
}

/** 0-1, and always the same. */
const placeOf = (issuerId: string): number => createHash('sha256').update(issuerId).digest().readUInt32BE() / 2 ** 32;

/** @param failures Tries that failed in a row, from 1. */
export function backoffSeconds(failures: number, refreshWindowSeconds: number): number {
  const longest = Math.floor(refreshWindowSeconds * LONGEST_BACKOFF_SHARE);
  return Math.min(FIRST_BACKOFFS_SECONDS[failures - 1] ?? longest, longest);
}
