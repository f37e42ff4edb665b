import type { ClientCertificate } from '../shared/client-certificate.ts';
import type { Clock } from '../shared/clock.ts';
import type { EgressProxy } from '../shared/egress-proxy.ts';
import { httpsRequest } from '../shared/https.ts';
import { HttpsFailure } from '../shared/https-failure.ts';
import { VerifiedAgent } from '../shared/verified-agent.ts';
import { requestFailure, type Timeouts } from '../token-endpoint/token-request.ts';

/** What the other end showed of itself. */
export interface Connection {
  readonly tlsVersion: string;
  /** HTTP status of a request without an assertion: any will do, it proves that the client certificate was let in. */
  readonly status: number;
  /** Our clock less D1's, in seconds, as exact as its Date header; `undefined` when there is none. */
  readonly clockDifferenceSeconds: number | undefined;
}

/**
 * Connects to the token endpoint and asks it for nothing (HEAD): with TLS 1.3 a refused client certificate shows only
 * with the first answer, and its Date header tells the time at the other end (RFC 9110, section 6.6.1).
 *
 * @throws EndpointError as an exchange does before its assertion is looked at.
 */
export async function tryConnection({
  url,
  certificate,
  timeouts,
  proxy,
  correlationId,
  clock,
  signal,
}: {
  url: string;
  certificate: ClientCertificate;
  timeouts: Timeouts;
  proxy: EgressProxy | undefined;
  correlationId: string;
  clock: Clock;
  signal: AbortSignal;
}): Promise<Connection> {
  const agent = new VerifiedAgent({ clientCertificate: certificate, proxy, ...timeouts, maxSockets: 1, clock });
  try {
    const answer = await httpsRequest({
      url,
      method: 'HEAD',
      headers: { 'user-agent': 'd1-token-broker', 'x-correlation-id': correlationId },
      agent,
      signal,
      timeoutMilliseconds: timeouts.exchangeTimeoutMilliseconds,
      clock,
    });
    const theirs = Date.parse(answer.headers.date ?? '');
    const clockDifferenceSeconds = Number.isNaN(theirs) ? undefined : Math.round((clock.now() - theirs) / 1000);
    answer.leave();
    return { tlsVersion: answer.tlsVersion, status: answer.status, clockDifferenceSeconds };
  } catch (thrown) {
    throw thrown instanceof HttpsFailure ? requestFailure(thrown, timeouts, { url, proxy }) : thrown;
  } finally {
    agent.destroy();
  }
}
