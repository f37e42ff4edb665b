import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  InvalidParameterException,
  InvalidRequestException,
  PutSecretValueCommand,
  ResourceExistsException,
  ResourceNotFoundException,
  type SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { type Obtain, SHORTEST_REFRESH_MILLISECONDS } from '../broker/obtain.ts';
import type { Call } from '../call.ts';
import { type Clock, nowSeconds } from '../clock.ts';
import { BrokerError } from '../errors.ts';
import type { RotationStep } from '../events.ts';
import { storeFailure } from '../token-store/store-failure.ts';
import { parseTokenRecord, secondsLeft } from '../token-store/token-record.ts';

const CURRENT = 'AWSCURRENT';
const PENDING = 'AWSPENDING';
/** A value that was just put may not be readable at once: 0.2 + 0.4 + 0.8 + 1.6 s are given to it. */
const PENDING_READS = 5;
const FIRST_PENDING_DELAY_MILLISECONDS = 200;
/** A minute tick may move AWSCURRENT between two of our calls; it can't do so twice in a row. */
const MOVES = 3;

export interface RotationRequest {
  readonly step: RotationStep;
  readonly secretId: string;
  /** The id of the version that the rotation makes. */
  readonly clientRequestToken: string;
}

/**
 * The rotation function of the token secret: the four steps of the Secrets Manager User Guide, "Lambda rotation
 * functions", each safe to repeat.
 *
 * @returns A function that does one step.
 * @throws BrokerError ROTATION_REFUSED, ROTATION_FAILED, a TOKEN_SECRET_ or TOKEN_STORE_ code, or what `obtain` throws.
 */
