import { AwsError } from '../aws-error.ts';
import type { Secret } from './secret.ts';

/** What Secrets Manager hands to the rotation function ("Rotation by Lambda function", Secrets Manager User Guide). */
export interface RotationEvent {
  readonly Step: 'createSecret' | 'setSecret' | 'testSecret' | 'finishSecret';
  readonly SecretId: string;
  readonly ClientRequestToken: string;
}
export type RotationFunction = (event: RotationEvent) => Promise<unknown>;

const steps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;

/**
 * Runs the rotation function as the service does, step after step, and stops at the first one that fails; then the version
 * stays behind with AWSPENDING on it. After success the service itself takes AWSPENDING off ("Our backend cleans up the
 * pending label on rotation completion": maintainer, aws-samples/aws-secrets-manager-rotation-lambdas, pull request 145).
 * Unlike the service it doesn't try again by itself.
 */
export async function rotate(
  secret: Secret,
  token: string,
  run: RotationFunction,
  now: () => number,
): Promise<boolean> {
  secret.rotating = token;
  try {
    for (const Step of steps) await run({ Step, SecretId: secret.arn, ClientRequestToken: token });
  } catch {
    return false;
  } finally {
    secret.rotating = undefined;
  }
  const { versions } = secret;
  if (versions.holder('AWSCURRENT')?.id !== token) return false;
  if (versions.holder('AWSPENDING')?.id === token) versions.detach('AWSPENDING');
  secret.lastRotatedAt = now();
  return true;
}

/**
 * RotateImmediately=false: the configuration is tried with the testSecret step alone, on an AWSPENDING version that has no
 * value and is removed afterwards ("RotateSecret", AWS Secrets Manager API Reference).
 */
export async function tryConfiguration(secret: Secret, token: string, run: RotationFunction): Promise<boolean> {
  const version = startPending(secret, token);
  try {
    await run({ Step: 'testSecret', SecretId: secret.arn, ClientRequestToken: token });
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
