import { randomUUID } from 'node:crypto';
import {
  CreateSecretCommand,
  type CreateSecretCommandInput,
  DescribeSecretCommand,
  GetSecretValueCommand,
  type GetSecretValueCommandInput,
  PutSecretValueCommand,
  type PutSecretValueCommandInput,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import type { Aws } from '../implementations.ts';

// What the rules about Secrets Manager need to be short.

type Without<T> = Omit<T, 'SecretId'>;

/** One secret, spoken to by its name. */
export interface Secret {
  readonly name: string;
  readonly arn: string;
  /** The id of the first version; undefined when the secret was created without a value. */
  readonly first: string | undefined;
  get(more?: Without<GetSecretValueCommandInput>): Promise<{
    readonly SecretString?: string | undefined;
    readonly SecretBinary?: Uint8Array | undefined;
    readonly VersionId?: string | undefined;
    readonly VersionStages?: string[] | undefined;
  }>;
  /** Resolves to the id of the version. */
  put(value: string, more?: Without<PutSecretValueCommandInput>): Promise<string>;
  /** Puts `value` under AWSPENDING alone; resolves to the id of the version. */
  putPending(value: string, more?: Without<PutSecretValueCommandInput>): Promise<string>;
  moveLabel(label: string, move: { from?: string | undefined; to?: string | undefined }): Promise<unknown>;
  describe(): Promise<Description>;
  /** Version id -> its labels, sorted; versions without labels are left out, listed or not. */
  labels(): Promise<Record<string, string[]>>;
}

export type Description = Awaited<ReturnType<typeof describeSecret>>;

export const newName = () => `contract/${randomUUID()}`;

export const describeSecret = ({ secretsManager }: Aws, secretId: string) =>
  secretsManager.send(new DescribeSecretCommand({ SecretId: secretId }));

export const getSecretValue = ({ secretsManager }: Aws, input: GetSecretValueCommandInput) =>
  secretsManager.send(new GetSecretValueCommand(input));

/** A new secret with the value `first`, or whatever `input` says. */
export async function createSecret(
  aws: Aws,
  input: Omit<CreateSecretCommandInput, 'Name'> = { SecretString: 'first' },
): Promise<Secret> {
  const { secretsManager } = aws;
  const name = newName();
  const created = await secretsManager.send(new CreateSecretCommand({ Name: name, ...input }));
  const put: Secret['put'] = async (value, more = {}) => {
    const command = new PutSecretValueCommand({ SecretId: name, SecretString: value, ...more });
    return String((await secretsManager.send(command)).VersionId);
  };
  const describe = () => describeSecret(aws, name);
  return {
    name,
    arn: String(created.ARN),
    first: created.VersionId,
    get: (more = {}) => getSecretValue(aws, { SecretId: name, ...more }),
    put,
    putPending: (value, more = {}) => put(value, { VersionStages: ['AWSPENDING'], ...more }),
    moveLabel: (label, { from, to }) =>
      secretsManager.send(
        new UpdateSecretVersionStageCommand({
          SecretId: name,
          VersionStage: label,
          ...(from !== undefined && { RemoveFromVersionId: from }),
          ...(to !== undefined && { MoveToVersionId: to }),
        }),
      ),
    describe,
    labels: async () => {
      const stages = Object.entries((await describe()).VersionIdsToStages ?? {});
      const labelled = stages.filter(([, labels]) => labels.length > 0);
      return Object.fromEntries(labelled.map(([id, labels]) => [id, labels.toSorted()]));
    },
  };
}
