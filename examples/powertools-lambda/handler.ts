// The same with Middy and Powertools for AWS Lambda: the middleware has a token ready before the handler runs. From a fresh
// clone, against the sandbox:
//   npm ci && npm run example powertools-lambda
// CommonJS is what a bundler makes with the least ado:
//   esbuild handler.ts --bundle --platform=node --format=cjs --target=node24 --outfile=dist/handler.cjs
import { Logger } from '@aws-lambda-powertools/logger';
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import middy from '@middy/core';
import { type D1Context, d1Token } from 'd1-token-reader/middy';

const origin = process.env.D1_API_ORIGIN ?? 'https://api.d1.thalescloud.io';
const logger = new Logger({ serviceName: 'issuer-lookup' });

export const handler = middy<{ issuerId: string }, unknown>()
  .use(injectLambdaContext(logger))
  .use(
    d1Token({
      secretId: process.env.D1_TOKEN_SECRET_ID,
      clientCertificateSecretId: process.env.D1_CLIENT_CERTIFICATE_SECRET_ID,
      allowedOrigins: [origin],
      onWarning: (warning) => logger.warn(warning.message, { code: warning.code }),
    }),
  )
  .handler(async (event, { d1 }: D1Context) => {
    const response = await d1.fetch(`${origin}/banking/v1/issuers/${encodeURIComponent(event.issuerId)}`);
    logger.info('asked D1 for an issuer', { status: response.status });
    if (!response.ok) throw new Error(`D1 answered ${response.status}`);
    return response.json();
  });
