import { KMSClient } from '@aws-sdk/client-kms';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { BrokerError } from '../errors.ts';
import { proxyFailure } from '../proxy-failure.ts';
import { systemClock } from '../shared/clock.ts';
import { AWS_CONNECTION_TIMEOUT_MILLISECONDS } from '../shared/d1.ts';
import type { EgressProxy } from '../shared/egress-proxy.ts';
import { HttpsFailure } from '../shared/https-failure.ts';
import { VerifiedAgent } from '../shared/verified-agent.ts';

/** The SDK's own number. */
const MOST_SOCKETS = 50;

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
 * @param proxy What https requests go through unless it bypasses their host: the SDK looks at no HTTPS_PROXY.
 */
export const clientSettings = (requestTimeoutMilliseconds: number, place?: Place, proxy?: EgressProxy) => ({
  maxAttempts: 3,
  requestHandler: {
    requestTimeout: requestTimeoutMilliseconds,
    throwOnRequestTimeout: true,
    ...(proxy ? { httpsAgent: agentThrough(proxy) } : { connectionTimeout: AWS_CONNECTION_TIMEOUT_MILLISECONDS }),
  },
  ...place,
});

const agentThrough = (proxy: EgressProxy) =>
  new VerifiedAgent({
    proxy,
    connectTimeoutMilliseconds: AWS_CONNECTION_TIMEOUT_MILLISECONDS,
    maxSockets: MOST_SOCKETS,
    clock: systemClock,
  });

export const createKmsClient = (...how: Parameters<typeof clientSettings>) =>
  told(new KMSClient(clientSettings(...how)), how[2]);

export const createSecretsManagerClient = (...how: Parameters<typeof clientSettings>) =>
  told(new SecretsManagerClient(clientSettings(...how)), how[2]);

/** A client whose calls say so when the proxy is what stopped them. */
function told<C extends KMSClient | SecretsManagerClient>(client: C, proxy: EgressProxy | undefined): C {
  if (!proxy) return client;
  const { middlewareStack } = client as KMSClient;
  middlewareStack.add(
    (next, context) => async (args) => {
      try {
        return await next(args);
      } catch (thrown) {
        if (!(thrown instanceof HttpsFailure && thrown.ofProxy)) throw thrown;
        const host = `the AWS service ${context.clientName?.replace(/(Manager)?Client$/, ' $1').trimEnd()}`;
        throw new BrokerError(proxyFailure(thrown, { proxy: proxy.address, host }));
      }
    },
    { step: 'initialize', name: 'egressProxy' },
  );
  return client;
}
