/** The parameters of a second Region (docs/second-region.md): what each may be, and what follows from them. */

const secretArn = /^arn:aws[\w-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@-]+-\w{6}$/;
const keyArn = /^arn:aws[\w-]*:kms:[a-z0-9-]+:\d{12}:key\/[\w-]+$/;
/** AWS KMS Developer Guide, "Multi-Region keys": their ids begin so. */
const multiRegionKeyArn = /^arn:aws[\w-]*:kms:[a-z0-9-]+:\d{12}:key\/mrk-[0-9a-f]{32}$/;

const orNone = (pattern: RegExp, rule: string) => ({
  kind: 'text' as const,
  accepts: (value: string) => value === 'none' || pattern.test(value),
  rule: `${rule}, or \`none\``,
});

export const secondRegionRules = {
  role: {
    kind: 'text' as const,
    accepts: (value: string) => ['primary', 'standby', 'promoted'].includes(value),
    rule: 'one of primary, standby, promoted',
  },
  replicaRegions: {
    kind: 'list' as const,
    accepts: (value: string) => keyArn.test(value),
    rule: 'ARNs of KMS keys, each in a Region that gets the replicas',
  },
  primaryTokenSecretArn: orNone(secretArn, "the output TokenSecretArn of the primary's stack"),
  primaryCurrentSigningKeyArn: orNone(multiRegionKeyArn, "the output CurrentSigningKeyArn of the primary's stack"),
  primaryNextSigningKeyArn: orNone(multiRegionKeyArn, "the output NextSigningKeyArn of the primary's stack"),
};

type Parameters = Readonly<Record<string, unknown>>;

/** What names something in another Region than the stack's. */
const ofThePrimary = ['primaryTokenSecretArn', 'primaryCurrentSigningKeyArn', 'primaryNextSigningKeyArn'] as const;
export const namesAnotherRegion = (name: string): boolean =>
  name === 'replicaRegions' || ofThePrimary.some((one) => one === name);

/** A standby, whether it watches its primary or was promoted: then it refreshes by itself, with the keys that it has. */
const isOfSecondRegion = ({ role }: Parameters) => role === 'standby' || role === 'promoted';

const regionOf = (arn: string) => arn.split(':')[3] ?? '';
const inRegion = (arn: string, region: string) => arn.replace(/^((?:[^:]*:){3})[^:]*/, `$1${region}`);
const replicaKeys = (parameters: Parameters) =>
  [parameters['replicaRegions'] ?? []].flat().filter((arn): arn is string => typeof arn === 'string');

/** Parameters that are right by themselves, and not together or not here. */
export function secondRegionFaults(parameters: Parameters, region: string): string[] {
  const faults: string[] = [];
  const textOf = (name: string) => String(parameters[name] ?? '');
  const isGiven = (name: string) => !['', 'none'].includes(textOf(name));
  const isStandby = isOfSecondRegion(parameters);
  const replicas = replicaKeys(parameters).map(regionOf);
  if (replicas.includes(region))
    faults.push(`parameter replicaRegions has a key of ${region}, which is the stack's own`);
  if (new Set(replicas).size < replicas.length) faults.push('parameter replicaRegions has two keys of one Region');
  for (const name of ofThePrimary) {
    if (!isStandby && isGiven(name))
      faults.push(`parameter ${name} is given; only with role: standby there is a primary`);
    if (isStandby && isGiven(name) && regionOf(textOf(name)) === region) {
      faults.push(`parameter ${name} is of Region ${region}; the primary must be in another one than its standby`);
    }
  }
  if (!isStandby) return faults;

  if (replicas.length > 0) faults.push('parameter replicaRegions is given; with role: standby it must be empty');
  for (const name of ['primaryTokenSecretArn', 'existingClientCertificateSecretArn']) {
    if (!isGiven(name)) faults.push(`parameter ${name} is missing; with role: standby it must be given`);
  }
  const keys = { keyId: 'primaryCurrentSigningKeyArn', nextKeyId: 'primaryNextSigningKeyArn' };
  for (const [kid, arn] of Object.entries(keys)) {
    if (isGiven(kid) !== isGiven(arn))
      faults.push(`parameters ${kid} and ${arn} must be given together, or both be none`);
  }
  const replica = inRegion(textOf('primaryTokenSecretArn'), region);
  if (replica.replace(/^.*:secret:/, '').replace(/-\w{6}$/, '') === parameters['tokenSecretName']) {
    faults.push(
      `parameter tokenSecretName is "${parameters['tokenSecretName']}", like the primary's, whose replica is in this Region; name the stage or the secret otherwise`,
    );
  }
  if (parameters['existingTokenSecretArn'] === replica) {
    faults.push(
      'parameter existingTokenSecretArn is the replica, which can be read only; a standby has a secret of its own',
    );
  }
  return faults;
}

const noValue = { Ref: 'AWS::NoValue' };

/** What the template can't work out for itself. */
export function secondRegionValues(parameters: Parameters, region: string) {
  const keys = replicaKeys(parameters);
  const isStandby = isOfSecondRegion(parameters);
  const primaryToken = String(parameters['primaryTokenSecretArn']);
  const certificate = String(parameters['existingClientCertificateSecretArn']);
  const replica = inRegion(primaryToken, region);
  return {
    signingKeyFile: isStandby ? 'standby.yml' : 'signing-key.yml',
    replicaRegionNames: keys.map(regionOf).join(',') || 'none',
    replicas: keys.length > 0 ? keys.map((KmsKeyId) => ({ Region: regionOf(KmsKeyId), KmsKeyId })) : noValue,
    /** A replica of the signing key is made by whoever deploys the standby. */
    allowReplicas:
      keys.length > 0
        ? {
            Sid: 'AdministratorsReplicate',
            Effect: 'Allow',
            Principal: { AWS: parameters['keyAdministrators'] },
            Action: 'kms:ReplicateKey',
            Resource: '*',
            Condition: { StringEquals: { 'kms:ReplicaRegion': keys.map(regionOf) } },
          }
        : noValue,
    /** A replica has its primary's ARN, but for the Region (Secrets Manager User Guide, "Replicate secrets across Regions"). */
    replicaOfPrimary: isStandby ? replica : noValue,
    watchedReplica: parameters['role'] === 'standby' ? replica : noValue,
    replicatedSecrets: isStandby
      ? [replica, primaryToken, certificate, inRegion(certificate, regionOf(primaryToken))]
      : [],
  };
}
