import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { onTestFinished, vi } from 'vitest';
import { AwsError } from '../../sandbox/aws/aws-error.ts';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { createKmsClient, createSecretsManagerClient } from '../../src/aws/clients.ts';
import type { Document } from '../../src/cli/frame/document.ts';
import { createDynamoDbIndex } from '../../src/fleet/dynamodb-index.ts';
import { type IssuerFields, readIssuer } from '../../src/fleet/issuer.ts';
import { createIssuerApps } from '../../src/fleet/issuer-apps.ts';
import type { IssuerIndex } from '../../src/fleet/issuer-index.ts';
import type { IssuerState } from '../../src/fleet/issuer-state.ts';
import { issuerOf } from '../../src/fleet/lookup.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { systemRandom } from '../../src/shared/random.ts';
import { awsEnvironment, type Run, runProgram, STAGE } from './operated-bank.ts';

const context = { getRemainingTimeInMillis: () => 60_000 };

export interface OperatedFleet {
  readonly sandbox: Sandbox;
  readonly index: IssuerIndex;
  /** The call, like `kms.CreateKey`, that fails from its nth on; nothing fails unless told. */
  failFrom: { readonly call: string; nth: number } | undefined;
  /** How often each call was made that changes something. */
  changes(): Readonly<Record<string, number>>;
  run(inputs: readonly string[]): Promise<Run>;
  /** As `run`, with the stage and --json; fails when what is printed is not one document. */
  json(command: string, ...inputs: readonly string[]): Promise<Document>;
  /** @returns The name of a file with this list. */
  file(list: unknown): string;
  /** What Thales does for an issuer: it learns its key, and sends a certificate. */
  onboard(issuerId: string, certificate?: { readonly notAfter: Date }): Promise<void>;
  /** As a worker that has tried. */
  keep(issuerId: string, state: Partial<IssuerState>): Promise<void>;
}

/** A deployed stack for many issuers, with no issuer yet, for the operator's commands. It closes with the test. */
export async function openOperatedFleet(): Promise<OperatedFleet> {
  const counted = new Map<string, number>();
  const sandbox = await startSandbox({
    tokenFunction: (event, arn) => answer(event, arn),
    awsIntercept: async ({ service, operation }, next) => {
      const call = `${service}.${operation}`;
      const { failFrom } = fleet;
      if (failFrom?.call === call && --failFrom.nth <= 0) throw new AwsError('AccessDeniedException', 'No.', 400);
      if (/^(Create|Put|Update|Delete|Tag)/.test(operation)) counted.set(call, (counted.get(call) ?? 0) + 1);
      return next();
    },
  });
  sandbox.deployment.exists = false;
  const place = {
    region: 'eu-west-1',
    endpoint: sandbox.environment['AWS_ENDPOINT_URL'] ?? '',
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
  };
  const index = createDynamoDbIndex(
    new DynamoDBClient(place),
    sandbox.deployment.fleet?.outputs['IssuersTableName'] ?? '',
  );
  const appOf = createIssuerApps({
    kms: createKmsClient(2_000, place),
    secretsManager: createSecretsManagerClient(2_000, place),
    clock: systemClock,
    random: systemRandom,
    stage: STAGE,
  });
  const read = (fields: IssuerFields) => readIssuer(fields, {});
  /** As src/fleet/token-handler.ts, which is made of its process's environment. */
  async function answer(event: unknown, arn: string): Promise<unknown> {
    const entry = await index.find(issuerOf(arn) ?? '');
    if (!entry) throw new Error('There is no such issuer.');
    return appOf(read(entry.fields)).run(event, context);
  }
  const folder = mkdtempSync(join(tmpdir(), 'd1-token-'));
  // What the function writes is its log.
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, 'write').mockImplementation(() => true),
  );
  onTestFinished(async () => {
    for (const spy of spies) spy.mockRestore();
    rmSync(folder, { recursive: true });
    await sandbox.close();
  });

  const fleet: OperatedFleet = {
    sandbox,
    index,
    failFrom: undefined,
    changes: () => Object.fromEntries([...counted].sort()),
    run: (inputs) => runProgram(inputs, awsEnvironment(sandbox)),
    async json(command, ...inputs) {
      const { stdout } = await fleet.run([...command.split(' '), '--stage', STAGE, '--json', ...inputs]);
      return JSON.parse(stdout) as Document;
    },
    file(list) {
      const name = join(folder, `${randomUUID()}.json`);
      writeFileSync(name, typeof list === 'string' ? list : JSON.stringify(list));
      return name;
    },
    async onboard(issuerId, certificate) {
      const { signing_key_id: KeyId = '', key_id: keyId = '' } = (await index.find(issuerId))?.fields ?? {};
      const { PublicKey } = (await sandbox.kms.handle('GetPublicKey', { KeyId })) as { PublicKey: string };
      sandbox.d1.provisionIssuer({ issuerId, keyId, publicKey: Buffer.from(PublicKey, 'base64') });
      await sandbox.secretsManager.handle('PutSecretValue', {
        SecretId: `d1/${issuerId}/client-certificate`,
        ClientRequestToken: randomUUID(),
        SecretString: await sandbox.clientCertificateSecret({ issuerId, ...certificate }),
      });
    },
    async keep(issuerId, state) {
      const entry = await index.find(issuerId);
      if (!entry) throw new Error(`There is no issuer ${issuerId}.`);
      await index.keep(entry, { ...entry.state, triedAt: Date.now(), ...state });
    },
  };
  return fleet;
}
