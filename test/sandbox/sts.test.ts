import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';

let sandbox: Sandbox;
let endpoint: string;

beforeEach(async () => {
  sandbox = await startSandbox();
  endpoint = sandbox.environment['AWS_ENDPOINT_URL'] ?? '';
});
afterEach(() => sandbox.close());

const identity = {
  Account: '000000000000',
  Arn: 'arn:aws:iam::000000000000:user/sandbox',
  UserId: 'AIDASANDBOX0000000000',
};

it('An SDK is told who it is', async () => {
  const client = new STSClient({
    endpoint,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
  });
  expect(await client.send(new GetCallerIdentityCommand({}))).toMatchObject(identity);
  client.destroy();
  expect(sandbox.calls.count('sts', 'GetCallerIdentity')).toBe(1);
});

const form = (body: string) =>
  fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
    body,
  });

it.each([
  ['a form', () => form('Action=GetCallerIdentity&Version=2011-06-15')],
  ['the URL', () => fetch(`${endpoint}/?Action=GetCallerIdentity&Version=2011-06-15`)],
])('The answer to %s is XML, as the API Reference shows it', async (_what, ask) => {
  const response = await ask();
  const requestId = response.headers.get('x-amzn-requestid');
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/xml']);
  expect((await response.text()).trim()).toBe(
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">' +
      `<GetCallerIdentityResult><Arn>${identity.Arn}</Arn><UserId>${identity.UserId}</UserId><Account>${identity.Account}</Account></GetCallerIdentityResult>` +
      `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></GetCallerIdentityResponse>`,
  );
});

it.each([
  ['another operation', 'Action=AssumeRole&Version=2011-06-15', 'InvalidAction'],
  ['another version', 'Action=GetCallerIdentity&Version=2010-05-08', 'InvalidAction'],
  ['no operation', 'Version=2011-06-15', 'MissingAction'],
])('%s is refused in XML', async (_what, body, code) => {
  const response = await form(body);
  expect(response.status).toBe(400);
  const text = await response.text();
  expect(text).toMatch(
    /^<ErrorResponse xmlns="https:\/\/sts.amazonaws.com\/doc\/2011-06-15\/"><Error><Type>Sender<\/Type>/,
  );
  expect(text).toContain(`<Code>${code}</Code>`);
  expect(text).toContain(`<RequestId>${response.headers.get('x-amzn-requestid')}</RequestId>`);
});
