import type { KMSClient } from '@aws-sdk/client-kms';
import { LambdaClient } from '@aws-sdk/client-lambda';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { STSClient } from '@aws-sdk/client-sts';
import { Kms } from '../../sandbox/aws/kms.ts';
import { Lambda } from '../../sandbox/aws/lambda.ts';
import { SecretsManager } from '../../sandbox/aws/secrets-manager.ts';
import { startAwsServer } from '../../sandbox/aws/server.ts';
import { Sts } from '../../sandbox/aws/sts.ts';
import { CallLog } from '../../sandbox/calls.ts';
import { createKmsClient, createSecretsManagerClient } from '../../src/aws/clients.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { ensureVenv, pinnedVersion, requirementsIn, startPythonServer } from '../support/python-server.ts';
import { createEchoFunction, createRotator, echo } from './functions.ts';

export const implementations = ['sandbox', 'MiniStack', 'moto'] as const;
export type Implementation = (typeof implementations)[number];
/** Everyone but the sandbox, which has to follow every rule. */
export type Emulator = Exclude<Implementation, 'sandbox'>;

/** An AWS to be judged: the product's own clients, pointed at it, and the SDK's where the product has none. */
export interface Aws {
  readonly kms: KMSClient;
  readonly secretsManager: SecretsManagerClient;
  readonly lambda: LambdaClient;
  readonly sts: STSClient;
  /** Functions to name in RotateSecret. Absent where they would have to be run, and can't. */
  readonly rotationFunctions: RotationFunctions | undefined;
  /**
   * Name of a function that answers with the event it is given, and throws `NotDone` with the text of its member `fail`.
   * Absent where none can be run.
   */
  readonly echoFunction: string | undefined;
}

/** ARNs. */
export interface RotationFunctions {
  /** Does nothing, so that the steps are left to the rule. */
  readonly idle: string;
  /** Does the four steps: the new value is `rotated`. */
  readonly working: string;
  /** The same, but for its first testSecret, which fails. */
  readonly failingOnce: string;
}

const region = 'eu-west-1';
const requestTimeoutMilliseconds = 30_000;
const ministackRequirements = requirementsIn(new URL('../support/ministack.requirements.txt', import.meta.url));
const motoRequirements = requirementsIn(new URL('moto.requirements.txt', import.meta.url));

export const versions: Readonly<Record<Emulator, string>> = {
  MiniStack: pinnedVersion(ministackRequirements, 'ministack'),
  moto: pinnedVersion(motoRequirements, 'moto'),
};

const functionsOf = (accountId: string): RotationFunctions => {
  const arn = (name: string) => `arn:aws:lambda:${region}:${accountId}:function:${name}`;
  return { idle: arn('idle'), working: arn('working'), failingOnce: arn('failing-once') };
};

/** MiniStack starts a rotation without calling a function; moto runs it, in Docker. */
const rotationFunctions: Readonly<Record<Implementation, RotationFunctions | undefined>> = {
  sandbox: functionsOf('111122223333'),
  MiniStack: functionsOf('000000000000'),
  moto: undefined,
};

/** moto would run it in Docker. */
const echoFunctions: Readonly<Record<Implementation, string | undefined>> = {
  sandbox: 'echo',
  MiniStack: 'echo',
  moto: undefined,
};

interface Started {
  readonly url: string;
  /** Of the environment that an emulator runs in. */
  readonly python?: string;
  close(): Promise<void>;
}

const starters: Readonly<Record<Implementation, () => Promise<Started>>> = {
  sandbox: () => {
    const place = { region, accountId: '111122223333', clock: systemClock };
    const kms = new Kms(place);
    const rotator = (failures: number) =>
      createRotator((operation, input) => secretsManager.handle(operation, input), failures);
    const lambda = new Lambda({
      ...place,
      functions: { echo, idle: () => new Promise(() => {}), working: rotator(0), 'failing-once': rotator(1) },
    });
    const secretsManager = new SecretsManager({ ...place, lambda, rotationRetryDelays: [1], sleep: async () => {} });
    return startAwsServer({
      kms,
      secretsManager,
      lambda,
      sts: new Sts(place),
      calls: new CallLog(),
      clock: systemClock,
    });
  },
  MiniStack: async () => {
    const venv = await ensureVenv('ministack', ministackRequirements);
    const server = await startPythonServer({
      venv,
      args: ['-m', 'ministack'],
      environment: {
        BIND_HOST: '127.0.0.1',
        GATEWAY_PORT: '0',
        SERVICES: 'kms,secretsmanager,lambda,sts',
        // Else it listens for MQTT on every address of the machine.
        IOT_MTLS_ENABLED: '0',
        SFTP_ENABLED: '0',
      },
      announcement: /Running on (http:\/\/127\.0\.0\.1:\d+)/,
    });
    return { ...server, python: venv.python };
  },
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
  const lambda = new LambdaClient(place);
  const sts = new STSClient(place);
  if (server.python !== undefined) await createEchoFunction(lambda, server.python);
  return {
    kms,
    secretsManager,
    lambda,
    sts,
    rotationFunctions: rotationFunctions[implementation],
    echoFunction: echoFunctions[implementation],
    close: async () => {
      for (const client of [kms, secretsManager, lambda, sts]) client.destroy();
      await server.close();
    },
  };
}
