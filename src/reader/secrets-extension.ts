import { get, type IncomingMessage } from 'node:http';
import { parseJson } from '../shared/json.ts';
import { TokenReaderError } from './reader-error.ts';

/** It answers from its memory, on this machine; what takes longer is it reading the secret, which the reader can do itself. */
const LARGEST_ANSWER_BYTES = 256 * 1024;

export interface SecretsExtension {
  /** From PARAMETERS_SECRETS_EXTENSION_HTTP_PORT. */
  readonly port: number;
  /** The value of AWS_SESSION_TOKEN, which the extension wants to see. */
  readonly sessionToken: string;
}

/**
 * Reads a secret through the AWS Parameters and Secrets Lambda Extension (AWS Lambda Developer Guide, "Use Secrets Manager
 * secrets in Lambda functions"). Its value may be as old as SECRETS_MANAGER_TTL, five minutes unless told.
 *
 * @returns The secret's text; `undefined` while the extension is not ready, which it is not before the init phase ends.
 * @throws TokenReaderError SECRETS_EXTENSION_FAILED; its answer to a refused read is the extension's, not AWS's.
 */
export async function readThroughExtension(
  { port, sessionToken }: SecretsExtension,
  secretId: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { status, text } = await ask(
    `http://localhost:${port}/secretsmanager/get?secretId=${encodeURIComponent(secretId)}`,
    { 'x-aws-parameters-secrets-token': sessionToken },
    signal,
  );
  if (status === 400 && /not ready to serve traffic/i.test(text)) return undefined;
  if (status !== 200) throw failed(`it answered ${status}`);
  const answer = parseJson(text) as { SecretString?: unknown } | null | undefined;
  if (typeof answer?.SecretString !== 'string') throw failed('its answer holds no text');
  return answer.SecretString;
}

function ask(url: string, headers: Record<string, string>, signal: AbortSignal) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const give = (error: NodeJS.ErrnoException) =>
      reject(failed(/^\w{1,40}$/.exec(error.code ?? '')?.[0] ?? 'no answer'));
    const outgoing = get(url, { headers, signal }, (incoming) => {
      collect(incoming).then((text) => resolve({ status: incoming.statusCode ?? 0, text }), give);
    });
    outgoing.on('error', give);
  });
}

async function collect(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > LARGEST_ANSWER_BYTES) throw failed('its answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const failed = (why: string) =>
  new TokenReaderError({
    code: 'SECRETS_EXTENSION_FAILED',
    what: `The Parameters and Secrets extension could not be used: ${why}.`,
    remedy:
      "The secret was read directly instead; look at the extension's log lines, or set useSecretsExtension to false.",
    retryable: true,
  });
