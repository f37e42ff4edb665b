import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface RuntimeApi {
  /** `host:port`, for AWS_LAMBDA_RUNTIME_API. */
  readonly address: string;
  /** Resolves when the runtime asks for its first event, which ends its init. Rejects when it reports a failed one. */
  readonly initialized: Promise<void>;
  /** Hands the runtime one event; resolves to what the function answered. */
  invoke(event: unknown): Promise<unknown>;
  close(): Promise<void>;
}

/**
 * Lambda's side of the Runtime API, as far as one function needs it (AWS Lambda Developer Guide, "Using the Lambda
 * runtime API", version 2018-06-01): next, response, error and init/error.
 */
export async function startRuntimeApi(): Promise<RuntimeApi> {
  const initialized = Promise.withResolvers<void>();
  const events: string[] = [];
  const answers = new Map<string, PromiseWithResolvers<unknown>>();
  let idle: ServerResponse | undefined;
  let invocations = 0;

  function serveNext(): void {
    const event = idle && events.shift();
    if (!idle || event === undefined) return;
    const response = idle;
    idle = undefined;
    response.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': requestId(invocations),
      'lambda-runtime-deadline-ms': Date.now() + 30_000,
      'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
    });
    response.end(event);
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.replace('/2018-06-01/runtime/', '') ?? '';
    if (path === 'invocation/next') {
      initialized.resolve();
      idle = response;
      return serveNext();
    }
    const body = await text(request);
    response.writeHead(202).end();
    if (path === 'init/error') return initialized.reject(new Error(`init failed: ${body.slice(0, 1_000)}`));
    const [, id = '', what] = path.split('/');
    const answer = answers.get(id);
    answers.delete(id);
    if (what === 'response') answer?.resolve(JSON.parse(body));
    else answer?.reject(new Error(`the invocation failed: ${body.slice(0, 1_000)}`));
  }

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    initialized: initialized.promise,
    invoke(event) {
      invocations += 1;
      const answer = Promise.withResolvers<unknown>();
      answers.set(requestId(invocations), answer);
      events.push(JSON.stringify(event));
      serveNext();
      return answer.promise;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

const requestId = (count: number) => `00000000-0000-4000-8000-${String(count).padStart(12, '0')}`;
