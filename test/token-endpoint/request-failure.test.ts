import { describe, expect, it } from 'vitest';
import { EgressProxy } from '../../src/shared/egress-proxy.ts';
import { HttpsFailure, type HttpsFailureKind, httpsFailure } from '../../src/shared/https-failure.ts';
import { requestFailure } from '../../src/token-endpoint/token-request.ts';
import { everythingPrintedOf, leakIn } from '../support/leaks.ts';

const timeouts = { connectTimeoutMilliseconds: 3_000, exchangeTimeoutMilliseconds: 8_000 };
const url = 'https://api.d1.example/authz/v1/oauth2/token';
const proxy = new EgressProxy(new URL('http://teller:the-password-of-it@proxy.bank.example:3128'));
const told = (thrown: unknown, answered = false, through?: EgressProxy) =>
  requestFailure(httpsFailure(thrown, { answered, reusedSocket: false }), timeouts, { url, proxy: through });
const failure = (code: unknown, answered = false) =>
  told(Object.assign(new Error('bytes of an assertion'), { code }), answered);

describe('a connection that failed', () => {
  it.each([
    ['EAI_AGAIN', 'could not be found: DNS did not answer'],
    ['ENOTFOUND', 'could not be found: its name does not resolve'],
    ['ECONNREFUSED', 'refused the connection'],
    ['EHOSTUNREACH', 'no route to the host'],
    ['ENETUNREACH', 'no route to the network'],
    ['EPIPE', 'closed the connection while the request was sent'],
    ['ETIMEDOUT', 'could not be connected to in time'],
    ['ECONNRESET', 'hung up without an answer (ECONNRESET), as it may when it refuses a client certificate'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'did not complete the TLS handshake'],
    ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'did not complete the TLS handshake'],
    ['ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'did not complete the TLS handshake'],
    ['ESOMETHINGNEW', 'failed'],
  ])('%s is told in words, with the code, and can be tried again', (code, sentence) => {
    const error = failure(code);
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: true });
    expect(error.what).toContain(sentence);
    expect(error.what).toContain(`(${code})`);
  });

  it.each([
    'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'CERT_HAS_EXPIRED',
    'CERT_NOT_YET_VALID',
    'CERT_REVOKED',
    'CERT_UNTRUSTED',
    'CERT_SIGNATURE_FAILURE',
    'CRL_HAS_EXPIRED',
    'ERROR_IN_CERT_NOT_AFTER_FIELD',
    'HOSTNAME_MISMATCH',
    'INVALID_CA',
    'INVALID_PURPOSE',
    'PATH_LENGTH_EXCEEDED',
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ])('%s: the server is not to be trusted, now or later, and nothing is wrong with our certificate', (code) => {
    const error = failure(code);
    expect(error).toMatchObject({
      code: 'TOKEN_ENDPOINT_UNREACHABLE',
      retryable: false,
      certificateRefused: false,
      untrusted: true,
    });
    expect(error.what).toBe(`The token endpoint's server certificate is not trusted: ${code}.`);
    expect(error.remedy).toContain('ca_bundle');
  });

  it.each([
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
    'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED',
    'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
    'ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED',
    'ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED',
    'ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN',
    'ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE',
    'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
    // OpenSSL 3.5 spells the same alerts like this.
    'ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE',
    'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
  ])('%s: our certificate was refused', (code) => {
    const error = failure(code);
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_REJECTED', retryable: false, certificateRefused: true });
    expect(error.remedy).toContain('Check that Thales issued the certificate');
  });

  it.each(['HPE_INVALID_CONSTANT', 'HPE_INVALID_CHUNK_SIZE', 'HPE_HEADER_OVERFLOW'])('%s: it was not HTTP', (code) => {
    expect(failure(code)).toMatchObject({ code: 'TOKEN_RESPONSE_INVALID', retryable: true });
    expect(failure(code).what).toContain(`(${code})`);
  });

  it('may have been about our certificate when the server hung up before it answered, but not after', () => {
    expect(failure('ECONNRESET', false).certificateRefused).toBe(true);
    expect(failure('ECONNRESET', true).certificateRefused).toBe(false);
    expect(failure('ECONNRESET', true).what).toContain('closed the connection before its answer was complete');
    expect(failure('EPIPE', false).certificateRefused).toBe(false);
  });

  it('stays what it is when it is known already', () => {
    const known = new HttpsFailure('CONNECT_TIMED_OUT', 'CONNECT_TIMED_OUT', { answered: false, reusedSocket: false });
    expect(told(known).what).toBe('The token endpoint could not be connected to within 3000 ms.');
  });

  it.each([undefined, null, 42, '', 'a code with spaces', 'x'.repeat(81), { toString: () => 'EPIPE' }])(
    'is an unknown error when its code is none: %j',
    (code) => {
      expect(failure(code).what).toBe('The token endpoint failed (unknown error).');
    },
  );

  it.each(['constructor', 'toString', 'hasOwnProperty'])('has no sentence by accident: %s', (code) => {
    expect(failure(code).what).toBe(`The token endpoint failed (${code}).`);
  });

  it.each(['text', undefined, { code: 'EPIPE' }, new Error('no code')])(
    'is an unknown error when it is none (%#)',
    (thrown) => {
      expect(told(thrown).what).toBe('The token endpoint failed (unknown error).');
    },
  );

  it('does not hand on what the foreign error says', () => {
    expect(everythingPrintedOf(failure('ECONNRESET'))).not.toContain('bytes of an assertion');
  });
});

