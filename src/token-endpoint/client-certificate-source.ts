import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { asBrokerError, BrokerError } from '../errors.ts';
import type { Journal } from '../invocation.ts';
import { awsFailure } from '../shared/aws-failure.ts';
import type { Clock } from '../shared/clock.ts';
import { type ClientCertificate, parseClientCertificate } from './client-certificate.ts';

export interface ClientCertificateSource {
  /** The client certificate, from memory while it is young and alive. */
  current(signal: AbortSignal, journal: Journal): Promise<ClientCertificate>;
  /** Reads the secret again, because the other end refused `rejected`. Resolves to a different one, or `undefined`. */
  replacementOf(rejected: ClientCertificate, signal: AbortSignal): Promise<ClientCertificate | undefined>;
}

/**
 * The client certificate of a container: read once, and again after `ttlSeconds`, so that a renewal needs no deployment.
 *
 * @throws BrokerError CLIENT_CERTIFICATE_INVALID or CLIENT_CERTIFICATE_UNAVAILABLE, from both functions.
 */
export function createClientCertificateSource({
  client,
  secretId,
  ttlSeconds,
  clock,
}: {
  client: Pick<SecretsManagerClient, 'send'>;
  secretId: string;
  ttlSeconds: number;
  clock: Clock;
}): ClientCertificateSource {
  let cached: { readonly certificate: ClientCertificate; readonly readAt: number } | undefined;

  async function load(signal: AbortSignal): Promise<ClientCertificate> {
    const command = new GetSecretValueCommand({ SecretId: secretId });
    const value = await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
      throw unavailable(secretId, error);
    });
    const certificate = parseClientCertificate(value.SecretString, secretId, clock.now());
    cached = { certificate, readAt: clock.now() };
    return certificate;
  }

  return {
    async current(signal, journal) {
      const alive = cached && clock.now() <= cached.certificate.notAfter ? cached : undefined;
      if (alive && clock.now() - alive.readAt < ttlSeconds * 1000) return alive.certificate;
      try {
        return await load(signal);
      } catch (error) {
        // A certificate that still lives is better than none: a renewal that went wrong must not stop the tokens.
        if (!alive) throw error;
        journal.warn(asBrokerError(error));
        return alive.certificate;
      }
    },

    async replacementOf(rejected, signal) {
      const fresh = await load(signal);
      return fresh.certificate === rejected.certificate && fresh.caBundle === rejected.caBundle ? undefined : fresh;
    },
  };
}

function unavailable(secretId: string, thrown: unknown): BrokerError {
  const failure = awsFailure(thrown);
  const absent = failure.name === 'ResourceNotFoundException' || failure.name === 'InvalidRequestException';
  return new BrokerError({
    code: 'CLIENT_CERTIFICATE_UNAVAILABLE',
    what: `The client-certificate secret ${secretId} could not be read: ${failure.summary}.`,
    remedy: absent
      ? 'Create or restore the secret and store the certificate in it, or correct D1_CLIENT_CERTIFICATE_SECRET_ID.'
      : "Allow the function's role secretsmanager:GetSecretValue on it and kms:Decrypt on its key.",
    retryable: failure.retryable,
  });
}
