import { request } from 'node:https';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

/** Another team's Lambda: it reads the secret and calls a D1 API, and knows nothing of the broker. */
export async function callD1AsConsumer({
  environment,
  clientCertificateSecret,
  url,
  now,
}: {
  environment: Readonly<Record<string, string>>;
  /** The consumer's own client certificate, as the JSON that the broker keeps in its secret. */
  clientCertificateSecret: string;
  url: string;
  /** Milliseconds since 1970 UTC. */
  now: () => number;
}): Promise<{ status: number; body: string; versionId: string; secondsLeft: number }> {
  const client = new SecretsManagerClient({
    region: environment['AWS_REGION'] ?? '',
    endpoint: environment['AWS_ENDPOINT_URL'] ?? '',
    credentials: { accessKeyId: 'consumer', secretAccessKey: 'consumer' },
  });
  const secret = await client.send(new GetSecretValueCommand({ SecretId: environment['D1_TOKEN_SECRET_ID'] }));
  client.destroy();
  const { access_token, expires_at } = JSON.parse(secret.SecretString ?? '{}');
  const { certificate, private_key, ca_bundle } = JSON.parse(clientCertificateSecret);
  return new Promise((resolve, reject) => {
    const tls = { cert: certificate, key: private_key, ca: ca_bundle, agent: false } as const;
    const outgoing = request(url, { ...tls, headers: { authorization: `Bearer ${access_token}` } }, (incoming) => {
      incoming.setEncoding('utf8');
      let body = '';
      incoming.on('data', (chunk) => {
        body += chunk;
      });
      incoming.on('end', () => {
        const secondsLeft = Math.floor(expires_at - now() / 1000);
        resolve({ status: incoming.statusCode ?? 0, body, versionId: secret.VersionId ?? '', secondsLeft });
      });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}
