import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../src/shared/clock.ts';

/** How long the extension keeps a value unless SECRETS_MANAGER_TTL says otherwise; it is also the most that it accepts. */
const TTL_MILLISECONDS = 300_000;

export interface SecretsExtensionFake {
  readonly port: number;
  /** What PARAMETERS_SECRETS_EXTENSION_HTTP_PORT and AWS_SESSION_TOKEN would be. */
  readonly environment: Readonly<Record<string, string>>;
  /** Requests received so far, answered with a value or not. */
  readonly requests: number;
  /** False during Lambda's init phase. */
  ready: boolean;
  /** Answers instead of it, for faults. */
  answerWith: ((response: ServerResponse) => void) | undefined;
  close(): Promise<void>;
}

/**
 * The AWS Parameters and Secrets Lambda Extension, as far as a reader of secrets meets it (AWS Lambda Developer Guide, "Use
 * Secrets Manager secrets in Lambda functions"): plain HTTP on a port of localhost, `GET /secretsmanager/get?secretId=`,
 * the session token in a header, GetSecretValue's answer from a cache that follows a TTL and nothing else, and 400 "not
 * ready to serve traffic, please wait" to whoever asks outside an invocation.
 *
 * @param read What GetSecretValue answers now.
 */
export async function startSecretsExtension(
  read: (secretId: string) => Promise<Record<string, unknown>>,
  clock: Pick<Clock, 'now'>,
): Promise<SecretsExtensionFake> {
  const sessionToken = 'session-token-of-the-sandbox';
  const cache = new Map<string, { readonly body: string; readonly until: number }>();
  let requests = 0;

  const server = createServer((request, response) => {
    requests += 1;
    if (fake.answerWith) return fake.answerWith(response);
    const say = (status: number, text: string) => response.writeHead(status).end(text);
    if (!fake.ready) return say(400, 'not ready to serve traffic, please wait');
    if (request.headers['x-aws-parameters-secrets-token'] !== sessionToken) return say(401, 'Unauthorized');
    const url = new URL(request.url ?? '', 'http://localhost');
    const secretId = url.searchParams.get('secretId');
    if (url.pathname !== '/secretsmanager/get' || !secretId) return say(400, 'Bad request');
    void value(secretId).then(
      (body) => say(200, body),
      () => say(400, 'an unexpected error occurred while executing request'),
    );
  });

  async function value(secretId: string): Promise<string> {
    const cached = cache.get(secretId);
    if (cached && clock.now() < cached.until) return cached.body;
    const body = JSON.stringify({ ...(await read(secretId)), ResultMetadata: {} });
    cache.set(secretId, { body, until: clock.now() + TTL_MILLISECONDS });
    return body;
  }

  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  // A server that listens on TCP has an AddressInfo, never a pipe's name.
  const { port } = server.address() as AddressInfo;
  const fake: SecretsExtensionFake = {
    port,
    environment: { PARAMETERS_SECRETS_EXTENSION_HTTP_PORT: String(port), AWS_SESSION_TOKEN: sessionToken },
    get requests() {
      return requests;
    },
    ready: true,
    answerWith: undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return fake;
}
