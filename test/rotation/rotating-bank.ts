import { randomUUID } from 'node:crypto';
import { DescribeSecretCommand, RotateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { type SandboxOptions, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { createSecretsManagerClient } from '../../src/aws/clients.ts';
import type { BrokerError } from '../../src/errors.ts';
import { type Bank, type Container, openBank } from '../support/bank.ts';

/** What came of one step that Secrets Manager had done: the broker's error code and sentence, if it failed. */
export interface StepReport {
  readonly step: string;
  readonly code?: string;
  readonly what?: string;
}

export interface RotatingBank extends Bank {
  /** The container that Secrets Manager sends the steps to. */
  readonly rotator: Container;
  /** Every step that Secrets Manager had done so far. */
  readonly reports: StepReport[];
  /** RotateSecret, and the four steps that follow it; `version` again is how Secrets Manager repeats a rotation. */
  rotate(version?: string): Promise<{ version: string; outcome: 'none' | 'succeeded' | 'failed' }>;
  /** One step by hand. */
  step(step: string, version: string, secretId?: string): Promise<unknown>;
  /** Staging label -> version id. */
  labels(): Promise<Record<string, string>>;
}

/**
 * A bank whose token secret is rotated by the broker, as a Lambda rotation function. With `byHand`, RotateSecret only
 * names the pending version, and the test sends the steps.
 */
export async function openRotatingBank({
  byHand = false,
  secretsManager = {},
  ...options
}: Omit<SandboxOptions, 'clock'> & { byHand?: boolean } = {}): Promise<RotatingBank> {
  const reports: StepReport[] = [];
  let rotator: Container | undefined;
  const bank = await openBank({
    ...options,
    secretsManager: {
      ...secretsManager,
      ...(!byHand && {
        rotationFunction: async (event) => {
          try {
            await rotator?.send({ ...event, RotationToken: 'b7f2c1d0-not-needed' });
            reports.push({ step: event.Step });
          } catch (error) {
            const { code, what } = error as BrokerError;
            reports.push({ step: event.Step, code, what });
            throw error;
          }
        },
      }),
    },
  });
  rotator = bank.container();
  const client = createSecretsManagerClient(2_000, {
    region: 'eu-west-1',
    endpoint: bank.sandbox.environment['AWS_ENDPOINT_URL'] ?? '',
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
  });

  return {
    ...bank,
    rotator,
    reports,
    async rotate(version = randomUUID()) {
      await client.send(
        new RotateSecretCommand({
          SecretId: TOKEN_SECRET,
          ClientRequestToken: version,
          RotationLambdaARN: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
        }),
      );
      return { version, outcome: await bank.sandbox.secretsManager.rotationSettled() };
    },
    step: (Step, ClientRequestToken, SecretId = TOKEN_SECRET) =>
      bank.container().send({ Step, SecretId, ClientRequestToken }),
    async labels() {
      const { VersionIdsToStages } = await client.send(new DescribeSecretCommand({ SecretId: TOKEN_SECRET }));
      const held = Object.entries(VersionIdsToStages ?? {});
      return Object.fromEntries(held.flatMap(([version, labels]) => labels.map((label) => [label, version])));
    },
    async close() {
      client.destroy();
      await bank.close();
    },
  };
}

export const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;
export const allWell: StepReport[] = STEPS.map((step) => ({ step }));
