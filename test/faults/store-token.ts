import { randomUUID } from 'node:crypto';
import { ISSUER_ID, KEY_ID, type Sandbox, TOKEN_SECRET } from '../../sandbox/sandbox.ts';

/**
 * Puts a token of 900 s into the secret, behind the broker's back.
 *
 * @param obtainedAt Seconds since 1970 UTC, whole.
 * @returns The access token.
 */
export async function storeToken(
  sandbox: Sandbox,
  obtainedAt: number,
  { versionId = randomUUID(), stages = ['AWSCURRENT'] }: { versionId?: string; stages?: readonly string[] } = {},
): Promise<string> {
  const record = {
    access_token: `eyJhbGciOiJFUzI1NiJ9.${randomUUID()}.${randomUUID()}`,
    token_type: 'Bearer',
    expires_in: 900,
    expires_at: obtainedAt + 900,
    obtained_at: obtainedAt,
    issuer_id: ISSUER_ID,
    key_id: KEY_ID,
    correlation_id: 'before',
    schema_version: 1,
  };
  await sandbox.secretsManager.handle('PutSecretValue', {
    SecretId: TOKEN_SECRET,
    ClientRequestToken: versionId,
    SecretString: JSON.stringify(record),
    VersionStages: stages,
  });
  return record.access_token;
}
