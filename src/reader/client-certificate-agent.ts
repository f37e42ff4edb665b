import { Agent } from 'node:https';
import { createSecureContext } from 'node:tls';
import { awsFailure } from '../shared/aws-failure.ts';
import type { Clock } from '../shared/clock.ts';
import { parseJson } from '../shared/json.ts';
import { TokenReaderError } from './reader-error.ts';
import { SharedWork } from './shared-work.ts';

/** A renewed certificate is in use an hour later at the latest, without a deployment. */
const READ_AGAIN_MILLISECONDS = 3_600_000;
/** A container may sleep for minutes between invocations, and a connection that died meanwhile looks alive. */
const LONGEST_IDLE_MILLISECONDS = 30_000;

/**
 * An agent of node:https with the client certificate that a secret holds, made when first needed.
 *
 * @param readText One read of the secret.
 * @returns A function whose promise rejects with TokenReaderError CLIENT_CERTIFICATE_UNAVAILABLE.
 */
export function createClientCertificateAgent({
  secretId,
  readText,
  timeoutMilliseconds,
  clock,
  warn,
}: {
  secretId: string;
  readText: (signal: AbortSignal) => Promise<string | undefined>;
  timeoutMilliseconds: number;
  clock: Clock;
  warn: (warning: TokenReaderError) => void;
}): () => Promise<Agent> {
  let current: { readonly agent: Agent; readonly text: string; readAt: number; usedAt: number } | undefined;
  const reads = new SharedWork<Agent>(clock, timeoutMilliseconds, () =>
    unavailable(secretId, `no answer within ${timeoutMilliseconds} ms`, true),
  );

  async function read(signal: AbortSignal): Promise<Agent> {
    const text = await readText(signal).catch((thrown: unknown) => {
      const { summary, retryable } = awsFailure(thrown);
      throw unavailable(secretId, summary, retryable);
    });
    const readAt = clock.now();
    // The same certificate keeps its connections.
    if (current && text === current.text) current.readAt = readAt;
    else current = { agent: agentFrom(secretId, text), text: text ?? '', readAt, usedAt: readAt };
    return current.agent;
  }

  return async () => {
    if (!current || clock.now() - current.readAt >= READ_AGAIN_MILLISECONDS) {
      try {
        await reads.join(read);
      } catch (error) {
        if (!current || !(error instanceof TokenReaderError)) throw error;
        // A renewal that went wrong must not stop the calls: the certificate in hand may still do.
        current.readAt = clock.now() - READ_AGAIN_MILLISECONDS + 60_000;
        warn(error);
      }
    }
    if (!current) throw unavailable(secretId, 'it holds nothing', true);
    if (clock.now() - current.usedAt > LONGEST_IDLE_MILLISECONDS) dropIdle(current.agent);
    current.usedAt = clock.now();
    return current.agent;
  };
}

function dropIdle(agent: Agent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

function agentFrom(secretId: string, text: string | undefined): Agent {
  const secret = parseJson(text ?? '') as Record<string, unknown> | null | undefined;
  const { certificate: cert, private_key: key, ca_bundle: ca } = secret ?? {};
  if (typeof cert !== 'string' || typeof key !== 'string' || (ca !== undefined && typeof ca !== 'string')) {
    throw unavailable(secretId, 'it does not hold {"certificate", "private_key", "ca_bundle"?} as text', false);
  }
  const settings = { cert, key, ...(ca !== undefined && { ca }), minVersion: 'TLSv1.2' as const };
  try {
    // Fails here on what a handshake would only fail on. OpenSSL's reasons are dropped, they belong to a secret's text.
    createSecureContext(settings);
  } catch {
    throw unavailable(secretId, 'its certificate and private key cannot be read as PEM, or do not match', false);
  }
  return new Agent({ ...settings, keepAlive: true });
}

const unavailable = (secretId: string, why: string, retryable: boolean) =>
  new TokenReaderError({
    code: 'CLIENT_CERTIFICATE_UNAVAILABLE',
    what: `The client certificate in secret ${secretId} could not be used: ${why}.`,
    remedy: "Allow this function's role secretsmanager:GetSecretValue on it, and check what it holds.",
    retryable,
  });