export function createRotation({
  client,
  secretId,
  issuerId,
  obtain,
  clock,
}: {
  client: Pick<SecretsManagerClient, 'send'>;
  secretId: string;
  issuerId: string;
  obtain: Obtain;
  clock: Clock;
}) {
  return async (request: RotationRequest, call: Call): Promise<void> => {
    const { step, clientRequestToken } = request;
    await call.deadline.limit(`the rotation step ${step}`, async (signal) => {
      const stages = await describe(request, signal);
      const own = stages[clientRequestToken];
      if (!own) throw refused(`the secret has no version ${clientRequestToken} with a staging label`);
      if (own.includes(CURRENT)) return step === 'finishSecret' ? unlabel(clientRequestToken, own, signal) : undefined;
      if (!own.includes(PENDING)) throw refused(`version ${clientRequestToken} is not staged ${PENDING}`);

      if (step === 'createSecret') await createSecret(clientRequestToken, call, signal);
      if (step === 'testSecret') await checkPending(clientRequestToken, signal);
      if (step === 'finishSecret') await finishSecret(request, stages, signal);
      // setSecret: D1 learns of nothing; the token is its own.
    });
  };

  async function describe(request: RotationRequest, signal: AbortSignal): Promise<Record<string, string[]>> {
    const secret = await client
      .send(new DescribeSecretCommand({ SecretId: request.secretId }), { abortSignal: signal })
      .catch(fail('read'));
    if (secretId !== secret.ARN && secretId !== secret.Name && secretId !== request.secretId) {
      throw refused(`${request.secretId} is not the token secret ${secretId}`);
    }
    return secret.VersionIdsToStages ?? {};
  }

  async function createSecret(versionId: string, call: Call, signal: AbortSignal): Promise<void> {
    if ((await readPending(versionId, signal)) !== undefined) return checkPending(versionId, signal);
    call.deadline.mustLeave(SHORTEST_REFRESH_MILLISECONDS, 'a rotation');
    const record = await obtain(call, call.deadline);
    const command = new PutSecretValueCommand({
      SecretId: secretId,
      ClientRequestToken: versionId,
      SecretString: JSON.stringify(record),
      VersionStages: [PENDING],
    });
    await call.journal.time('write_secret', () =>
      client.send(command, { abortSignal: signal }).catch((error: unknown) => {
        // The step was invoked twice at once, and the other one has done it.
        if (!(error instanceof ResourceExistsException)) throw storeFailure(secretId, 'write', error);
      }),
    );
  }

  /**
   * Proves that the pending token is well-formed, this issuer's, and alive. One that is not can never become so, and
   * would block every later rotation: its label is taken away.
   */
  async function checkPending(versionId: string, signal: AbortSignal): Promise<void> {
    const text = await readPendingPatiently(versionId, signal);
    if (text === undefined) throw rotationFailed('the pending version cannot be read yet', true);
    const result = parseTokenRecord(text);
    const why =
      'why' in result
        ? `its value is not a token record: ${result.why}`
        : result.record.issuer_id !== issuerId
          ? 'its token belongs to another issuer'
          : secondsLeft(result.record, nowSeconds(clock)) <= 0 && 'its token has expired';
    if (!why) return;
    await unlabel(versionId, [PENDING], signal);
    throw rotationFailed(`the pending version is of no use, and was given up: ${why}`, false);
  }

  async function finishSecret(request: RotationRequest, described: Record<string, string[]>, signal: AbortSignal) {
    const { clientRequestToken } = request;
    await checkPending(clientRequestToken, signal);
    let stages = described;
    for (let move = 1; ; move += 1) {
      try {
        await stage(CURRENT, { from: holderOf(CURRENT, stages), to: clientRequestToken }, signal);
        break;
      } catch (error) {
        if (!(error instanceof Overtaken) || move >= MOVES) throw error;
        stages = await describe(request, signal);
        // The move was made, and its answer was lost.
        if (holderOf(CURRENT, stages) === clientRequestToken) break;
      }
    }
    stages = await describe(request, signal);
    await unlabel(clientRequestToken, stages[clientRequestToken] ?? [], signal);
  }

  /**
   * AWSPENDING left behind on a version that the next refresh supersedes would make RotateSecret refuse to start. A label
   * that is gone already is what was wanted: the SDK asks again when an answer was lost.
   */
  async function unlabel(versionId: string, labels: readonly string[], signal: AbortSignal): Promise<void> {
    if (!labels.includes(PENDING)) return;
    await stage(PENDING, { from: versionId }, signal).catch((error: unknown) => {
      if (!(error instanceof Overtaken)) throw error;
    });
  }

  async function stage(label: string, move: { from?: string | undefined; to?: string }, signal: AbortSignal) {
    const command = new UpdateSecretVersionStageCommand({
      SecretId: secretId,
      VersionStage: label,
      ...(move.from !== undefined && { RemoveFromVersionId: move.from }),
      ...(move.to !== undefined && { MoveToVersionId: move.to }),
    });
    await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
      if (error instanceof InvalidParameterException || error instanceof InvalidRequestException) throw new Overtaken();
      throw storeFailure(secretId, 'write', error);
    });
  }

  /** @returns The text of the pending version; `undefined` while it has none, or none that can be read yet. */
  async function readPending(versionId: string, signal: AbortSignal): Promise<string | undefined> {
    const command = new GetSecretValueCommand({ SecretId: secretId, VersionId: versionId, VersionStage: PENDING });
    try {
      return (await client.send(command, { abortSignal: signal })).SecretString ?? '';
    } catch (error) {
      if (error instanceof ResourceNotFoundException) return undefined;
      throw storeFailure(secretId, 'read', error);
    }
  }

  async function readPendingPatiently(versionId: string, signal: AbortSignal): Promise<string | undefined> {
    for (let read = 1; ; read += 1) {
      const text = await readPending(versionId, signal);
      if (text !== undefined || read >= PENDING_READS) return text;
      await clock.sleep(FIRST_PENDING_DELAY_MILLISECONDS * 2 ** (read - 1), signal);
    }
  }

  function fail(verb: 'read' | 'write') {
    return (error: unknown): never => {
      throw storeFailure(secretId, verb, error);
    };
  }
}

const holderOf = (label: string, stages: Record<string, string[]>) =>
  Object.entries(stages).find(([, labels]) => labels.includes(label))?.[0];

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

/** AWSCURRENT was moved between our look at it and our move. */
class Overtaken extends BrokerError {
  constructor() {
    super({
      code: 'ROTATION_FAILED',
      what: 'The rotation failed: the labels of the secret were moved by somebody else at the same time.',
      remedy: 'Secrets Manager repeats the step.',
      retryable: true,
    });
  }
}
