import type { Versions } from './versions.ts';

/** A secret; all instants are milliseconds since 1970 UTC. */
export interface Secret {
  readonly name: string;
  readonly arn: string;
  readonly description: string | undefined;
  kmsKeyId: string | undefined;
  /** A resource policy as it was put; the sandbox asks none. */
  policy: string | undefined;
  /** Its replicas, as DescribeSecret tells them; the sandbox has one Region, and makes none. */
  replicas: readonly { readonly Region: string; readonly Status: 'InSync' | 'InProgress' | 'Failed' }[];
  /** Of a secret that is itself a replica: where the other one is. */
  primaryRegion: string | undefined;
  readonly createdAt: number;
  changedAt: number;
  readonly versions: Versions;
  /** Set while the secret waits for its deletion; at `deletionAt` it is gone. */
  deletion: { readonly requestedAt: number; readonly deletionAt: number } | undefined;
  /** Absent until rotation is first configured. */
  rotation: { readonly lambdaArn: string; rules: unknown } | undefined;
  lastRotatedAt: number | undefined;
  /** The version that a running rotation works on. */
  rotating: string | undefined;
}

const suffixPattern = /-[A-Za-z0-9]{6}$/;

/**
 * Does a SecretId mean this secret? By name, by ARN, or by an ARN without the hyphen and the six characters that Secrets
 * Manager adds ("Finding a secret from a partial ARN"). An ARN that ends like a complete one is taken for a complete one.
 */
export function isMeant(secret: Secret, secretId: string): boolean {
  if (!secretId.startsWith('arn:')) return secretId === secret.name;
  if (secretId === secret.arn) return true;
  return !suffixPattern.test(secretId) && secretId === secret.arn.replace(suffixPattern, '');
}
