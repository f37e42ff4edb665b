// A Lambda function that calls D1. From a fresh clone, against the sandbox:
//   npm ci && npm run example typescript-lambda
// Any bundler builds it. The banner is for the SDK, parts of which require Node's modules:
//   esbuild handler.ts --bundle --platform=node --format=esm --target=node24 --outfile=dist/handler.mjs --banner:js="import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"
import { createTokenReader } from 'd1-token-reader';

const origin = process.env.D1_API_ORIGIN ?? 'https://api.d1.thalescloud.io';
const d1 = createTokenReader({
  secretId: process.env.D1_TOKEN_SECRET_ID,
  clientCertificateSecretId: process.env.D1_CLIENT_CERTIFICATE_SECRET_ID,
  // Without it, a token that the secret can't give is an error; with it, the broker is asked.
  brokerFunctionName: process.env.D1_BROKER_FUNCTION_NAME,
  useSecretsExtension: true,
  allowedOrigins: [origin],
  // Nobody waits because of these: a look ahead that failed, or an extension that did not answer.
  onWarning: (warning) => console.warn(JSON.stringify({ code: warning.code, message: warning.message })),
});

export const handler = async (event: { issuerId: string }) => {
  const url = `${origin}/banking/v1/issuers/${encodeURIComponent(event.issuerId)}`;
  const response = await d1.fetch(url, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`D1 answered ${response.status}`);
  return response.json();
};
