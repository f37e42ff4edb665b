import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Context } from 'aws-lambda';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

/** DynamoDB that knows no issuer. */
const index = createServer((request, response) => {
  request.resume().on('end', () => {
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0' }).end('{}');
  });
});

let handler: (event: unknown, context: Context) => Promise<unknown>;

beforeAll(async () => {
  index.listen(0, '127.0.0.1');
  await once(index, 'listening');
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${(index.address() as AddressInfo).port}`);
  vi.stubEnv('AWS_REGION', 'eu-west-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'nobody');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'nobody');
  vi.stubEnv('D1_ISSUERS_TABLE', 'issuers');
  ({ handler } = await import('../../src/fleet/token-handler.ts'));
});

afterAll(() => {
  vi.unstubAllEnvs();
  index.closeAllConnections();
  index.close();
});

describe('the function of direct callers', () => {
  const call = (alias: string) =>
    handler({}, { invokedFunctionArn: `arn:aws:lambda:eu-west-1:111122223333:function:d1-tokens${alias}` } as Context);

  it.each([
    ['', 'The function was invoked without an alias.'],
    [':live', 'The function was invoked without an alias.'],
    [':issuer-ISSUER0001', 'There is no issuer ISSUER0001.'],
  ])('refuses the alias "%s" with EVENT_INVALID', async (alias, what) => {
    await expect(call(alias)).rejects.toMatchObject({ name: 'EVENT_INVALID', what });
  });
});
