import type { KMSClient } from '@aws-sdk/client-kms';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { Context } from 'aws-lambda';
import type { Sign } from './assertion/kms-signer.ts';
import { createBroker, type TickOutcome, type TokenOutcome } from './broker/broker.ts';
import { createObtain } from './broker/obtain.ts';
import type { Call } from './call.ts';
import { type Clock, nowSeconds } from './clock.ts';
import type { Config } from './config.ts';
import { Deadline } from './deadline.ts';
import { asBrokerError } from './errors.ts';
import { type Command, parseEvent } from './events.ts';
import type { Random } from './random.ts';
import { createRotation } from './rotation/rotation.ts';
import { Journal } from './telemetry/journal.ts';
import type { Outcome, Telemetry } from './telemetry/telemetry.ts';
import { createClientCertificateSource } from './token-endpoint/client-certificate-source.ts';
import { createTokenEndpoint } from './token-endpoint/token-endpoint.ts';
import { secondsLeft, type TokenRecord } from './token-store/token-record.ts';
import { createTokenStore } from './token-store/token-store.ts';

/** Time to log and to answer, after the last step. */
const ANSWER_RESERVE_MILLISECONDS = 250;

export interface Dependencies {
  readonly config: Config;
  readonly kms: Pick<KMSClient, 'send'>;
  readonly secretsManager: Pick<SecretsManagerClient, 'send'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

export interface TickAnswer {
  readonly refreshed: boolean;
  readonly reason: TickOutcome['reason'];
  /** Seconds since 1970 UTC. */
  readonly expires_at: number;
  readonly version_id: string | undefined;
}

/** The token record's public fields, with `expires_in` counted from now, and where the token came from. */
export type TokenAnswer = TokenRecord & Pick<TokenOutcome, 'source'>;

/** The part of Lambda's context that the broker uses. */
export type InvocationContext = Pick<Context, 'getRemainingTimeInMillis'>;

/**
 * Everything that one container keeps, and the way through it of one event.
 *
 * @returns A function that answers an event; it throws a BrokerError with issuer and correlation id, and nothing else.
 */
export function createApp({ config, kms, secretsManager, clock, random, telemetry }: Dependencies) {
  const { issuerId, tokenSecretId: secretId } = config;
  const certificates = createClientCertificateSource({
    client: secretsManager,
    secretId: config.clientCertificateSecretId,
    ttlSeconds: config.clientCertificateTtlSeconds,
    clock,
  });
  const tokenEndpoint = createTokenEndpoint({
    url: config.tokenEndpoint,
    issuerId,
    attempts: config.exchangeAttempts,
    timeouts: config,
    certificates,
    clock,
    random,
  });
  let signer: Promise<Sign> | undefined;
  const sign: Sign = async (input, signal) => {
    signer ??= loadSigner();
    return (await signer)(input, signal);
  };
  const obtain = createObtain({ config, sign, tokenEndpoint, clock, random });
  const store = createTokenStore({ client: secretsManager, secretId, issuerId, random });
  const broker = createBroker({ config, store, obtain, clock });
  const rotate = createRotation({ client: secretsManager, secretId, issuerId, obtain, clock });

  /** When the first refresh comes: whoever asks for a token that lives does not wait for asn1.js to load. */
  async function loadSigner(): Promise<Sign> {
    const { createKmsSigner } = await import('./assertion/kms-signer.ts');
    return createKmsSigner(kms, config.signingKeyId);
  }

  return async (event: unknown, context: InvocationContext): Promise<TickAnswer | TokenAnswer | undefined> => {
    const began = clock.now();
    const deadlineAt = began + context.getRemainingTimeInMillis() - ANSWER_RESERVE_MILLISECONDS;
    let correlationId = random.uuid();
    let kind: Command['kind'] | 'unknown' = 'unknown';
    const journal = new Journal(clock, (warning) => telemetry.warn(warning, correlationId));
    const invocation = () => ({ kind, correlationId, journal, durationMilliseconds: clock.now() - began });
    try {
      const command = parseEvent(event);
      kind = command.kind;
      correlationId = command.correlationId ?? correlationId;
      const call: Call = { correlationId, deadline: new Deadline(clock, () => deadlineAt), journal };
      const { answer, outcome } = await obey(command, call);
      telemetry.succeeded(invocation(), outcome);
      return answer;
    } catch (thrown) {
      const error = asBrokerError(thrown).located({ issuerId, correlationId });
      telemetry.failed(invocation(), error);
      throw error;
    }
  };

  async function obey(command: Command, call: Call) {
    switch (command.kind) {
      case 'refresh': {
        const tick = await broker.tick(call);
        return { answer: tickAnswer(tick), outcome: facts(tick) };
      }
      case 'token': {
        const token = await broker.token(command, call);
        return { answer: tokenAnswer(token), outcome: facts(token) };
      }
      case 'rotate':
        await rotate(command, call);
        return { answer: undefined, outcome: { reason: command.step, versionId: command.clientRequestToken } };
    }
  }

  function tickAnswer({ refreshed, reason, record, versionId }: TickOutcome): TickAnswer {
    return { refreshed, reason, expires_at: record.expires_at, version_id: versionId };
  }

  function tokenAnswer({ record, source }: TokenOutcome): TokenAnswer {
    return { ...record, expires_in: secondsLeft(record, nowSeconds(clock)), source };
  }

  function facts(outcome: TickOutcome | TokenOutcome): Outcome {
    return {
      ...('source' in outcome ? { source: outcome.source } : { reason: outcome.reason, refreshed: outcome.refreshed }),
      versionId: outcome.versionId,
      expiresAt: outcome.record.expires_at,
    };
  }
}
