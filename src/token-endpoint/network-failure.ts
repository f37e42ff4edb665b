import { certificateRefused, EndpointError, responseInvalid, unreachable, untrusted } from './endpoint-error.ts';

const sentences: ReadonlyMap<string, string> = new Map([
  ['EAI_AGAIN', 'could not be found: DNS did not answer (EAI_AGAIN)'],
  ['ECONNREFUSED', 'refused the connection (ECONNREFUSED)'],
  ['ECONNRESET', 'closed the connection before its answer was complete (ECONNRESET)'],
  ['EHOSTUNREACH', 'cannot be reached: no route to the host (EHOSTUNREACH)'],
  ['ENETUNREACH', 'cannot be reached: no route to the network (ENETUNREACH)'],
  ['ENOTFOUND', 'could not be found: its name does not resolve (ENOTFOUND)'],
  ['EPIPE', 'closed the connection while the request was sent (EPIPE)'],
  ['ETIMEDOUT', 'could not be connected to in time (ETIMEDOUT)'],
]);

/** Node's and OpenSSL's reasons for not trusting a server certificate (Node documentation, tls, X509 certificate error codes). */
const untrustedServer =
  /^(CERT_|CRL_|DEPTH_ZERO_|ERR_TLS_CERT_|ERROR_IN_CERT_|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|PATH_LENGTH_|SELF_SIGNED_|UNABLE_TO_)/;
/** The alerts by which a server refuses a client certificate (RFC 8446, section 6.2), as OpenSSL spells them. */
const clientRefused =
  /ALERT_(ACCESS_DENIED|BAD_CERTIFICATE|CERTIFICATE_EXPIRED|CERTIFICATE_REQUIRED|CERTIFICATE_REVOKED|CERTIFICATE_UNKNOWN|HANDSHAKE_FAILURE|UNKNOWN_CA|UNSUPPORTED_CERTIFICATE)/;

/**
 * A failed connection or transfer in our words; of Node's error only the code is used, its message may quote bytes.
 *
 * @param answered Whether a response had begun.
 */
export function networkFailure(thrown: unknown, answered: boolean): EndpointError {
  if (thrown instanceof EndpointError) return thrown;
  const code = codeOf(thrown);
  if (clientRefused.test(code)) return certificateRefused(code);
  if (untrustedServer.test(code)) return untrusted(code);
  if (code === 'HPE_HEADER_OVERFLOW') return responseInvalid('its headers are too large (HPE_HEADER_OVERFLOW)');
  if (code.startsWith('HPE_')) return responseInvalid(`it is not HTTP (${code})`);
  if (code.startsWith('ERR_SSL_')) return unreachable(`did not complete the TLS handshake (${code})`);
  // With TLS 1.3 a server learns of a bad client certificate when the handshake is over for the client; many just hang up.
  if (code === 'ECONNRESET' && !answered) {
    return unreachable('hung up without an answer (ECONNRESET), as it may when it refuses a client certificate', {
      certificateRefused: true,
    });
  }
  return unreachable(sentences.get(code) ?? `failed (${code})`);
}

function codeOf(thrown: unknown): string {
  const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  // The slash is OpenSSL's: it calls some alerts SSL/TLS_ALERT_BAD_CERTIFICATE and the like.
  return typeof code === 'string' && /^[\w/]{1,80}$/.test(code) ? code : 'unknown error';
}
