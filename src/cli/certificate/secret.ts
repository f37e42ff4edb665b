import { randomUUID } from 'node:crypto';
import type { SecretsManager } from '@aws-sdk/client-secrets-manager';
import { awsFailure } from '../../shared/aws-failure.ts';
import { WAITING } from '../../shared/check-report.ts';
import { parseJson } from '../../shared/json.ts';
import { asCliFailure, failure } from '../frame/cli-failure.ts';
import type { StageSession } from '../frame/command.ts';
import { output } from '../frame/stage.ts';

export type Label = 'AWSCURRENT' | 'AWSPREVIOUS' | typeof WAITING;

/** A version of the certificate secret as it stands: fields that are there, and none that is checked. */
export interface Version {
  readonly id: string;
  readonly certificate: string | undefined;
  readonly privateKey: string | undefined;
  readonly request: string | undefined;
  readonly caBundle: string | undefined;
  readonly proxyCredentials: string | undefined;
}

/** The certificate secret, with what an operator does to it. */
export function certificateSecret({ clients, stack }: Pick<StageSession, 'clients' | 'stack'>) {
  const SecretId = output(stack, 'ClientCertificateSecretArn');
  const call = async <T>(action: string, work: (secretsManager: SecretsManager) => Promise<T>): Promise<T> => {
    try {
      return await work(await clients.secretsManager());
    } catch (error) {
      throw asCliFailure(error, `secretsmanager:${action}`);
    }
  };

  /** The ids of the versions that have a label. */
  async function labels(): Promise<ReadonlyMap<string, string>> {
    const { VersionIdsToStages = {} } = await call('DescribeSecret', (one) => one.describeSecret({ SecretId }));
    return new Map(Object.entries(VersionIdsToStages).flatMap(([id, stages]) => stages.map((stage) => [stage, id])));
  }

  /** Reads a private key back: only whom certificateReaders names may do it. @returns `undefined` when there is none. */
  async function read(label: Label): Promise<Version | undefined> {
    const found = await call('GetSecretValue', async (one) => {
      try {
        return await one.getSecretValue({ SecretId, VersionStage: label });
      } catch (error) {
        if (awsFailure(error).name === 'ResourceNotFoundException') return undefined;
        throw error;
      }
    });
    if (!found) return undefined;
    const fields = (parseJson(found.SecretString ?? '') ?? {}) as Record<string, unknown>;
    const text = (name: string) => (typeof fields[name] === 'string' ? fields[name] : undefined);
    return {
      id: found.VersionId ?? '',
      certificate: text('certificate'),
      privateKey: text('private_key'),
      request: text('certificate_request'),
      caBundle: text('ca_bundle'),
      proxyCredentials: text('proxy_credentials'),
    };
  }

  /** One version more, which waits. @returns Its id. */
  async function put(fields: Readonly<Record<string, string | undefined>>): Promise<string> {
    const ClientRequestToken = randomUUID();
    const SecretString = JSON.stringify(fields);
    await call('PutSecretValue', (one) =>
      one.putSecretValue({ SecretId, SecretString, ClientRequestToken, VersionStages: [WAITING] }),
    );
    return ClientRequestToken;
  }

  async function move(label: Label, { from, to }: { from?: string | undefined; to?: string }): Promise<void> {
    await call('UpdateSecretVersionStage', (one) =>
      one.updateSecretVersionStage({
        SecretId,
        VersionStage: label,
        ...(from !== undefined && { RemoveFromVersionId: from }),
        ...(to !== undefined && { MoveToVersionId: to }),
      }),
    );
  }

  return { labels, read, put, move };
}

export const nothingWaits = () =>
  failure('NOTHING_WAITS', 'No key waits for a certificate.', 'd1-token certificate request makes one.');
