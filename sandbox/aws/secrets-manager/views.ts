import type { Secret } from './secret.ts';
import type { Version } from './versions.ts';

// How secrets and versions look in an answer. On the wire an instant is a number of seconds since 1970 UTC.

export const identity = (secret: Secret) => ({ ARN: secret.arn, Name: secret.name });

/** A version without labels is deprecated, and has no VersionStages member at all. */
export function versionEntry(secret: Secret, version: Version) {
  const labels = secret.versions.labelsOf(version);
  return {
    VersionId: version.id,
    CreatedDate: version.createdAt / 1000,
    ...(labels.length > 0 && { VersionStages: labels }),
  };
}

/** The answer of DescribeSecret. RotationEnabled is absent, not false, for a secret that was never set up to rotate. */
export const description = (secret: Secret) => ({ ...metadata(secret), VersionIdsToStages: labelledVersions(secret) });

/** An entry of ListSecrets: what DescribeSecret tells, with another name for one member. */
export const listEntry = (secret: Secret) => ({
  ...metadata(secret),
  SecretVersionsToStages: labelledVersions(secret),
});

function labelledVersions({ versions }: Secret) {
  const labelled = versions
    .list()
    .map((version) => [version.id, versions.labelsOf(version)] as const)
    .filter(([, labels]) => labels.length > 0);
  return Object.fromEntries(labelled);
}

function metadata(secret: Secret) {
  return {
    ...identity(secret),
    CreatedDate: secret.createdAt / 1000,
    LastChangedDate: secret.changedAt / 1000,
    ...(secret.description !== undefined && { Description: secret.description }),
    ...(secret.kmsKeyId !== undefined && { KmsKeyId: secret.kmsKeyId }),
    ...(secret.primaryRegion !== undefined && { PrimaryRegion: secret.primaryRegion }),
    ...(secret.replicas.length > 0 && { ReplicationStatus: secret.replicas }),
    ...(secret.deletion && { DeletedDate: secret.deletion.requestedAt / 1000 }),
    ...(secret.lastRotatedAt !== undefined && { LastRotatedDate: secret.lastRotatedAt / 1000 }),
    ...(secret.rotation && {
      RotationEnabled: true,
      RotationLambdaARN: secret.rotation.lambdaArn,
      RotationRules: secret.rotation.rules,
    }),
  };
}
