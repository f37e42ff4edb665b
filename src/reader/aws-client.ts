import { AWS_CONNECTION_TIMEOUT_MILLISECONDS } from '../shared/d1.ts';

/**
 * The one method of an AWS SDK client that the reader uses. Structural, so that a client of any SDK 3 release fits, and a
 * consumer without `@aws-sdk/client-lambda` can still check its types.
 */
export interface AwsClient {
  send(command: object, options?: { abortSignal?: AbortSignal }): Promise<unknown>;
}

/** Region, credentials and `AWS_ENDPOINT_URL` come from the environment. */
export const clientSettings = (maxAttempts: number, requestTimeoutMilliseconds: number) => ({
  maxAttempts,
  requestHandler: {
    connectionTimeout: AWS_CONNECTION_TIMEOUT_MILLISECONDS,
    requestTimeout: requestTimeoutMilliseconds,
    throwOnRequestTimeout: true,
  },
});
