import type { Clients } from '../frame/clients.ts';
import type { Retained } from './resource.ts';
import { findSecretsKey, findSigningKeys, type KeyFlags } from './retained-keys.ts';
import { findSecret } from './retained-secret.ts';
import type { Wanted } from './wanted.ts';

/**
 * Looks for what a stack of this stage has left.
 *
 * @throws CliFailure when it is there and can't be used as it is, or is another issuer's, or it isn't clear which key is meant.
 */
export async function findRetained(
  clients: Clients,
  stage: string,
  wanted: Wanted,
  flags: KeyFlags,
): Promise<readonly Retained[]> {
  const kms = await clients.kms();
  const [secrets, signingKeys] = await Promise.all([
    Promise.all(wanted.secrets.map((one) => findSecret(clients, one, wanted.issuerId))),
    findSigningKeys(kms, stage, wanted, flags),
  ]);
  const found = secrets.flatMap((one) => (one ? [one] : []));
  const secretsKey = wanted.makesSecretsKey
    ? await findSecretsKey(
        kms,
        stage,
        wanted,
        found.map(({ keyId }) => keyId),
      )
    : undefined;
  return [
    ...signingKeys,
    ...(secretsKey ? [secretsKey.resource] : []),
    ...found.flatMap(({ secret, policy, keyId }) => {
      const isOwn = secretsKey !== undefined && keyId === secretsKey.arn;
      const KmsKeyId = isOwn ? { 'Fn::GetAtt': [secretsKey.resource.logicalId, 'Arn'] } : keyId;
      const properties = { ...secret.properties, ...(KmsKeyId !== undefined && { KmsKeyId }) };
      return [{ ...secret, properties }, ...(policy ? [policy] : [])];
    }),
  ];
}
