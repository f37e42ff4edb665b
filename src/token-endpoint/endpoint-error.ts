import { BrokerError, type BrokerErrorFacts } from '../errors.ts';
import type { HttpsFailure } from '../shared/https-failure.ts';

/** What the retry loop needs to know of a failed attempt and no error code can say. */
interface EndpointHints {
  /** Milliseconds that the endpoint asked for, if it did. */
  readonly retryAfterMilliseconds?: number | undefined;
  /** The handshake or the endpoint may have refused the client certificate: a renewed one might do. */
  readonly certificateRefused?: boolean;
  /** The server's certificate is not trusted: a renewed CA bundle might do. */
  readonly untrusted?: boolean;
}

/** A failed attempt at the token endpoint. */
export class EndpointError extends BrokerError implements EndpointHints {
  readonly retryAfterMilliseconds: number | undefined;
  readonly certificateRefused: boolean;
  readonly untrusted: boolean;

  constructor(facts: BrokerErrorFacts, hints: EndpointHints = {}) {
    super(facts);
    this.retryAfterMilliseconds = hints.retryAfterMilliseconds;
    this.certificateRefused = hints.certificateRefused ?? false;
    this.untrusted = hints.untrusted ?? false;
  }
}

/** D1 could not be asked, or could not answer: the network, a timeout, HTTP 408, 425, 429 or 5xx. */
export const unreachable = (why: string, hints: EndpointHints = {}) =>
  new EndpointError(
    {
      code: 'TOKEN_ENDPOINT_UNREACHABLE',
      what: `The token endpoint ${why}.`,
      remedy: 'Check the route to D1 and its status page; give Thales support the correlation id.',
      retryable: true,
    },
    hints,
  );

/** The egress proxy is in the way. The credentials for it are in the client certificate's secret: a renewed one might do. */
export const stoppedByProxy = (facts: BrokerErrorFacts, { certificateRefused }: HttpsFailure) =>
  new EndpointError(facts, { certificateRefused });

/**
 * Somebody answered, but not D1: its certificate does not check out.
 *
 * @param proxy What was gone through, if anything.
 */
export const untrusted = (why: string, proxy: string | undefined) =>
  new EndpointError(
    {
      code: 'TOKEN_ENDPOINT_UNREACHABLE',
      what: `The token endpoint's server certificate is not trusted${proxy ? ` through the egress proxy ${proxy}` : ''}: ${why}.`,
      remedy:
        (proxy ? "Have the proxy tunnel D1's host, do not inspect it. Else check" : 'Check') +
        ' D1_ENVIRONMENT, the ca_bundle in the client-certificate secret, and proxies that intercept TLS.',
      retryable: false,
    },
    { untrusted: true },
  );

export const certificateRefused = (why: string) =>
  new EndpointError(
    {
      code: 'TOKEN_ENDPOINT_REJECTED',
      what: `The token endpoint refused the client certificate: ${why}.`,
      remedy: 'Check that Thales issued the certificate for this issuer and environment, and that it was not revoked.',
      retryable: false,
    },
    { certificateRefused: true },
  );

/** D1 said no, and will say no again. */
export const rejected = (why: string, status: number) =>
  new EndpointError(
    {
      code: 'TOKEN_ENDPOINT_REJECTED',
      what: `The token endpoint refused the request: ${why}.`,
      remedy: remedyFor(status),
      retryable: false,
    },
    { certificateRefused: status === 401 || status === 403 },
  );

function remedyFor(status: number): string {
  const support = 'give Thales support the correlation id.';
  if (status === 400) return `Check issuer id, kid, audience and the public key provisioned at D1; ${support}`;
  if (status === 401 || status === 403) {
    return `Check the client certificate, issuer id, kid, audience and the public key provisioned at D1; ${support}`;
  }
  return `Check D1_ENVIRONMENT and anything between the function and D1; ${support}`;
}

export const responseInvalid = (why: string) =>
  new EndpointError({
    code: 'TOKEN_RESPONSE_INVALID',
    what: `The token endpoint answered with something that is not a token response: ${why}.`,
    remedy: 'Check D1_ENVIRONMENT and anything between the function and D1; give Thales support the correlation id.',
    retryable: true,
  });
