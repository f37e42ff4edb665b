import { randomUUID } from 'node:crypto';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { onTestFinished } from 'vitest';
import { Kms } from '../../sandbox/aws/kms.ts';
import { SecretsManager, type SecretsManagerOptions } from '../../sandbox/aws/secrets-manager.ts';
import { type Intercept, startAwsServer } from '../../sandbox/aws/server.ts';
import { CallLog } from '../../sandbox/calls.ts';
import { createTokenStore } from '../../src/token-store/token-store.ts';
import { FakeClock } from '../support/fake-clock.ts';

export const SECRET = 'd1/access-token';
export const ISSUER = 'ISSUER0001';

export interface OpenedStore {
  readonly store: ReturnType<typeof createTokenStore>;
  readonly signal: AbortSignal;
  readonly calls: CallLog;
  /** How often an operation arrived. */
  count(operation: string): number;
  /** An operator's hand: a call behind the store's back, that is not counted. */
  operate(operation: string, input?: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** Puts a value as somebody else would; gives its version id. */
  putAside(value: { SecretString: string } | { SecretBinary: string }): Promise<string>;
  /** Every version of the secret, oldest first. */
  versions(): Promise<string[]>;
  /** Every version's staging labels. */
  labels(): Promise<unknown>;
  /** The current version's id and text. */
  current(): Promise<{ id: string; text: string }>;
}

/** A token store on a secret without a value, over real HTTP; everything closes when the test ends. */
export async function openStore({
  intercept,
  attempts = 1,
  issuerId = ISSUER,
  ...options
}: Partial<SecretsManagerOptions> & {
  intercept?: Intercept;
  attempts?: number;
  issuerId?: string;
} = {}): Promise<OpenedStore> {
  const clock = new FakeClock();
  const account = { region: 'eu-west-1', accountId: '000000000000', clock };
  const secretsManager = new SecretsManager({ ...account, ...options });
  const calls = new CallLog();
  const kms = new Kms(account);
  const server = await startAwsServer({ kms, secretsManager, calls, clock, ...(intercept && { intercept }) });
  const client = new SecretsManagerClient({
    endpoint: server.url,
    region: account.region,
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
    maxAttempts: attempts,
  });
  onTestFinished(async () => {
    client.destroy();
    await server.close();
  });
  await secretsManager.handle('CreateSecret', { Name: SECRET, ClientRequestToken: randomUUID() });

  const operate: OpenedStore['operate'] = (operation, input = {}) =>
    secretsManager.handle(operation, { SecretId: SECRET, ...input });
  return {
    store: createTokenStore({ client, secretId: SECRET, issuerId }),
    signal: new AbortController().signal,
    calls,
    count: (operation) => calls.count('secretsmanager', operation),
    operate,
    putAside: async (value) =>
      String((await operate('PutSecretValue', { ...value, ClientRequestToken: randomUUID() }))['VersionId']),
    versions: async () => {
      const { Versions } = await operate('ListSecretVersionIds', { IncludeDeprecated: true });
      return (Versions as { VersionId: string }[]).map(({ VersionId }) => VersionId);
    },
    labels: async () => (await operate('DescribeSecret'))['VersionIdsToStages'],
    current: async () => {
      const { VersionId, SecretString } = await operate('GetSecretValue');
      return { id: String(VersionId), text: String(SecretString) };
    },
  };
}