describe('a connection through an egress proxy that failed', () => {
  const failed = (kind: HttpsFailureKind, code: string) =>
    told(new HttpsFailure(kind, code, { answered: false, reusedSocket: false }), false, proxy);

  it.each([
    ['ECONNREFUSED', 'it refused the connection (ECONNREFUSED)', true],
    ['CONNECT_TIMED_OUT', 'it did not open a tunnel in time', true],
    ['ENOTFOUND', 'ENOTFOUND', true],
    ['ECONNRESET', 'ECONNRESET', true],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'SELF_SIGNED_CERT_IN_CHAIN', false],
  ])('%s before the tunnel is open: the proxy is named, and not blamed on D1', (code, why, retryable) => {
    const error = failed('PROXY_UNREACHABLE', code);
    expect(error).toMatchObject({ code: 'PROXY_UNREACHABLE', retryable, certificateRefused: false, untrusted: false });
    expect(error.what).toBe(
      `The egress proxy proxy.bank.example:3128 could not be used to reach api.d1.example: ${why}.`,
    );
    if (!retryable) expect(error.remedy).toContain('NODE_EXTRA_CA_CERTS');
  });

  it.each([
    ['HTTP_407', 'it asks for credentials, or refuses those it got', false],
    ['HTTP_403', 'a rule of its own forbids it', false],
    ['HTTP_405', 'a rule of its own forbids it', false],
    ['HTTP_503', 'it may not reach that host itself', true],
    ['HTTP_429', 'it may not reach that host itself', true],
  ])('%s instead of a tunnel is what the proxy refused', (code, why, retryable) => {
    const error = failed('PROXY_REFUSED', code);
    expect(error).toMatchObject({ code: 'PROXY_REFUSED', retryable, certificateRefused: code === 'HTTP_407' });
    expect(error.what).toBe(
      `The egress proxy proxy.bank.example:3128 did not open a tunnel to api.d1.example: ${why} (${code}).`,
    );
  });

  it("tells a server certificate that is not D1's from an outdated bundle: the proxy may inspect TLS", () => {
    const error = told(Object.assign(new Error(), { code: 'SELF_SIGNED_CERT_IN_CHAIN' }), false, proxy);
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', untrusted: true });
    expect(error.what).toContain('through the egress proxy proxy.bank.example:3128');
    expect(error.remedy).toContain("Have the proxy tunnel D1's host, do not inspect it.");
  });

  it('shows no credentials', () => {
    for (const error of [failed('PROXY_REFUSED', 'HTTP_407'), failed('PROXY_UNREACHABLE', 'ENOTFOUND')]) {
      expect(leakIn(everythingPrintedOf(error), ['teller:the-password-of-it'])).toBeUndefined();
    }
    expect(leakIn(everythingPrintedOf(new Error('x', { cause: proxy })), ['the-password-of-it'])).toBeUndefined();
  });
});
