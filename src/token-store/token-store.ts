import { createHash } from 'node:crypto';
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
import { parseTokenRecord, type TokenRecord } from '../shared/token-record.ts';
import { storeFailure } from './store-failure.ts';

export const CURRENT = 'AWSCURRENT';
export const PENDING = 'AWSPENDING';
export const PREVIOUS = 'AWSPREVIOUS';

/** What the secret held when it was read. */
export interface Snapshot {
  /** Absent when the secret has no current version yet. */
  readonly versionId?: string | undefined;
  /** Milliseconds since 1970 UTC: when that version was written. */
  readonly writtenAt?: number | undefined;
  readonly record?: TokenRecord | undefined;
  /** Present when there is a value that is not a token record of this issuer: why it is not. */
  readonly foreign?: string | undefined;
}

export type TokenStore = ReturnType<typeof createTokenStore>;

/**
 * The token secret, read and written without a lock.
 *
 * @param secretId Name or ARN of the token secret.
 */
export function createTokenStore({
  client,
  secretId,
  issuerId,
}: {
  client: Pick<SecretsManagerClient, 'send'>;
  secretId: string;
  issuerId: string;
}) {
  /**
   * One GetSecretValue. An empty secret and a foreign value are a first run, not a failure.
   *
   * @throws BrokerError TOKEN_SECRET_MISSING, TOKEN_STORE_DENIED, TOKEN_STORE_THROTTLED or TOKEN_STORE_UNAVAILABLE.
   */
  async function read(signal: AbortSignal): Promise<Snapshot> {
    try {
      const value = await client.send(new GetSecretValueCommand({ SecretId: secretId }), { abortSignal: signal });
      return {
        versionId: value.VersionId,
        writtenAt: value.CreatedDate?.getTime(),
        ...understand(value.SecretString, issuerId),
      };
    } catch (error) {
      // AWS answers alike for "no such secret" and "no value yet"; only DescribeSecret tells them apart.
      if (error instanceof ResourceNotFoundException && (await describe(secretId, signal))) return {};
      throw storeFailure(secretId, 'read', error);
    }
  }

  function describe(name: string, signal: AbortSignal) {
    const command = new DescribeSecretCommand({ SecretId: name });
    return client.send(command, { abortSignal: signal }).catch((error: unknown) => {
      throw storeFailure(secretId, 'read', error);
    });
  }

  /**
   * Compare-and-swap: one PutSecretValue, whose ClientRequestToken is derived from the version that was read. Whoever
   * started from the same version names the same successor, so one version has one successor; the second writer gets
   * ResourceExistsException. (AWS Secrets Manager API Reference, PutSecretValue.)
   *
   * @param from The version that the record replaces; `undefined` when the secret has none.
   * @param successor 1, or more when earlier successors exist though `from` is current: AWSCURRENT was moved back.
   * @returns The new version's id; `undefined` when another writer has named it before.
   * @throws BrokerError as `read`, and TOKEN_STORE_QUOTA_EXCEEDED.
   */
  function replace(from: string | undefined, record: TokenRecord, successor: number, signal: AbortSignal) {
    return put(record, successorOf(from, successor), CURRENT, signal);
  }

  /**
   * Puts the record into the version that a rotation makes. That it exists already is no fault: the step was invoked
   * twice at once, and the other one has done it.
   */
  async function putPending(record: TokenRecord, versionId: string, signal: AbortSignal): Promise<void> {
    await put(record, versionId, PENDING, signal);
  }

  /** @returns What the pending version holds; `undefined` while it can't be read: no value yet, or pending no more. */
  async function readPending(versionId: string, signal: AbortSignal) {
    const command = new GetSecretValueCommand({ SecretId: secretId, VersionId: versionId, VersionStage: PENDING });
    try {
      return understand((await client.send(command, { abortSignal: signal })).SecretString, issuerId);
    } catch (error) {
      // AWS answers alike for a label that was taken off meanwhile and for a secret that is to be deleted.
      if (error instanceof InvalidRequestException) await read(signal);
      else if (!(error instanceof ResourceNotFoundException)) throw storeFailure(secretId, 'read', error);
      return undefined;
    }
  }

  /**
   * The staging labels of a secret's versions.
   *
   * @param name How a rotation names the secret; its own name or ARN must be the configured one.
   * @returns `undefined` when it is not the token secret.
   */
  async function labels(name: string, signal: AbortSignal): Promise<Record<string, string[]> | undefined> {
    const secret = await describe(name, signal);
    const isOwn = secretId === secret.ARN || secretId === secret.Name;
    return isOwn ? (secret.VersionIdsToStages ?? {}) : undefined;
  }

  /** @returns Whether the label was moved; `false` when somebody else has moved it since it was looked at. */
  async function moveLabel(
    label: string,
    move: { from?: string | undefined; to?: string },
    signal: AbortSignal,
  ): Promise<boolean> {
    const command = new UpdateSecretVersionStageCommand({
      SecretId: secretId,
      VersionStage: label,
      RemoveFromVersionId: move.from,
      MoveToVersionId: move.to,
    });
    try {
      await client.send(command, { abortSignal: signal });
      return true;
    } catch (error) {
      // The same exception says that the secret is to be deleted: then a read says so too, and with its code.
      if (error instanceof InvalidRequestException) await read(signal);
      else if (!(error instanceof InvalidParameterException)) throw storeFailure(secretId, 'written', error);
      return false;
    }
  }

  /** @returns The version id, or `undefined` when that version exists already with another value. */
  async function put(record: TokenRecord, clientRequestToken: string, stage: string, signal: AbortSignal) {
    const command = new PutSecretValueCommand({
      SecretId: secretId,
      ClientRequestToken: clientRequestToken,
      SecretString: JSON.stringify(record),
      VersionStages: [stage],
    });
    try {
      const { VersionId } = await client.send(command, { abortSignal: signal });
      return VersionId ?? clientRequestToken;
    } catch (error) {
      if (error instanceof ResourceExistsException) return undefined;
      throw storeFailure(secretId, 'written', error);
    }
  }

  return { read, replace, putPending, readPending, labels, moveLabel };
}

/** 64 hexadecimal characters: within the 32-64 that a ClientRequestToken may have. */
const successorOf = (versionId: string | undefined, successor: number) =>
  createHash('sha256')
    .update(`d1-token-broker: successor ${successor} of ${versionId ?? 'nothing'}`)
    .digest('hex');

function understand(secretText: string | undefined, issuerId: string): Pick<Snapshot, 'record' | 'foreign'> {
  if (secretText === undefined) return { foreign: 'it is binary' };
  if (secretText.trim() === '') return {};
  const result = parseTokenRecord(secretText);
  if ('why' in result) return { foreign: result.why };
  if (result.record.issuer_id !== issuerId) return { foreign: 'field issuer_id names another issuer' };
  return { record: result.record };
}
