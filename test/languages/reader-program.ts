// The TypeScript reader as a program like the samples of examples/: it is told the same stories.
import { createInterface } from 'node:readline';
import { createTokenReader } from '../../src/reader/reader.ts';

const origin = process.env['D1_API_ORIGIN'] ?? '';
const d1 = createTokenReader({
  secretId: process.env['D1_TOKEN_SECRET_ID'] ?? '',
  clientCertificateSecretId: process.env['D1_CLIENT_CERTIFICATE_SECRET_ID'],
  brokerFunctionName: process.env['D1_BROKER_FUNCTION_NAME'],
  allowedOrigins: [origin],
});

async function status(issuerId: string): Promise<string> {
  try {
    const response = await d1.fetch(`${origin}/banking/v1/issuers/${encodeURIComponent(issuerId)}`);
    if (!response.ok) return `D1 answered ${response.status}`;
    return ((await response.json()) as { status: string }).status;
  } catch (error) {
    return `failed: ${error instanceof Error ? error.message : error}`;
  }
}

createInterface({ input: process.stdin }).on('line', async (issuerId) => {
  process.stdout.write(`${issuerId}: ${await status(issuerId)}\n`);
});
