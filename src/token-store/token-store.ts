import { createHash } from 'node:crypto';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  ResourceExistsException,
  ResourceNotFoundException,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import type { Random } from '../random.ts';
import { storeFailure } from './store-failure.ts';
import { parseTokenRecord, type TokenRecord } from './token-record.ts';

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

export interface Stored {
  readonly record: TokenRecord;
  readonly versionId: string | undefined;
  /** True when another refresh from the same version had won: the record is the winner's. */
  readonly superseded: boolean;
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
  random,
}: {
  client: Pick<SecretsManagerClient, 'send'>;
  secretId: string;
  issuerId: string;
  random: Random;
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
      if (error instanceof ResourceNotFoundException && (await exists(signal))) return {};
      throw storeFailure(secretId, 'read', error);
    }
  }

  async function exists(signal: AbortSignal): Promise<boolean> {
    try {
      await client.send(new DescribeSecretCommand({ SecretId: secretId }), { abortSignal: signal });
      return true;
    } catch (error) {
      throw storeFailure(secretId, 'read', error);
    }
  }

  /**
   * Compare-and-swap: one PutSecretValue, whose ClientRequestToken is derived from the version that was read. Whoever
   * started from the same version names the same successor, so one version has one successor; the second writer gets
   * ResourceExistsException, reads again and takes the winner's record. (AWS Secrets Manager API Reference,
   * PutSecretValue.)
   *
   * @param isGood Whether the record of a winner may stand. When it may not, somebody has moved AWSCURRENT back to the
   * version that was read, and the write is repeated under a random token, so that it can't get stuck.
   * @throws BrokerError as `read`, and TOKEN_STORE_QUOTA_EXCEEDED.
   */
  async function replace(
    snapshot: Snapshot,
    record: TokenRecord,
    isGood: (record: TokenRecord) => boolean,
    signal: AbortSignal,
  ): Promise<Stored> {
    const successor = await put(record, successorOf(snapshot.versionId), signal);
    if (successor) return { record, versionId: successor, superseded: false };
    const winner = await read(signal);
    if (winner.record && isGood(winner.record)) {
      return { record: winner.record, versionId: winner.versionId, superseded: true };
    }
    return { record, versionId: await put(record, random.uuid(), signal), superseded: false };
  }

  /** @returns The version id, or `undefined` when that version exists already with another value. */
  async function put(record: TokenRecord, clientRequestToken: string, signal: AbortSignal) {
    const command = new PutSecretValueCommand({
      SecretId: secretId,
      ClientRequestToken: clientRequestToken,
      SecretString: JSON.stringify(record),
    });
    try {
      const { VersionId } = await client.send(command, { abortSignal: signal });
      return VersionId ?? clientRequestToken;
    } catch (error) {
      if (error instanceof ResourceExistsException) return undefined;
      throw storeFailure(secretId, 'write', error);
    }
  }

  return { read, replace };
}

/** 64 hexadecimal characters: within the 32-64 that a ClientRequestToken may have. */
const successorOf = (versionId: string | undefined) =>
  createHash('sha256')
    .update(`d1-token-broker: the successor of ${versionId ?? 'nothing'}`)
    .digest('hex');

function understand(secretText: string | undefined, issuerId: string): Pick<Snapshot, 'record' | 'foreign'> {
  if (secretText === undefined) return { foreign: 'it is binary' };
  if (secretText.trim() === '') return {};
  const result = parseTokenRecord(secretText);
  if ('why' in result) return { foreign: result.why };
  if (result.record.issuer_id !== issuerId) return { foreign: 'field issuer_id names another issuer' };
  return { record: result.record };
}
