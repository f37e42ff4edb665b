import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { AwsClient } from '../../src/reader/reader.ts';

export const BROKER_FUNCTION = 'd1-token-broker';

/** What `Invoke` answers, as far as a caller looks at it. */
interface Invocation {
  readonly FunctionError?: string;
  readonly Payload: Uint8Array;
}

/**
 * Lambda's `Invoke` on loopback (AWS Lambda API Reference): the event is the body, a failed function is a 200 with
 * X-Amz-Function-Error. Point an SDK at it with AWS_ENDPOINT_URL_LAMBDA.
 *
 * @param lambda Carries the invocations out.
 */
export async function startLambdaEndpoint(lambda: AwsClient): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    const payload = await text(request);
    if (request.method !== 'POST' || request.url !== `/2015-03-31/functions/${BROKER_FUNCTION}/invocations`) {
      response.writeHead(404, { 'x-amzn-ErrorType': 'ResourceNotFoundException' }).end('{}');
      return;
    }
    const answer = (await lambda.send({ input: { Payload: payload } } as never)) as Invocation;
    if (answer.FunctionError) response.setHeader('x-amz-function-error', answer.FunctionError);
    response.setHeader('x-amzn-requestid', randomUUID());
    response.writeHead(200, { 'content-type': 'application/json' }).end(answer.Payload);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
