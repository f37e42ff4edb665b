// What a stranger's project has in it: `npm test` tries one cell of it, test/reader/matrix.ts the others.

/** The three lines; and what would pass if a type were lost on the way, as `any`. */
export const types = `
  import { createTokenReader, type TokenOptions } from 'd1-token-reader';
  import { type D1Context, d1Token } from 'd1-token-reader/middy';
  const d1 = createTokenReader({ secretId: process.env.D1_TOKEN_SECRET_ID });
  export const asked = async (options: TokenOptions) => {
    const response: Response = await d1.fetch('https://api.d1.thalescloud.io/banking/v1/issuers/1');
    const token: string = (await d1.token(options)).access_token;
    // @ts-expect-error
    const wrong: number = (await d1.token()).access_token;
    // @ts-expect-error
    const misspelt = (await d1.token()).acess_token;
    // @ts-expect-error
    await d1.token({ minRemainingSeconds: '60' });
    // @ts-expect-error
    createTokenReader({ secretId: 'x', clock: { now: () => 'now' } });
    return { response, token, wrong, misspelt };
  };
  export const middleware = d1Token({ reader: d1 });
  export const left = ({ d1: reader, getRemainingTimeInMillis }: D1Context): number => {
    // @ts-expect-error
    reader.tokens();
    return getRemainingTimeInMillis();
  };
`;

/** A test as jest takes it after `npm init jest`: CommonJS, and with every call to AWS mocked. */
export const jestTest = `
const { GetSecretValueCommand, SecretsManagerClient } = require('@aws-sdk/client-secrets-manager');
const { InvokeCommand, LambdaClient } = require('@aws-sdk/client-lambda');
const { mockClient } = require('aws-sdk-client-mock');
const { createTokenReader } = require('d1-token-reader');
const now = Math.floor(Date.now() / 1000);
const record = (name, left) => ({
  access_token: name, token_type: 'Bearer', expires_in: left, expires_at: now + left, obtained_at: now + left - 900,
  issuer_id: 'ISSUER0001', key_id: 'key', correlation_id: 'c', schema_version: 1,
});
const secretsManager = mockClient(SecretsManagerClient);
const lambda = mockClient(LambdaClient);
beforeEach(() => { secretsManager.reset(); lambda.reset(); });
process.env.AWS_REGION = 'eu-west-1';

test('the secret', async () => {
  secretsManager.on(GetSecretValueCommand, { SecretId: 'd1/access-token' })
    .resolves({ SecretString: JSON.stringify(record('from-secret', 900)) });
  const d1 = createTokenReader({ secretId: 'd1/access-token' });
  expect((await d1.token()).access_token).toBe('from-secret');
  expect(secretsManager.calls()).toHaveLength(1);
});

test('the broker', async () => {
  secretsManager.on(GetSecretValueCommand).resolves({ SecretString: '' });
  const answer = { ...record('from-broker', 600), answered_at: now, source: 'memory' };
  lambda.on(InvokeCommand).resolves({ Payload: Buffer.from(JSON.stringify(answer)) });
  const d1 = createTokenReader({ secretId: 'd1/access-token', brokerFunctionName: 'broker' });
  expect((await d1.token()).access_token).toBe('from-broker');
  expect(secretsManager.calls()).toHaveLength(1);
  expect(lambda.calls()).toHaveLength(1);
});

test('fetch', async () => {
  secretsManager.on(GetSecretValueCommand).resolves({ SecretString: JSON.stringify(record('sent', 900)) });
  const fetch = jest.fn(async () => new Response('ok'));
  const d1 = createTokenReader({ secretId: 'd1/access-token', fetch });
  expect(await (await d1.fetch('https://api.d1.thalescloud.io/x')).text()).toBe('ok');
  expect(fetch.mock.calls[0][1].headers.get('authorization')).toBe('Bearer sent');
});
`;
