import { randomUUID } from 'node:crypto';
import { AwsError } from '../aws-error.ts';
import { type Sleep, tryAgainAfter } from '../retries.ts';
import type { Secret } from './secret.ts';

/** What Secrets Manager hands to the rotation function ("Rotation by Lambda function", Secrets Manager User Guide). */
export interface RotationEvent {
  readonly Step: 'createSecret' | 'setSecret' | 'testSecret' | 'finishSecret';
  readonly SecretId: string;
  readonly ClientRequestToken: string;
  /** Only a rotation across accounts needs it. */
  readonly RotationToken: string;
}
export type RotationFunction = (event: RotationEvent) => Promise<unknown>;

const steps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;

/**
 * Runs the rotation function as the service does, step after step. When one fails, all of them are done again, later ("If
 * any rotation step fails, Secrets Manager retries the entire rotation process multiple times": "Rotation by Lambda
 * function", Secrets Manager User Guide); in the end the version stays behind with AWSPENDING on it. After success the
 * service itself takes AWSPENDING off ("Our backend cleans up the pending label on rotation completion": maintainer,
 * aws-samples/aws-secrets-manager-rotation-lambdas, pull request 145).
 */
export async function rotate(
  secret: Secret,
  token: string,
  run: RotationFunction,
  { now, retryDelays, sleep }: { now: () => number; retryDelays: readonly number[]; sleep: Sleep },
): Promise<boolean> {
  const { versions } = secret;
  secret.rotating = token;
  const succeeded = await tryAgainAfter(retryDelays, sleep, async () => {
    for (const Step of steps) await run(event(secret, token, Step));
    if (versions.holder('AWSCURRENT')?.id !== token) throw new Error('The function has not moved AWSCURRENT.');
  });
  secret.rotating = undefined;
  if (!succeeded) return false;
  if (versions.holder('AWSPENDING')?.id === token) versions.detach('AWSPENDING');
  secret.lastRotatedAt = now();
  return true;
}

const event = (secret: Secret, token: string, Step: RotationEvent['Step']): RotationEvent => ({
  Step,
  SecretId: secret.arn,
  ClientRequestToken: token,
  RotationToken: randomUUID(),
});

/**
 * RotateImmediately=false: the configuration is tried with the testSecret step alone, on an AWSPENDING version that has no
 * value and is removed afterwards ("RotateSecret", AWS Secrets Manager API Reference).
 */
export async function tryConfiguration(secret: Secret, token: string, run: RotationFunction): Promise<boolean> {
  const version = startPending(secret, token);
  try {
    await run(event(secret, token, 'testSecret'));
    return true;
  } catch {
    return false;
  } finally {
    secret.versions.remove(version);
  }
}

/** Names the version to come: from now on it is in DescribeSecret with AWSPENDING, but has no value to read. */
export function startPending(secret: Secret, token: string) {
  const { versions } = secret;
  const pending = versions.holder('AWSPENDING');
  if (pending && pending !== versions.holder('AWSCURRENT') && pending.id !== token) {
    throw new AwsError(
      'InvalidRequestException',
      "A previous rotation isn't complete. That rotation will be reattempted.",
    );
  }
  const version = versions.get(token) ?? versions.add(token, undefined);
  versions.attach('AWSPENDING', version);
  return version;
}
