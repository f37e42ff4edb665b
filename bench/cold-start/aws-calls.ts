import { createHash, randomUUID } from 'node:crypto';
import { KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { GetSecretValueCommand, PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

const kms = new KMSClient({});
const secretsManager = new SecretsManagerClient({});
const { D1_TOKEN_SECRET_ID: tokenSecret, D1_ISSUER_ID: issuerId, ...env } = process.env;

/**
 * The calls to AWS that the broker makes for the same event, in the same order. No checks, no log, no metrics.
 *
 * @param exchange What comes between signing and storing.
 */
export async function callAws(
  exchange: (clientCertificate: string | undefined, input: string, der: Uint8Array | undefined) => Promise<void>,
): Promise<object> {
  const { SecretString = '{}' } = await secretsManager.send(new GetSecretValueCommand({ SecretId: tokenSecret }));
  const now = Math.floor(Date.now() / 1000);
  if (JSON.parse(SecretString).expires_at > now) return {};
  const header = { alg: 'ES256', typ: 'JWT', kid: env['D1_KEY_ID'] };
  const claims = {
    iss: issuerId,
    sub: issuerId,
    aud: env['D1_AUDIENCE'],
    iat: now - 30,
    exp: now + 300,
    jti: randomUUID(),
  };
  const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const [certificate, { Signature }] = await Promise.all([
    secretsManager.send(new GetSecretValueCommand({ SecretId: env['D1_CLIENT_CERTIFICATE_SECRET_ID'] })),
    kms.send(
      new SignCommand({
        KeyId: env['D1_SIGNING_KEY_ID'],
        Message: createHash('sha256').update(input).digest(),
        MessageType: 'DIGEST',
        SigningAlgorithm: 'ECDSA_SHA_256',
      }),
    ),
  ]);
  await exchange(certificate.SecretString, input, Signature);
  await secretsManager.send(new PutSecretValueCommand({ SecretId: tokenSecret, SecretString }));
  return {};
}
