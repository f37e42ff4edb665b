import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Clock } from '../../src/shared/clock.ts';
import type { CallLog } from '../calls.ts';
import type { Deployment } from '../deployment/deployment.ts';
import { deploymentService } from '../deployment/services.ts';
import { AwsError } from './aws-error.ts';
import type { Answer, AwsCall, ServiceName } from './call.ts';
import type { DynamoDb } from './dynamodb.ts';
import type { Kms } from './kms.ts';
import type { Lambda } from './lambda.ts';
import { type Protocol, protocolOf } from './protocols.ts';
import type { SecretsManager } from './secrets-manager.ts';
import type { Sts } from './sts.ts';

export { AwsError } from './aws-error.ts';
export type { Answer, AwsCall } from './call.ts';

/**
 * Stands between the wire and the service, for faults. `next` carries the call out and never rejects: a refusal is an
 * answer too. Throw an `AwsError` (or return another answer) to speak in the service's place; return `undefined` after
 * having dealt with the response or its socket (reset, silence, half a body).
 */
export type Intercept = (
  call: AwsCall,
  next: () => Promise<Answer>,
  response: ServerResponse,
) => Promise<Answer | undefined>;

export interface AwsServerOptions {
  readonly kms: Kms;
  readonly secretsManager: SecretsManager;
  readonly lambda?: Lambda;
  readonly sts?: Sts;
  readonly dynamoDb?: DynamoDb;
  /** Asked at each call: it is made of what this server serves. */
  readonly deployment?: () => Deployment | undefined;
  readonly calls: CallLog;
  readonly clock: Pick<Clock, 'now'>;
  /** A free one unless told. */
  readonly port?: number;
  readonly intercept?: Intercept;
}

/**
 * KMS, Secrets Manager, Lambda, STS and what shows a deployment, behind one loopback endpoint, each in its own protocol, as the SDKs expect it.
 * Signatures (SigV4) are not checked. Point an SDK at it with AWS_ENDPOINT_URL.
 *
 * @throws Error of Node, such as EADDRINUSE, when it cannot listen.
 */
export async function startAwsServer(options: AwsServerOptions): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    serve(options, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(options: AwsServerOptions, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const requestId = randomUUID();
  response.setHeader('x-amzn-RequestId', requestId);
  const at = options.clock.now();
  const { method = '', headers } = incoming;
  const request = { method, headers, url: new URL(incoming.url ?? '/', 'http://127.0.0.1') };
  const protocol = protocolOf(request);
  let call: AwsCall;
  try {
    call = protocol.read(request, await readBody(incoming, protocol.maximumBodyBytes));
  } catch (error) {
    if (!(error instanceof AwsError)) throw error;
    return send(response, protocol, errorAnswer(error));
  }
  let recorded = false;
  const record = (answer: Pick<Answer, 'errorType'>) => {
    if (!recorded) options.calls.record({ ...call, at, outcome: answer.errorType ?? 'ok', requestId });
    recorded = true;
  };
  const answer = await dispatch(options, call, response, record);
  record(answer ?? { errorType: 'NotAnswered' });
  if (answer) send(response, protocol, answer, call);
}

/** The one place where a call meets its service, and where a fault may come between them. */
async function dispatch(
  options: AwsServerOptions,
  call: AwsCall,
  response: ServerResponse,
  record: (answer: Answer) => void,
): Promise<Answer | undefined> {
  const next = async (): Promise<Answer> => {
    const answer = await answerOf(call, () => carryOut(options, call));
    // Logged before anything is sent, so that whoever sees the answer (or loses it) finds the call in the log.
    record(answer);
    return answer;
  };
  const { intercept } = options;
  return intercept ? answerOf(call, () => intercept(call, next, response)) : next();
}

async function carryOut(options: AwsServerOptions, { service, operation, input }: AwsCall): Promise<Answer> {
  const { kms, secretsManager, lambda, sts, dynamoDb, deployment } = options;
  const own: Partial<Record<ServiceName, Handler | undefined>> = {
    kms,
    secretsmanager: secretsManager,
    lambda,
    sts,
    dynamodb: dynamoDb,
  };
  const found = own[service] ?? deploymentService(service, deployment?.());
  if (!found) throw new AwsError('UnknownOperationException', `This server has no ${service}.`, 404);
  const body = await found.handle(operation, input);
  // Only Lambda has this member: "the HTTP status code is in the 200 range for a successful request".
  const { StatusCode: status = 200 } = body;
  return { status: Number(status), body };
}

interface Handler {
  handle(operation: string, input: Record<string, unknown>): Promise<Record<string, unknown>>;
}

const internalError: Readonly<Record<ServiceName, string>> = {
  kms: 'KMSInternalException',
  secretsmanager: 'InternalServiceError',
  lambda: 'ServiceException',
  dynamodb: 'InternalServerError',
  sts: 'InternalFailure',
  cloudformation: 'InternalFailure',
  scheduler: 'InternalServerException',
  cloudwatch: 'InternalServiceFault',
  logs: 'ServiceUnavailableException',
  sns: 'InternalError',
  sqs: 'InternalError',
};

/** Runs `work`; an error becomes the answer that AWS would send. What is not an `AwsError` is a bug here: a 500. */
async function answerOf<T extends Answer | undefined>(call: AwsCall, work: () => Promise<T>): Promise<T | Answer> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AwsError) return errorAnswer(error);
    return errorAnswer(new AwsError(internalError[call.service], 'An error occurred on the server side.', 500));
  }
}

const errorAnswer = ({ type, status, message }: AwsError): Answer => ({ status, body: { message }, errorType: type });

function send(response: ServerResponse, protocol: Protocol, answer: Answer, call?: AwsCall): void {
  if (response.destroyed || response.writableEnded) return;
  const { headers, text } = protocol.write(answer, call, String(response.getHeader('x-amzn-RequestId')));
  // RFC 9110 section 8.6: no Content-Length with 204.
  const length = answer.status === 204 ? {} : { 'content-length': Buffer.byteLength(text) };
  response.writeHead(answer.status, { ...headers, ...length });
  response.end(text);
}

/** Reads to the end, so that the caller can finish sending and hear the answer, and keeps what is not too much. */
async function readBody(incoming: IncomingMessage, maximumBytes: number): Promise<string> {
  const kept: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    size += chunk.length;
    if (size <= maximumBytes) kept.push(chunk);
  }
  if (size > maximumBytes) {
    throw new AwsError('RequestEntityTooLargeException', 'The request body is too large.', 413);
  }
  return Buffer.concat(kept).toString('utf8');
}
