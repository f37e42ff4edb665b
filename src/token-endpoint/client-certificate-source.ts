import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { BrokerError } from '../errors.ts';
import { awsFailure } from '../shared/aws-failure.ts';
import { type ClientCertificateSource, createClientCertificateSource } from '../shared/client-certificate.ts';
import type { Clock } from '../shared/clock.ts';

/**
 * The client certificate in a secret, for the function.
 *
 * A read has as long as its most patient caller; the SDK's own timeouts and attempts end it sooner.
 *
 * @throws BrokerError CLIENT_CERTIFICATE_INVALID or CLIENT_CERTIFICATE_UNAVAILABLE, from both functions.
 */
export function certificateFromSecret({
  client,
  secretId,
  versionStage,
  ttlSeconds,
  clock,
}: {
  client: Pick<SecretsManagerClient, 'send'>;
  secretId: string;
  /** The staging label of the version that is read; AWSCURRENT unless told. */
  versionStage?: string;
  ttlSeconds: number;
  clock: Clock;
}): ClientCertificateSource {
  const unavailable = (why: string, remedy: string, retryable: boolean) =>
    new BrokerError({
      code: 'CLIENT_CERTIFICATE_UNAVAILABLE',
      what: `The client-certificate secret ${secretId} could not be read: ${why}.`,
      remedy,
      retryable,
    });

  async function readText(signal: AbortSignal): Promise<string | undefined> {
    const command = new GetSecretValueCommand({
      SecretId: secretId,
      ...(versionStage !== undefined && { VersionStage: versionStage }),
    });
    const value = await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
      if (BrokerError.is(error)) throw error;
      const failure = awsFailure(error);
      const absent = failure.name === 'ResourceNotFoundException' || failure.name === 'InvalidRequestException';
      const remedy = absent
        ? 'Create or restore the secret and store the certificate in it, or correct D1_CLIENT_CERTIFICATE_SECRET_ID.'
        : "Allow the function's role secretsmanager:GetSecretValue on it and kms:Decrypt on its key.";
      throw unavailable(failure.summary, remedy, failure.retryable);
    });
    return value.SecretString;
  }

  return createClientCertificateSource({
    readText,
    ttlMilliseconds: ttlSeconds * 1000,
    invalid: (why) =>
      new BrokerError({
        code: 'CLIENT_CERTIFICATE_INVALID',
        what: `The client certificate in secret ${secretId} cannot be used: ${why}.`,
        remedy: 'Store {"certificate", "private_key"} as PEM, signed by Thales for this issuer and environment.',
        retryable: false,
      }),
    tooLate: () =>
      unavailable('it took too long', 'Check that Secrets Manager can be reached from the function.', true),
    clock,
  });
}
