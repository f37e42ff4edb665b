import { BrokerError } from '../errors.ts';
import type { RotationStep } from '../events.ts';
import type { Call } from '../invocation.ts';
import { type Clock, nowSeconds } from '../shared/clock.ts';
import { sameToken, secondsLeft, type TokenRecord } from '../shared/token-record.ts';
import { billed } from '../token-store/forced-writes.ts';
import { readPatiently } from '../token-store/read-patiently.ts';
import { CURRENT, PENDING, PREVIOUS, type TokenStore } from '../token-store/token-store.ts';
import { type Obtain, SHORTEST_REFRESH_MILLISECONDS } from './obtain.ts';
import { livesLonger, supersedes } from './plan.ts';

/** A value that was just put may not be readable at once: 3 s are given to it. */
const PENDING_READS = 5;
/** A minute tick may move AWSCURRENT between two of our calls; it can't do so twice in a row. */
const MOVES = 3;

export interface RotationRequest {
  readonly step: RotationStep;
  readonly secretId: string;
  /** The id of the version that the rotation makes. */
  readonly clientRequestToken: string;
}

/** What a step came to: its name, or `overtaken` when the current token is newer than the pending one. */
export type RotationReason = RotationStep | 'overtaken';

/**
 * The rotation function of the token secret: the four steps of the Secrets Manager User Guide, "Lambda rotation
 * functions", each safe to repeat. A rotation never makes an older token current.
 *
 * @returns A function that does one step.
 * @throws BrokerError ROTATION_REFUSED, ROTATION_FAILED, a TOKEN_SECRET_ or TOKEN_STORE_ code, or what `obtain` throws.
 */
export function createRotation({ store, obtain, clock }: { store: TokenStore; obtain: Obtain; clock: Clock }) {
  return async (request: RotationRequest, call: Call): Promise<RotationReason> => {
    const { step, clientRequestToken: versionId } = request;
    return call.deadline.limit(`the rotation step ${step}`, async (signal) => {
      const labels = await labelsOf(request, signal);
      const own = labels[versionId];
      if (!own) throw refused(`the secret has no version ${versionId} with a staging label`);
      if (own.includes(CURRENT)) {
        if (step === 'finishSecret') await unlabel(request, own, signal);
        return step;
      }
      if (!own.includes(PENDING)) {
        // It was current, so this step has been done; a refresh has replaced it since.
        if (step === 'finishSecret' && own.includes(PREVIOUS)) return 'overtaken';
        throw refused(`version ${versionId} is not staged ${PENDING}`);
      }
      switch (step) {
        case 'createSecret':
          await createSecret(request, call, signal);
          return step;
        case 'setSecret':
          // D1 learns of nothing; the token is its own.
          return step;
        case 'testSecret':
          await usablePending(request, signal);
          return step;
        case 'finishSecret':
          return finishSecret(request, signal);
      }
    });
  };

  async function labelsOf({ secretId }: RotationRequest, signal: AbortSignal) {
    const labels = await store.labels(secretId, signal);
    if (!labels) throw refused(`${secretId} is not the token secret`);
    return labels;
  }

  async function createSecret(request: RotationRequest, call: Call, signal: AbortSignal): Promise<void> {
    const versionId = request.clientRequestToken;
    if (await store.readPending(versionId, signal)) {
      await usablePending(request, signal);
      return;
    }
    call.deadline.mustLeave(SHORTEST_REFRESH_MILLISECONDS, 'a rotation');
    const current = (await store.read(signal)).record;
    const obtained = await obtain(call, call.deadline, current ? [current] : []);
    // D1 gave the current token again: it is pending too, and finishSecret finds it overtaken.
    const record = obtained.record ?? current;
    if (!record || secondsLeft(record, nowSeconds(clock)) <= 0) {
      throw rotationFailed('D1 gave a token without life', true);
    }
    // The budget of forced writes is the secret's: a rotation does not fill it up.
    const pending = billed(record, current, false, clock.now());
    await call.journal.time('write_secret', () => store.putPending(pending, versionId, signal));
  }

  /**
   * The pending token: well-formed, this issuer's, and alive. One that is not can never become so, and would block every
   * later rotation: its label is taken away.
   */
  async function usablePending(request: RotationRequest, signal: AbortSignal): Promise<TokenRecord> {
    const read = () => store.readPending(request.clientRequestToken, signal);
    const pending = await readPatiently(read, PENDING_READS, clock, signal);
    if (!pending) throw rotationFailed('the pending version cannot be read yet', true);
    const { record, foreign } = pending;
    if (record && secondsLeft(record, nowSeconds(clock)) > 0) return record;
    await unlabel(request, [PENDING], signal);
    const why = record ? 'its token has expired' : `its value is not a token record: ${foreign ?? 'it is empty'}`;
    throw rotationFailed(`the pending version is of no use, and was given up: ${why}`, false);
  }

  async function finishSecret(request: RotationRequest, signal: AbortSignal) {
    const versionId = request.clientRequestToken;
    const pending = await usablePending(request, signal);
    for (let move = 1; ; move += 1) {
      const current = await store.read(signal);
      // The same step was invoked twice at once, and the other one has done it; or the answer to our move was lost.
      if (current.versionId === versionId) break;
      if (current.record && overtakes(current.record, pending)) {
        await unlabel(request, [PENDING], signal);
        return 'overtaken';
      }
      // Only from the version that was compared: a tick may have stored a newer token since.
      if (await store.moveLabel(CURRENT, { from: current.versionId, to: versionId }, signal)) break;
      if (move >= MOVES) throw labelsMoved();
    }
    const labels = await labelsOf(request, signal);
    await unlabel(request, labels[versionId] ?? [], signal);
    return 'finishSecret';
  }

  /** The same token is news only with a later end, and a newer one must stay. In the same second either will do. */
  function overtakes(current: TokenRecord, pending: TokenRecord): boolean {
    if (sameToken(current, pending)) return !livesLonger(pending, current);
    return supersedes({ record: current, versionId: 'current' }, pending, clock.now());
  }

  /**
   * AWSPENDING left behind on a version that the next refresh supersedes would make RotateSecret refuse to start. A label
   * that is gone already is what was wanted: the SDK asks again when an answer was lost.
   */
  async function unlabel(request: RotationRequest, labels: readonly string[], signal: AbortSignal): Promise<void> {
    const from = request.clientRequestToken;
    if (!labels.includes(PENDING) || (await store.moveLabel(PENDING, { from }, signal))) return;
    // AWS says the same of a secret that was to be deleted, and has been restored by now.
    if ((await labelsOf(request, signal))[from]?.includes(PENDING)) throw labelsMoved();
  }
}

const refused = (why: string) =>
  new BrokerError({
    code: 'ROTATION_REFUSED',
    what: `The rotation step was refused: ${why}.`,
    remedy: 'Let Secrets Manager start the rotation (RotateSecret) on the token secret; do not send the steps by hand.',
    retryable: false,
  });

const rotationFailed = (why: string, retryable: boolean) =>
  new BrokerError({
    code: 'ROTATION_FAILED',
    what: `The rotation failed: ${why}.`,
    remedy: retryable
      ? 'Secrets Manager repeats the step.'
      : 'Start the rotation again; the current token was not touched.',
    retryable,
  });

const labelsMoved = () => rotationFailed('the labels of the secret were moved by somebody else at the same time', true);
