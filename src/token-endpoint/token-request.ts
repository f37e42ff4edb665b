import { proxyFailure } from '../proxy-failure.ts';
import type { Clock } from '../shared/clock.ts';
import type { EgressProxy } from '../shared/egress-proxy.ts';
import { collect, httpsRequest } from '../shared/https.ts';
import { HttpsFailure } from '../shared/https-failure.ts';
import type { VerifiedAgent } from '../shared/verified-agent.ts';
import {
  certificateRefused,
  type EndpointError,
  responseInvalid,
  stoppedByProxy,
  unreachable,
  untrusted,
} from './endpoint-error.ts';
import type { HttpResponse } from './token-response.ts';

/** RFC 7523, section 2.1. */
const JWT_BEARER_GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const LARGEST_RESPONSE_BYTES = 64 * 1024;

export interface Timeouts {
  /** DNS, TCP and TLS together. */
  readonly connectTimeoutMilliseconds: number;
  /** From the request's first byte to the response's last, the connection included where it is not open yet. */
  readonly exchangeTimeoutMilliseconds: number;
}

/**
 * Sends an assertion to the token endpoint: it is the grant (RFC 7523, section 2.1), and TLS authenticates the client, so
 * that nothing else is in the body.
 *
 * @throws EndpointError PROXY_UNREACHABLE, PROXY_REFUSED, TOKEN_ENDPOINT_UNREACHABLE, TOKEN_ENDPOINT_REJECTED or TOKEN_RESPONSE_INVALID; the signal's reason.
 */
export async function sendAssertion({
  url,
  assertion,
  correlationId,
  agent,
  timeouts,
  clock,
  signal,
}: {
  url: string;
  assertion: string;
  correlationId: string;
  agent: VerifiedAgent;
  timeouts: Timeouts;
  clock: Clock;
  signal?: AbortSignal | undefined;
}): Promise<HttpResponse> {
  try {
    const answer = await httpsRequest({
      url,
      method: 'POST',
      headers: {
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
        'user-agent': 'd1-token-broker',
        'x-correlation-id': correlationId,
      },
      body: new URLSearchParams({ grant_type: JWT_BEARER_GRANT, assertion }).toString(),
      agent,
      signal,
      timeoutMilliseconds: timeouts.exchangeTimeoutMilliseconds,
      clock,
    });
    const body = await collect(answer, LARGEST_RESPONSE_BYTES);
    return {
      status: answer.status,
      contentType: answer.headers['content-type'],
      retryAfter: answer.headers['retry-after'],
      body: body.toString(),
    };
  } catch (thrown) {
    throw thrown instanceof HttpsFailure ? requestFailure(thrown, timeouts, { url, proxy: agent.proxy }) : thrown;
  }
}

const networkSentences: ReadonlyMap<string, string> = new Map([
  ['EAI_AGAIN', 'could not be found: DNS did not answer (EAI_AGAIN)'],
  ['ECONNREFUSED', 'refused the connection (ECONNREFUSED)'],
  ['ECONNRESET', 'closed the connection before its answer was complete (ECONNRESET)'],
  ['EHOSTUNREACH', 'cannot be reached: no route to the host (EHOSTUNREACH)'],
  ['ENETUNREACH', 'cannot be reached: no route to the network (ENETUNREACH)'],
  ['ENOTFOUND', 'could not be found: its name does not resolve (ENOTFOUND)'],
  ['EPIPE', 'closed the connection while the request was sent (EPIPE)'],
  ['ETIMEDOUT', 'could not be connected to in time (ETIMEDOUT)'],
]);

/**
 * A failed request in our words.
 *
 * @param to Where it was sent, and what may have been gone through.
 */
export function requestFailure(
  failure: HttpsFailure,
  timeouts: Timeouts,
  { url, proxy }: { readonly url: string; readonly proxy?: EgressProxy | undefined },
): EndpointError {
  const { kind, code } = failure;
  const address = proxy?.addressTo(url);
  switch (kind) {
    case 'PROXY_UNREACHABLE':
    case 'PROXY_REFUSED':
      return stoppedByProxy(proxyFailure(failure, { proxy: address, host: new URL(url).host }), failure);
    case 'CERTIFICATE_REFUSED':
      return certificateRefused(code);
    case 'UNTRUSTED':
      return untrusted(code, address);
    case 'TLS':
      return unreachable(`did not complete the TLS handshake (${code})`);
    case 'NOT_HTTP':
      return responseInvalid(`it is not HTTP (${code})`);
    case 'HEADERS_TOO_LARGE':
      return responseInvalid(`its headers are too large (${code})`);
    case 'STATUS_INVALID':
      return responseInvalid(`its status is not one of HTTP (${code})`);
    case 'UPGRADED':
      return responseInvalid('HTTP 101, a switch to another protocol');
    case 'FLOOD':
      return responseInvalid('a flood of 1xx responses');
    case 'COMPRESSED':
      return responseInvalid('it is compressed, though not asked to be');
    case 'TOO_LARGE':
      return responseInvalid(`it is larger than ${LARGEST_RESPONSE_BYTES} bytes`);
    case 'TIMED_OUT':
      return unreachable(`did not answer within ${timeouts.exchangeTimeoutMilliseconds} ms`);
    case 'CONNECT_TIMED_OUT':
      return unreachable(`could not be connected to within ${timeouts.connectTimeoutMilliseconds} ms`);
    case 'NETWORK':
      if (failure.certificateRefused) {
        const why = `hung up without an answer (${code}), as it may when it refuses a client certificate`;
        return unreachable(why, { certificateRefused: true });
      }
      return unreachable(networkSentences.get(code) ?? `failed (${code})`);
  }
}
