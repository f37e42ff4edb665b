import type { ServerResponse } from 'node:http';
import type { Intercept as AwsIntercept } from '../../sandbox/aws/server.ts';
import type { D1Answer, D1Request } from '../../sandbox/d1/http.ts';
import {
  CLIENT_CERTIFICATE_SECRET,
  ISSUER_ID,
  KEY_ID,
  SIGNING_KEY_ALIAS,
  startSandbox,
} from '../../sandbox/sandbox.ts';
import { createAssertion } from '../../src/assertion/assertion.ts';
import { createKmsSigner } from '../../src/assertion/kms-signer.ts';
import { createKmsClient, createSecretsManagerClient } from '../../src/aws/clients.ts';
import { Deadline } from '../../src/deadline.ts';
import { BrokerError } from '../../src/errors.ts';
import { Journal } from '../../src/invocation.ts';
import { systemRandom } from '../../src/shared/random.ts';
import { certificateFromSecret } from '../../src/token-endpoint/client-certificate-source.ts';
import { type AssertionFactory, createTokenEndpoint } from '../../src/token-endpoint/token-endpoint.ts';
import { WatchedClock } from './watched-clock.ts';

/** A fault in D1's place; `nth` is 1 for the first request. `next` is what D1 would answer. */
export type Fault = (
  nth: number,
  next: () => Promise<D1Answer>,
  request: D1Request,
  response: ServerResponse,
) => Promise<D1Answer | undefined>;

/** Retry delays are below this and end at once; timeouts are above and wait for the test. */
const SKIP_BELOW_MILLISECONDS = 10_000;
const timeouts = { connectTimeoutMilliseconds: 10_000, exchangeTimeoutMilliseconds: 20_000 };

export interface DeskOptions {
  fault?: Fault;
  awsIntercept?: AwsIntercept;
  attempts?: number;
  /** 0.5 unless told: half of each retry ceiling. */
  fraction?: number;
  /** Where the token endpoint is, if not in the sandbox. */
  url?: string;
}

/** The part of the broker that gets a token, between a real KMS client and a D1 that a test can break. */
export async function openDesk({ fault, awsIntercept, attempts = 3, fraction = 0.5, url }: DeskOptions = {}) {
  const clock = new WatchedClock({ startsAt: Date.now(), skipBelowMilliseconds: SKIP_BELOW_MILLISECONDS });
  const requests: D1Request[] = [];
  const sandbox = await startSandbox({
    clock,
    d1Intercept: (request, next, response) => {
      requests.push(request);
      return fault ? fault(requests.length, next, request, response) : next();
    },
    ...(awsIntercept && { awsIntercept }),
  });
  const place = {
    region: 'eu-west-1',
    endpoint: String(sandbox.environment['AWS_ENDPOINT_URL']),
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
  };
  const kms = createKmsClient(2_000, place);
  const secretsManager = createSecretsManagerClient(2_000, place);
  const certificates = certificateFromSecret({
    client: secretsManager,
    secretId: CLIENT_CERTIFICATE_SECRET,
    ttlSeconds: 3_600,
    clock,
  });
  const tokenEndpoint = createTokenEndpoint({
    settings: {
      tokenEndpoint: url ?? `${sandbox.d1.baseUrl}/oauth2/token`,
      issuerId: ISSUER_ID,
      keyId: KEY_ID,
      defaultExpiresInSeconds: 600,
      exchangeAttempts: attempts,
      ...timeouts,
    },
    certificates,
    clock,
    random: { ...systemRandom, fraction: () => fraction },
  });
  const warnings: BrokerError[] = [];
  const journal = new Journal(clock, (warning) => warnings.push(warning));
  const settings = { issuerId: ISSUER_ID, subject: ISSUER_ID, keyId: KEY_ID, assertionLifetimeSeconds: 300 };
  /** Every assertion that was made: no error may show any of them. */
  const assertions: string[] = [];
  const sign = createKmsSigner(kms, SIGNING_KEY_ALIAS);
  const makeAssertion: AssertionFactory = async (signal) => {
    const assertion = await createAssertion({ settings, sign, clock, random: systemRandom }, signal);
    assertions.push(assertion);
    return assertion;
  };

  function exchange({
    remainingMilliseconds = 60_000,
    assertion = makeAssertion,
    signal = new AbortController().signal,
  } = {}) {
    const until = clock.now() + remainingMilliseconds;
    const deadline = new Deadline(clock, () => until);
    return tokenEndpoint.exchange(assertion, { correlationId: 'story-1', deadline, journal }, deadline, signal);
  }

  async function failure(given?: Parameters<typeof exchange>[0]): Promise<BrokerError> {
    const error = await exchange(given).then(
      () => 'it succeeded',
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof BrokerError)) throw new Error(`not a BrokerError: ${error}`);
    return error;
  }

  return {
    sandbox,
    clock,
    requests,
    assertions,
    makeAssertion,
    warnings,
    journal,
    exchange,
    failure,
    certificateReads: () => sandbox.calls.count('secretsmanager', 'GetSecretValue'),
    signatures: () => sandbox.calls.count('kms', 'Sign'),
    storeCertificate: (SecretString: string) =>
      sandbox.secretsManager.handle('PutSecretValue', {
        SecretId: CLIENT_CERTIFICATE_SECRET,
        ClientRequestToken: systemRandom.uuid(),
        SecretString,
      }),
    async close() {
      kms.destroy();
      secretsManager.destroy();
      await sandbox.close();
    },
  };
}

export type Desk = Awaited<ReturnType<typeof openDesk>>;

/** What an outage answers in D1's place. */
export const outage = (status: number, headers: Record<string, string> = {}, body = ''): Promise<D1Answer> =>
  Promise.resolve({ status, headers, body, outcome: `outage_${status}` });
