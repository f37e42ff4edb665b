import type { KMSClient } from '@aws-sdk/client-kms';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Kms } from '../../sandbox/aws/kms.ts';
import { SecretsManager } from '../../sandbox/aws/secrets-manager.ts';
import { startAwsServer } from '../../sandbox/aws/server.ts';
import { CallLog } from '../../sandbox/calls.ts';
import { createKmsClient, createSecretsManagerClient } from '../../src/aws/clients.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { ensureVenv, pinnedVersion, requirementsIn, startPythonServer } from '../support/python-server.ts';

export const implementations = ['sandbox', 'MiniStack', 'moto'] as const;
export type Implementation = (typeof implementations)[number];
/** Everyone but the sandbox, which has to follow every rule. */
export type Emulator = Exclude<Implementation, 'sandbox'>;

/** An AWS to be judged: the product's own clients, pointed at it. */
export interface Aws {
  readonly kms: KMSClient;
  readonly secretsManager: SecretsManagerClient;
  /** A function to name in RotateSecret. Absent where it would have to be run, and can't. */
  readonly rotationFunctionArn: string | undefined;
}

const region = 'eu-west-1';
const requestTimeoutMilliseconds = 30_000;
const ministackRequirements = requirementsIn(new URL('../support/ministack.requirements.txt', import.meta.url));
const motoRequirements = requirementsIn(new URL('moto.requirements.txt', import.meta.url));

export const versions: Readonly<Record<Emulator, string>> = {
  MiniStack: pinnedVersion(ministackRequirements, 'ministack'),
  moto: pinnedVersion(motoRequirements, 'moto'),
};

/** The sandbox and MiniStack start a rotation without calling a function; moto runs it, in Docker. */
const rotationFunctionArns: Readonly<Record<Implementation, string | undefined>> = {
  sandbox: 'arn:aws:lambda:eu-west-1:111122223333:function:rotation',
  MiniStack: 'arn:aws:lambda:eu-west-1:000000000000:function:rotation',
  moto: undefined,
};

const starters: Readonly<Record<Implementation, () => Promise<{ url: string; close(): Promise<void> }>>> = {
  sandbox: () => {
    const place = { region, accountId: '111122223333', clock: systemClock };
    const kms = new Kms(place);
    const secretsManager = new SecretsManager(place);
    return startAwsServer({ kms, secretsManager, calls: new CallLog(), clock: systemClock });
  },
  MiniStack: async () =>
    startPythonServer({
      venv: await ensureVenv('ministack', ministackRequirements),
      args: ['-m', 'ministack'],
      environment: {
        BIND_HOST: '127.0.0.1',
        GATEWAY_PORT: '0',
        SERVICES: 'kms,secretsmanager',
        // Else it listens for MQTT on every address of the machine.
        IOT_MTLS_ENABLED: '0',
        SFTP_ENABLED: '0',
      },
      announcement: /Running on (http:\/\/127\.0\.0\.1:\d+)/,
    }),
  moto: async () =>
    startPythonServer({
      venv: await ensureVenv('moto', motoRequirements),
      args: ['-m', 'moto.server', '-H', '127.0.0.1', '-p', '0'],
      announcement: /Running on (http:\/\/127\.0\.0\.1:\d+)/,
    }),
};

export async function start(implementation: Implementation): Promise<Aws & { close(): Promise<void> }> {
  const server = await starters[implementation]();
  const credentials = { accessKeyId: 'contract', secretAccessKey: 'contract' };
  const place = { region, endpoint: server.url, credentials };
  const kms = createKmsClient(requestTimeoutMilliseconds, place);
  const secretsManager = createSecretsManagerClient(requestTimeoutMilliseconds, place);
  return {
    kms,
    secretsManager,
    rotationFunctionArn: rotationFunctionArns[implementation],
    close: async () => {
      kms.destroy();
      secretsManager.destroy();
      await server.close();
    },
  };
}
