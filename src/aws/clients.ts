import { KMSClient } from '@aws-sdk/client-kms';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { AWS_CONNECTION_TIMEOUT_MILLISECONDS } from '../shared/d1.ts';

/** Where a test or the simulator points a client; in Lambda, the environment says it all. */
export interface Place {
  readonly region: string;
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/**
 * Region, credentials and `AWS_ENDPOINT_URL` come from the environment unless `place` is given.
 *
 * @param requestTimeoutMilliseconds For each attempt; the SDK makes three, with jittered delays between them.
 */
const settings = (requestTimeoutMilliseconds: number, place: Place | undefined) => ({
  maxAttempts: 3,
  requestHandler: {
    connectionTimeout: AWS_CONNECTION_TIMEOUT_MILLISECONDS,
    requestTimeout: requestTimeoutMilliseconds,
    throwOnRequestTimeout: true,
  },
  ...place,
});

export const createKmsClient = (requestTimeoutMilliseconds: number, place?: Place) =>
  new KMSClient(settings(requestTimeoutMilliseconds, place));

export const createSecretsManagerClient = (requestTimeoutMilliseconds: number, place?: Place) =>
  new SecretsManagerClient(settings(requestTimeoutMilliseconds, place));
