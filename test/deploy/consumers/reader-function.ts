import { createHash } from 'node:crypto';
import { createTokenReader } from '../../../src/reader/reader.ts';

const url = process.env['D1_ISSUER_URL'] ?? '';
const d1 = createTokenReader({
  secretId: process.env['D1_TOKEN_SECRET_ID'],
  clientCertificateSecretId: process.env['D1_CLIENT_CERTIFICATE_SECRET_ID'],
  allowedOrigins: [new URL(url).origin],
});

/**
 * A bank's Lambda, with the three lines of the README: its role has the policies token-reader and client-certificate-reader,
 * and no other. It tells what D1 answered and which token it got, not the token.
 */
export const handler = async () => {
  const response = await d1.fetch(url);
  const { access_token, expires_at } = await d1.token();
  const fingerprint = createHash('sha256').update(access_token).digest('hex');
  return { status: response.status, body: await response.json(), fingerprint, expires_at };
};
