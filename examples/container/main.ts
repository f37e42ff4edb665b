// Outside Lambda: a job in a container, or on a laptop. From a fresh clone, against the sandbox:
//   npm ci && npm run example container
// And with Node 24 and a secret of yours; credentials and Region come from wherever the AWS SDK finds them:
//   D1_TOKEN_SECRET_ID=d1/access-token D1_CLIENT_CERTIFICATE_SECRET_ID=d1/client-certificate node main.ts ISSUER_ID
import { createTokenReader, TokenReaderError } from 'd1-token-reader';

const origin = process.env.D1_API_ORIGIN ?? 'https://api.d1.thalescloud.io';
const [issuerId = ''] = process.argv.slice(2);

try {
  const d1 = createTokenReader({
    secretId: process.env.D1_TOKEN_SECRET_ID,
    clientCertificateSecretId: process.env.D1_CLIENT_CERTIFICATE_SECRET_ID,
    allowedOrigins: [origin],
  });
  // A job has a deadline of its own, and it is not the token's.
  const signal = AbortSignal.timeout(10_000);
  const response = await d1.fetch(`${origin}/banking/v1/issuers/${encodeURIComponent(issuerId)}`, { signal });
  console.log(response.status, JSON.stringify(await response.json()));
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  // The reader's errors may be logged as they are; they say what to check.
  console.error(error instanceof TokenReaderError ? `${error.code}: ${error.message}` : error);
  process.exitCode = 1;
}
