import { customFetch, genericTokenEndpointRequest } from 'oauth4webapi';
import type { Deadline } from '../deadline.ts';
import { asBrokerError } from '../errors.ts';
import type { Call } from '../invocation.ts';
import type { Clock } from '../shared/clock.ts';
import type { Random } from '../shared/random.ts';
import { daysLeft } from './client-certificate.ts';
import type { ClientCertificateSource } from './client-certificate-source.ts';
import { EndpointError } from './endpoint-error.ts';
import { MutualTlsConnection, type Timeouts } from './mutual-tls-connection.ts';
import { retryDelayMilliseconds } from './retry-delay.ts';
import { readTokenResponse, type TokenResponse } from './token-response.ts';

/** RFC 7523, section 2.1. */
const JWT_BEARER_GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
/** An attempt with less time than this can only fail. */
const SHORTEST_ATTEMPT_MILLISECONDS = 500;

export interface Exchanged {
  readonly response: TokenResponse;
  /** Milliseconds since 1970 UTC, from just before the request was sent. */
  readonly sentAt: number;
}

export type TokenEndpoint = ReturnType<typeof createTokenEndpoint>;

/** Makes an assertion that is good for one attempt. */
export type AssertionFactory = (signal: AbortSignal) => Promise<string>;

/**
 * D1's token endpoint over mutual TLS.
 *
 * @param url The token endpoint, https.
 * @param attempts How often it is asked at most, 1-5.
 */
export function createTokenEndpoint({
  url,
  issuerId,
  attempts,
  timeouts,
  certificates,
  clock,
  random,
}: {
  url: string;
  issuerId: string;
  attempts: number;
  timeouts: Timeouts;
  certificates: ClientCertificateSource;
  clock: Clock;
  random: Random;
}) {
  const origin = new URL(url);
  let connection: MutualTlsConnection | undefined;

  /**
   * Exchanges an assertion for an access token (RFC 7523, section 2.1). Network errors, 429, 5xx and what is no
   * token response are tried again within the deadline, each attempt with a new assertion; other 4xx never are. A refused client certificate is read
   * again at once, and gets one more attempt if it has changed.
   *
   * @throws BrokerError TOKEN_ENDPOINT_UNREACHABLE, TOKEN_ENDPOINT_REJECTED, TOKEN_RESPONSE_INVALID,
   * CLIENT_CERTIFICATE_INVALID, CLIENT_CERTIFICATE_UNAVAILABLE, or what `createAssertion` throws.
   */
  async function exchange(createAssertion: AssertionFactory, call: Call, deadline: Deadline, signal: AbortSignal) {
    let certificateChecked = false;
    for (let attempt = 1; ; attempt += 1) {
      // The handshake goes on while KMS signs.
      const [open, assertion] = await Promise.all([
        openConnection(call, signal),
        call.journal.time('sign', () => createAssertion(signal)),
      ]);
      try {
        call.journal.exchangeAttempts += 1;
        return await call.journal.time('exchange', () => ask(open, assertion, call.correlationId, signal));
      } catch (error) {
        if (!(error instanceof EndpointError)) throw error;
        if (error.certificateRefused && !certificateChecked) {
          certificateChecked = true;
          if (await certificateWasRenewed(open, call, signal)) {
            attempt -= 1;
            continue;
          }
        }
        if (!error.retryable || attempt >= attempts) throw error;
        const delay = retryDelayMilliseconds(attempt, error.retryAfterMilliseconds, random.fraction());
        if (deadline.remainingMilliseconds < delay + SHORTEST_ATTEMPT_MILLISECONDS) throw error;
        await clock.sleep(delay, signal);
        // Nobody waits any more: no connection is opened for nobody.
        if (signal.aborted) throw error;
      }
    }
  }

  async function openConnection(call: Call, signal: AbortSignal): Promise<MutualTlsConnection> {
    const certificate = await call.journal.time('load_certificate', () => certificates.current(signal, call.journal));
    call.journal.certificateDaysLeft = daysLeft(certificate, clock.now());
    if (connection?.certificate !== certificate) {
      connection?.close();
      connection = new MutualTlsConnection(origin, certificate, timeouts, clock);
    }
    connection.open();
    return connection;
  }

  async function certificateWasRenewed(refused: MutualTlsConnection, { journal }: Call, signal: AbortSignal) {
    try {
      const replacement = () => certificates.replacementOf(refused.certificate, signal);
      return (await journal.time('load_certificate', replacement)) !== undefined;
    } catch (error) {
      // The refusal is what failed; that the secret could not be read again is told beside it.
      journal.warn(asBrokerError(error));
      return false;
    }
  }

  async function ask(open: MutualTlsConnection, assertion: string, correlationId: string, signal: AbortSignal) {
    const sentAt = clock.now();
    const response = await genericTokenEndpointRequest(
      { issuer: origin.origin, token_endpoint: url },
      { client_id: issuerId },
      noClientAuthentication,
      JWT_BEARER_GRANT,
      { assertion },
      {
        [customFetch]: open.fetch,
        headers: { 'user-agent': 'd1-token-broker', 'x-correlation-id': correlationId },
        signal,
      },
    );
    return { response: await readTokenResponse(response, assertion, clock), sentAt } satisfies Exchanged;
  }

  return { exchange };
}

/** The assertion is the grant, and TLS authenticates the client: nothing is added to the body. */
const noClientAuthentication = () => {};
