import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Intercept as AwsIntercept } from '../../sandbox/aws/server.ts';
import { bundleHandler } from '../../sandbox/bundle.ts';
import type { D1Answer } from '../../sandbox/d1/http.ts';
import { type Container, startContainer } from '../../sandbox/lambda/container.ts';
import { type Sandbox, startSandbox, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { schedulerTick } from '../support/bank.ts';

const ELSEWHERE = 'https://elsewhere.example/collect';

/** Everything that a server can say to send a client, or its browser, somewhere else. */
const awayHeaders: Record<string, string> = {
  location: ELSEWHERE,
  'content-location': ELSEWHERE,
  refresh: `0; url=${ELSEWHERE}`,
  link: `<${ELSEWHERE}>; rel=preconnect, <${ELSEWHERE}>; rel=preload`,
  'alt-svc': 'h2="elsewhere.example:443"; ma=86400; persist=1',
  'report-to': `{"endpoints":[{"url":"${ELSEWHERE}"}]}`,
  'www-authenticate': `Bearer realm="${ELSEWHERE}", resource_metadata="${ELSEWHERE}"`,
  'set-cookie': 'a=b; Domain=elsewhere.example',
  'retry-after': '0',
};
const metadata = {
  ...{ token_endpoint: ELSEWHERE, issuer: ELSEWHERE, jwks_uri: ELSEWHERE, error_uri: ELSEWHERE },
  ...{ error: 'use_mtls_endpoint_aliases', mtls_endpoint_aliases: { token_endpoint: ELSEWHERE } },
};
const answer = (status: number, body: object): D1Answer => ({
  status,
  headers: { 'content-type': 'application/json', ...awayHeaders },
  body: JSON.stringify(body),
  outcome: `made up ${status}`,
});
const statuses = [
  200, 201, 202, 204, 300, 301, 302, 303, 305, 307, 308, 400, 401, 403, 404, 407, 421, 426, 429, 500, 503,
];
const d1Answers: readonly ((own: D1Answer) => D1Answer)[] = [
  ...statuses.map((status) => () => answer(status, metadata)),
  // A good token, with directions.
  (own) => answer(200, { ...metadata, ...JSON.parse(own.body) }),
];
const awsStatuses = [200, 301, 302, 307, 308, 400, 421, 503] as const;

let next: { d1?: (own: D1Answer) => D1Answer; aws?: AwsIntercept } = {};
let sandbox: Sandbox;
let container: Container;

beforeAll(async () => {
  sandbox = await startSandbox({
    awsIntercept: (call, go, response) => (next.aws ? next.aws(call, go, response) : go()),
    d1Intercept: async (_request, go) => (next.d1 ? next.d1(await go()) : go()),
  });
  const { file } = await bundleHandler(join(import.meta.dirname, '..', '..', '.build', 'destinations'));
  container = await startContainer(file, {
    ...sandbox.environment,
    NODE_OPTIONS: `--import=${join(import.meta.dirname, 'record-destinations.mjs')}`,
  });
}, 60_000);

afterAll(async () => {
  await container?.kill('SIGKILL');
  await sandbox?.close();
});

it('goes to KMS, Secrets Manager and the configured token endpoint, and nowhere else, whatever they answer', async () => {
  const outcomes = new Set<string>();
  const tick = async () => {
    // Due, whatever the last turn stored.
    await sandbox.secretsManager.handle('PutSecretValue', {
      SecretId: TOKEN_SECRET,
      ClientRequestToken: randomUUID(),
      SecretString: JSON.stringify({ next: ELSEWHERE, access_token: 'none' }),
    });
    await container.invoke(schedulerTick).then(
      () => outcomes.add('ok'),
      (error: Error) => outcomes.add(error.name),
    );
  };
  for (const d1 of d1Answers) {
    next = { d1 };
    await tick();
  }
  for (const status of awsStatuses) {
    next = {
      aws: async (_call, _go, response) => {
        for (const [name, value] of Object.entries(awayHeaders)) response.setHeader(name, value);
        return { status, body: { Endpoint: ELSEWHERE, Location: ELSEWHERE, message: ELSEWHERE } };
      },
    };
    await tick();
  }
  next = {};
  await tick();

  const aws = new URL(sandbox.environment['AWS_ENDPOINT_URL'] ?? '');
  const d1 = new URL(sandbox.d1.origin);
  const destinations = container.output
    .filter((line) => line.startsWith('{"destination"'))
    .map((line) => (JSON.parse(line) as { destination: string }).destination);
  expect(new Set(destinations)).toEqual(new Set([`connect ${aws.host}`, `connect ${d1.host}`, `name ${d1.hostname}`]));
  // Good ends and bad ones: the answers were read, and meant something.
  expect([...outcomes].sort()).toEqual(
    expect.arrayContaining(['TOKEN_ENDPOINT_REJECTED', 'TOKEN_ENDPOINT_UNREACHABLE', 'TOKEN_RESPONSE_INVALID', 'ok']),
  );
});
