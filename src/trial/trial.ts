import type { KMSClient } from '@aws-sdk/client-kms';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { createKmsSigner, type Sign } from '../assertion/kms-signer.ts';
import type { Config } from '../config.ts';
import { type CheckFacts, WAITING, type WhichCertificate } from '../shared/check-report.ts';
import type { ClientCertificate } from '../shared/client-certificate.ts';
import type { Clock } from '../shared/clock.ts';
import type { Random } from '../shared/random.ts';
import { certificateFromSecret } from '../token-endpoint/client-certificate-source.ts';
import { createTokenEndpoint, type TokenEndpoint } from '../token-endpoint/token-endpoint.ts';
import { type Connection, tryConnection } from './connection.ts';
import { writesWithin24Hours } from './secret-writes.ts';
import { trySigningKey } from './signing-key.ts';

/** A signing key as the configuration names it. */
export interface NamedKey {
  readonly keyId: string;
  readonly signingKeyId: string;
}

/** What a check tries, each with the certificate or the key that it is told, and none from this container's memory. */
export interface Trial {
  writesWithin24Hours(signal: AbortSignal): Promise<number | undefined>;
  certificate(which: WhichCertificate, patience: { signal: AbortSignal; until: number }): Promise<ClientCertificate>;
  signingKey(key: NamedKey, input: string, signal: AbortSignal): Promise<CheckFacts>;
  connection(certificate: ClientCertificate, correlationId: string, signal: AbortSignal): Promise<Connection>;
  /** The parts of an exchange. */
  exchange(
    certificate: ClientCertificate,
    key: NamedKey,
  ): { readonly sign: Sign; readonly tokenEndpoint: TokenEndpoint };
}

/** What everything that speaks to AWS and D1 is made of. */
export interface World {
  readonly config: Config;
  readonly kms: Pick<KMSClient, 'send'>;
  readonly secretsManager: Pick<SecretsManagerClient, 'send'>;
  readonly clock: Clock;
  readonly random: Random;
}

/** The staging labels of what is not current. */
const versionStages = { next: WAITING, previous: 'AWSPREVIOUS' } as const;

/** A trial as it is in Lambda. */
export function createTrial({ config, kms, secretsManager, clock, random }: World): Trial {
  return {
    writesWithin24Hours: (signal) => writesWithin24Hours(secretsManager, config.tokenSecretId, clock.now(), signal),
    certificate: (which, patience) =>
      certificateFromSecret({
        client: secretsManager,
        secretId: config.clientCertificateSecretId,
        ...(which !== 'current' && { versionStage: versionStages[which] }),
        ttlSeconds: config.clientCertificateTtlSeconds,
        clock,
      }).current(patience, () => {}),
    signingKey: (key, input, signal) => trySigningKey(kms, key.signingKeyId, input, signal),
    connection: (certificate, correlationId, signal) =>
      tryConnection({
        url: config.tokenEndpoint,
        certificate,
        timeouts: config,
        proxy: config.egressProxy,
        correlationId,
        clock,
        signal,
      }),
    exchange: (certificate, key) => ({
      sign: createKmsSigner(kms, key.signingKeyId),
      tokenEndpoint: createTokenEndpoint({
        settings: { ...config, keyId: key.keyId },
        // The one that is tried, whatever the secret holds meanwhile.
        certificates: { current: async () => certificate, replacementOf: async () => undefined },
        clock,
        random,
      }),
    }),
  };
}
