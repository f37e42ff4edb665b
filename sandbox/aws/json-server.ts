import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Clock } from '../../src/shared/clock.ts';
import type { CallLog } from '../calls.ts';
import { AwsError } from './aws-error.ts';
import type { Kms } from './kms.ts';
import type { SecretsManager } from './secrets-manager.ts';

export { AwsError } from './aws-error.ts';

export interface AwsCall {
  readonly service: 'kms' | 'secretsmanager';
  readonly operation: string;
  readonly input: Record<string, unknown>;
}

/** What goes back to the client. `errorType` is set on an error and is also in the body, as `__type`. */
export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly errorType?: string;
}

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
  readonly calls: CallLog;
  readonly clock: Pick<Clock, 'now'>;
  readonly port?: number;
  readonly intercept?: Intercept;
}

/** Room for the largest legal request: a 65,536-byte secret, base64, inside JSON that escapes every character. */
const maximumBodyBytes = 1024 * 1024;

const targetPrefixes: Readonly<Record<string, AwsCall['service']>> = {
  TrentService: 'kms',
  secretsmanager: 'secretsmanager',
};

/**
 * KMS and Secrets Manager behind one loopback endpoint, in AWS JSON 1.1 ("AWS JSON 1.1 protocol", Smithy specification):
 * POST /, the operation in X-Amz-Target, errors as `__type` and a message in the body. Signatures (SigV4) are not checked.
 * Point an SDK at it with AWS_ENDPOINT_URL.
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

async function serve(options: AwsServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const requestId = randomUUID();
  response.setHeader('x-amzn-RequestId', requestId);
  const at = options.clock.now();
  let call: AwsCall;
  try {
    call = await parse(request);
  } catch (error) {
    if (!(error instanceof AwsError)) throw error;
    if (error.status === 413) response.setHeader('connection', 'close');
    return send(response, errorAnswer(error));
  }
  let recorded = false;
  const record = (answer: Pick<Answer, 'errorType'>) => {
    if (!recorded) options.calls.record({ ...call, at, outcome: answer.errorType ?? 'ok', requestId });
    recorded = true;
  };
  const answer = await dispatch(options, call, response, record);
  record(answer ?? { errorType: 'NotAnswered' });
  if (answer) send(response, answer);
}

/** The one place where a call meets its service, and where a fault may come between them. */
async function dispatch(
  options: AwsServerOptions,
  call: AwsCall,
  response: ServerResponse,
  record: (answer: Answer) => void,
): Promise<Answer | undefined> {
  const next = async (): Promise<Answer> => {
    const service = call.service === 'kms' ? options.kms : options.secretsManager;
    const answer = await answerOf(call, async () => ({
      status: 200,
      body: await service.handle(call.operation, call.input),
    }));
    // Logged before anything is sent, so that whoever sees the answer (or loses it) finds the call in the log.
    record(answer);
    return answer;
  };
  const { intercept } = options;
  return intercept ? answerOf(call, () => intercept(call, next, response)) : next();
}

/** Runs `work`; an error becomes the answer that AWS would send. What is not an `AwsError` is a bug here: a 500. */
async function answerOf<T extends Answer | undefined>(call: AwsCall, work: () => Promise<T>): Promise<T | Answer> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AwsError) return errorAnswer(error, call.service);
    const type = call.service === 'kms' ? 'KMSInternalException' : 'InternalServiceError';
    return errorAnswer(new AwsError(type, 'An error occurred on the server side.', 500), call.service);
  }
}

/** Secrets Manager spells the member `Message`, KMS and the protocol itself `message` (their published API models). */
function errorAnswer(error: AwsError, service?: AwsCall['service']): Answer {
  const member = service === 'secretsmanager' ? 'Message' : 'message';
  return { status: error.status, body: { __type: error.type, [member]: error.message }, errorType: error.type };
}

function send(response: ServerResponse, { status, body }: Answer): void {
  if (response.destroyed || response.writableEnded) return;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/x-amz-json-1.1',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

async function parse(request: IncomingMessage): Promise<AwsCall> {
  const text = await readBody(request);
  const [prefix = '', operation = '', ...rest] = String(request.headers['x-amz-target'] ?? '').split('.');
  const service = Object.hasOwn(targetPrefixes, prefix) ? targetPrefixes[prefix] : undefined;
  if (request.method !== 'POST' || service === undefined || operation === '' || rest.length > 0) {
    throw new AwsError('UnknownOperationException', 'The X-Amz-Target header names no operation of this server.');
  }
  return { service, operation, input: parseInput(text) };
}

function parseInput(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = text === '' ? {} : JSON.parse(text);
  } catch {
    // The parser's error quotes what it choked on, which may be a secret.
    throw new AwsError('SerializationException', 'The request body is not JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AwsError('SerializationException', 'The request body is not a JSON object.');
  }
  return { ...value };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += chunk.length;
    if (size > maximumBodyBytes) {
      throw new AwsError('RequestEntityTooLargeException', 'The request body is too large.', 413);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
