// The Lambda that one writes by hand for this job, and deploys with its node_modules: the SDK as npm installs it, axios,
// ecdsa-sig-formatter, and the JWT put together as jsonwebtoken does. It checks little and tells nothing.
import { createHash, randomUUID } from 'node:crypto';
import { Agent } from 'node:https';
import { KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { GetSecretValueCommand, PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import axios from 'axios';
import { derToJose } from 'ecdsa-sig-formatter';

const kms = new KMSClient({});
const secretsManager = new SecretsManagerClient({});
const {
  D1_TOKEN_SECRET_ID: tokenSecret,
  D1_CLIENT_CERTIFICATE_SECRET_ID: certificateSecret,
  D1_SIGNING_KEY_ID: signingKey,
  D1_KEY_ID: keyId,
  D1_ISSUER_ID: issuerId,
  D1_ENVIRONMENT: baseUrl,
  D1_AUDIENCE: audience,
} = process.env;

export const handler = async () => {
  const stored = await readSecret(tokenSecret);
  if (stored.expires_at > Date.now() / 1000 + 60) return stored;

  const { certificate, private_key: key, ca_bundle: ca } = await readSecret(certificateSecret);
  const { data } = await axios.post(
    `${baseUrl}/oauth2/token`,
    new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: await assertion() }),
    { httpsAgent: new Agent({ cert: certificate, key, ca }), timeout: 8_000 },
  );
  const token = { ...data, expires_at: Math.floor(Date.now() / 1000) + data.expires_in };
  await secretsManager.send(new PutSecretValueCommand({ SecretId: tokenSecret, SecretString: JSON.stringify(token) }));
  return token;
};

async function readSecret(SecretId) {
  const { SecretString } = await secretsManager.send(new GetSecretValueCommand({ SecretId }));
  return JSON.parse(SecretString);
}

async function assertion() {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuerId, sub: issuerId, aud: audience, iat: now - 30, exp: now + 300, jti: randomUUID() };
  const input = `${encode({ alg: 'ES256', typ: 'JWT', kid: keyId })}.${encode(claims)}`;
  const { Signature } = await kms.send(
    new SignCommand({
      KeyId: signingKey,
      Message: createHash('sha256').update(input).digest(),
      MessageType: 'DIGEST',
      SigningAlgorithm: 'ECDSA_SHA_256',
    }),
  );
  return `${input}.${derToJose(Buffer.from(Signature), 'ES256')}`;
}

const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
