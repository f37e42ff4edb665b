import type { BrokerErrorFacts } from './errors.ts';
import type { HttpsFailure } from './shared/https-failure.ts';

/** What a proxy may say of a moment, not of a rule (RFC 9110, section 15). */
const MAY_PASS = /^HTTP_(408|425|429|5\d\d)$/;

/**
 * A request that did not get past the egress proxy.
 *
 * @param failure One of those that are the proxy's.
 * @param proxy Its host and port.
 * @param host What was to be reached.
 */
export function proxyFailure(
  { kind, code, untrusted }: HttpsFailure,
  { proxy, host }: { proxy: string | undefined; host: string },
): BrokerErrorFacts {
  if (kind === 'PROXY_UNREACHABLE') {
    return {
      code: kind,
      what: `The egress proxy ${proxy} could not be used to reach ${host}: ${unreachable(code)}.`,
      remedy: untrusted
        ? "Have NODE_EXTRA_CA_CERTS name the CA of the proxy's own certificate, and HTTPS_PROXY the name in it."
        : 'Check HTTPS_PROXY, the proxy itself, and the route and security group from the function to it.',
      retryable: !untrusted,
    };
  }
  const what = (why: string) => `The egress proxy ${proxy} did not open a tunnel to ${host}: ${why} (${code}).`;
  if (code === 'HTTP_407') {
    return {
      code: 'PROXY_REFUSED',
      what: what('it asks for credentials, or refuses those it got'),
      remedy: 'Correct proxy_credentials in the client-certificate secret; docs/configuration.md tells of other ways.',
      retryable: false,
    };
  }
  return MAY_PASS.test(code)
    ? {
        code: 'PROXY_REFUSED',
        what: what('it may not reach that host itself'),
        remedy: 'Check that the proxy resolves and reaches the host, and look at its log.',
        retryable: true,
      }
    : {
        code: 'PROXY_REFUSED',
        what: what('a rule of its own forbids it'),
        remedy: 'Have the proxy allow CONNECT to that host and port, or name the host in NO_PROXY.',
        retryable: false,
      };
}

function unreachable(code: string): string {
  if (code === 'CONNECT_TIMED_OUT') return 'it did not open a tunnel in time';
  if (code === 'ECONNREFUSED') return 'it refused the connection (ECONNREFUSED)';
  return code;
}
