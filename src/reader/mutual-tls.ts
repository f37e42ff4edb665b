import type { Agent } from 'node:https';
import { awsFailure } from '../shared/aws-failure.ts';
import {
  type ClientCertificate,
  type ClientCertificateSource,
  createClientCertificateSource,
} from '../shared/client-certificate.ts';
import type { Patience } from '../shared/shared-work.ts';
import { VerifiedAgent } from '../shared/verified-agent.ts';
import type { Settings } from './options.ts';
import { asReaderError, TokenReaderError, unexpected } from './reader-error.ts';

/** A renewed certificate is in use an hour later at the latest, without a deployment. */
const READ_AGAIN_MILLISECONDS = 3_600_000;
/** Because of refusals the secret is read once in this time: a server that refuses every certificate is not worth more. */
const BETWEEN_REFUSALS_MILLISECONDS = 60_000;
const CONNECT_TIMEOUT_MILLISECONDS = 5_000;
/** More at a time are queued. A Lambda has 1,024 file descriptors, for all it does. */
const MOST_SOCKETS = 256;

/** Connections to D1 that show a client certificate. */
export interface MutualTls {
  /** @throws TokenReaderError CLIENT_CERTIFICATE_UNAVAILABLE, or the reason of the signal. */
  agent(patience: Patience): Promise<Agent>;
  /**
   * Another agent than one whose certificate D1 refused, or that did not trust D1.
   *
   * @returns `undefined` when there is no other. What kept the secret from being read is a warning.
   */
  insteadOf(refused: Agent, patience: Patience): Promise<Agent | undefined>;
}

/** The caller's own agent: whatever it shows, there is nothing else to show. */
export const ownAgent = (agent: Agent): MutualTls => ({
  agent: async () => agent,
  insteadOf: async () => undefined,
});

/**
 * Agents with the client certificate that a secret holds, read when first needed, again every hour, and at once when D1
 * refuses it.
 *
 * @param readText One read of the secret.
 */
export function createMutualTls(
  { readTimeoutMilliseconds: timeoutMilliseconds, egressProxy: proxy, clock, warn }: Settings,
  secretId: string,
  readText: (signal: AbortSignal) => Promise<string | undefined>,
): MutualTls {
  const source: ClientCertificateSource = createClientCertificateSource({
    readText: (signal) =>
      readText(signal).catch((thrown: unknown) => {
        throw unreadable(secretId, thrown);
      }),
    ttlMilliseconds: READ_AGAIN_MILLISECONDS,
    budgetMilliseconds: timeoutMilliseconds,
    invalid: (why) => unavailable(secretId, why, CHECK_SECRET, false),
    tooLate: () => unavailable(secretId, `no answer within ${timeoutMilliseconds} ms`, CHECK_SECRET, true),
    clock,
  });
  const tell = (thrown: unknown) => warn(asReaderError(thrown, unexpected));
  let current: { readonly certificate: ClientCertificate; readonly agent: VerifiedAgent } | undefined;
  let lookAgainAt = 0;

  function agentWith(certificate: ClientCertificate): Agent {
    if (current?.certificate !== certificate) {
      if (current) retire(current.agent);
      const agent = new VerifiedAgent({
        clientCertificate: certificate,
        proxy,
        connectTimeoutMilliseconds: CONNECT_TIMEOUT_MILLISECONDS,
        maxSockets: MOST_SOCKETS,
        clock,
      });
      current = { certificate, agent };
    }
    current.agent.dropIdle();
    return current.agent;
  }

  return {
    agent: async (patience) => agentWith(await source.current(patience, tell)),

    async insteadOf(refused, patience) {
      if (!current || current.agent !== refused) return current?.agent;
      if (clock.now() < lookAgainAt) return undefined;
      lookAgainAt = clock.now() + BETWEEN_REFUSALS_MILLISECONDS;
      try {
        const other = await source.replacementOf(current.certificate, patience);
        return other && agentWith(other);
      } catch (error) {
        if (patience.signal?.aborted) throw error;
        tell(error);
        return undefined;
      }
    },
  };
}

/** What is under way comes to its end; nothing else begins on it. */
function retire(agent: Agent): void {
  agent.maxFreeSockets = 0;
  dropFree(agent);
}

/** Closes the connections that no request uses now. An agent of the caller's need not keep any. */
export function dropFree(agent: Agent): void {
  for (const socket of Object.values(agent.freeSockets ?? {}).flatMap((sockets) => sockets ?? [])) socket.destroy();
}

const CHECK_SECRET = "Allow this function's role secretsmanager:GetSecretValue on it, and check what it holds.";

function unreadable(secretId: string, thrown: unknown): TokenReaderError {
  const { name, summary, retryable } = awsFailure(thrown);
  const remedy =
    name === 'RegionMissing' ? 'Set AWS_REGION, or give a secretsManager client with a region.' : CHECK_SECRET;
  return unavailable(secretId, summary, remedy, retryable);
}

const unavailable = (secretId: string, why: string, remedy: string, retryable: boolean) =>
  new TokenReaderError({
    code: 'CLIENT_CERTIFICATE_UNAVAILABLE',
    what: `The client certificate in secret ${secretId} could not be used: ${why}.`,
    remedy,
    retryable,
  });
