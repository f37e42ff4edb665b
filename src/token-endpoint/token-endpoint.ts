import type { Deadline } from '../deadline.ts';
import { asBrokerError } from '../errors.ts';
import type { Call } from '../invocation.ts';
import {
  type CertificatePatience,
  type ClientCertificate,
  type ClientCertificateSource,
  daysLeft,
} from '../shared/client-certificate.ts';
import type { Clock } from '../shared/clock.ts';
import type { EgressProxy } from '../shared/egress-proxy.ts';
import type { Random } from '../shared/random.ts';
import type { TokenRecord } from '../shared/token-record.ts';
import { EndpointError } from './endpoint-error.ts';
import { OpenAheadAgent } from './open-ahead-agent.ts';
import { retryDelayMilliseconds } from './retry-delay.ts';
import { sendAssertion, type Timeouts } from './token-request.ts';
import { type RecordFacts, readTokenResponse, toTokenRecord } from './token-response.ts';

/** An attempt with less time than this can only fail. */
const SHORTEST_ATTEMPT_MILLISECONDS = 500;

export interface TokenEndpointSettings extends Timeouts, Omit<RecordFacts, 'correlationId' | 'sentAt'> {
  /** Absolute, https. */
  readonly tokenEndpoint: string;
  readonly egressProxy?: EgressProxy | undefined;
  /** How often it is asked at most, 1-5. */
  readonly exchangeAttempts: number;
}

/** Makes an assertion that is good for one attempt. */
export type AssertionFactory = (signal: AbortSignal) => Promise<string>;

export interface TokenEndpoint {
  /**
   * Exchanges an assertion for an access token (RFC 7523, section 2.1). Network errors, 408, 425, 429, 5xx and what is no
   * token response are tried again within the deadline, each attempt with a new assertion; other 4xx never are. When the
   * client certificate is refused, or the server not trusted, the secret is read again at once; there is one more attempt if
   * it has changed.
   *
   * @returns `undefined` when D1 gave a token that has no life left.
   * @throws BrokerError PROXY_UNREACHABLE, PROXY_REFUSED, TOKEN_ENDPOINT_UNREACHABLE, TOKEN_ENDPOINT_REJECTED, TOKEN_RESPONSE_INVALID,
   * CLIENT_CERTIFICATE_INVALID, CLIENT_CERTIFICATE_UNAVAILABLE, what `createAssertion` throws, or the signal's reason.
   */
  exchange(
    createAssertion: AssertionFactory,
    call: Call,
    deadline: Deadline,
    signal: AbortSignal,
  ): Promise<TokenRecord | undefined>;
}

interface Connection {
  readonly certificate: ClientCertificate;
  readonly agent: OpenAheadAgent;
}

/** D1's token endpoint over mutual TLS. */
export function createTokenEndpoint({
  settings,
  certificates,
  clock,
  random,
}: {
  settings: TokenEndpointSettings;
  certificates: ClientCertificateSource;
  clock: Clock;
  random: Random;
}): TokenEndpoint {
  const url = settings.tokenEndpoint;
  let connection: Connection | undefined;

  async function exchange(createAssertion: AssertionFactory, call: Call, deadline: Deadline, signal: AbortSignal) {
    let certificateChecked = false;
    const patience = { signal, until: deadline.at };
    for (let attempt = 1; ; attempt += 1) {
      // The handshake goes on while KMS signs.
      const [open, assertion] = await Promise.all([
        openConnection(call, patience),
        call.journal.time('sign', () => createAssertion(signal)),
      ]);
      try {
        call.journal.exchangeAttempts += 1;
        return await call.journal.time('exchange', () => ask(open, assertion, call, signal));
      } catch (error) {
        if (!(error instanceof EndpointError)) throw error;
        if ((error.certificateRefused || error.untrusted) && !certificateChecked) {
          certificateChecked = true;
          if (await certificateWasRenewed(open, call, patience)) {
            attempt -= 1;
            continue;
          }
        }
        if (!error.retryable || attempt >= settings.exchangeAttempts) throw error;
        const delay = retryDelayMilliseconds(attempt, error.retryAfterMilliseconds, random.fraction());
        if (deadline.remainingMilliseconds < delay + SHORTEST_ATTEMPT_MILLISECONDS) throw error;
        await clock.sleep(delay, signal);
        // Nobody waits any more: no connection is opened for nobody.
        if (signal.aborted) throw error;
      }
    }
  }

  async function openConnection({ journal }: Call, patience: CertificatePatience): Promise<Connection> {
    const warn = (warning: Error) => journal.warn(asBrokerError(warning));
    const certificate = await journal.time('load_certificate', () => certificates.current(patience, warn));
    journal.certificateDaysLeft = daysLeft(certificate, clock.now());
    if (connection?.certificate !== certificate) {
      connection?.agent.destroy();
      const { connectTimeoutMilliseconds, egressProxy: proxy } = settings;
      const agent = new OpenAheadAgent(new URL(url), {
        clientCertificate: certificate,
        proxy,
        connectTimeoutMilliseconds,
        clock,
      });
      connection = { certificate, agent };
    }
    connection.agent.openAhead();
    return connection;
  }

  async function certificateWasRenewed({ certificate }: Connection, { journal }: Call, patience: CertificatePatience) {
    try {
      const replacement = () => certificates.replacementOf(certificate, patience);
      return (await journal.time('load_certificate', replacement)) !== undefined;
    } catch (error) {
      // The refusal is what failed; that the secret could not be read again is told beside it.
      journal.warn(asBrokerError(error));
      return false;
    }
  }

  async function ask({ agent }: Connection, assertion: string, { correlationId }: Call, signal: AbortSignal) {
    const sentAt = clock.now();
    const response = await sendAssertion({ url, assertion, correlationId, agent, timeouts: settings, clock, signal });
    return toTokenRecord(readTokenResponse(response, assertion, clock.now()), { ...settings, correlationId, sentAt });
  }

  return { exchange };
}
