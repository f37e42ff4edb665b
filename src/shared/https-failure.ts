/** What went wrong with a request, before either side has words for it. */
export type HttpsFailureKind =
  /** The server shows a certificate that is not trusted. */
  | 'UNTRUSTED'
  /** The server refused ours, by an alert. */
  | 'CERTIFICATE_REFUSED'
  /** Some other alert, or no TLS at all. */
  | 'TLS'
  | 'NOT_HTTP'
  | 'HEADERS_TOO_LARGE'
  | 'STATUS_INVALID'
  /** HTTP 101, a switch to another protocol. */
  | 'UPGRADED'
  /** One 1xx response after the other. */
  | 'FLOOD'
  | 'COMPRESSED'
  | 'TOO_LARGE'
  | 'TIMED_OUT'
  | 'CONNECT_TIMED_OUT'
  /** The egress proxy, or the way to it: `code` tells. */
  | 'PROXY_UNREACHABLE'
  /** The egress proxy does not open a tunnel: `code` is its status. */
  | 'PROXY_REFUSED'
  /** DNS, TCP, a connection that was cut: `code` tells. */
  | 'NETWORK';

interface Progress {
  /** Whether a response had begun. */
  readonly answered: boolean;
  /** Whether the connection had served a request before: the server may have closed it meanwhile. */
  readonly reusedSocket: boolean;
}

/** A failed request in neutral words. It quotes nothing: of Node's error only the code is kept, its message may show bytes. */
export class HttpsFailure extends Error {
  readonly kind: HttpsFailureKind;
  /** As Node or OpenSSL spells it (`ECONNRESET`, `ERR_SSL_TLSV1_ALERT_UNKNOWN_CA`), `HTTP_999` for a status, else the kind or `unknown error`. */
  readonly code: string;
  readonly answered: boolean;
  readonly reusedSocket: boolean;

  constructor(kind: HttpsFailureKind, code: string, { answered, reusedSocket }: Progress) {
    super(`The request failed: ${code}.`);
    this.name = 'HttpsFailure';
    this.kind = kind;
    this.code = code;
    this.answered = answered;
    this.reusedSocket = reusedSocket;
  }

  /** It did not get past the egress proxy. */
  get ofProxy(): boolean {
    return this.kind === 'PROXY_UNREACHABLE' || this.kind === 'PROXY_REFUSED';
  }

  /** The certificate of the server, or of the proxy before it, does not check out: a changed CA bundle might. */
  get untrusted(): boolean {
    return this.kind === 'UNTRUSTED' || (this.kind === 'PROXY_UNREACHABLE' && untrustedServer.test(this.code));
  }

  /**
   * The server has refused, or may have refused, the client certificate, or the proxy the credentials that lie beside it.
   * With TLS 1.3 a server learns of a bad certificate when the handshake is over for the client; many just hang up.
   */
  get certificateRefused(): boolean {
    if (this.kind === 'CERTIFICATE_REFUSED' || this.code === 'HTTP_407') return true;
    return this.kind === 'NETWORK' && this.code === 'ECONNRESET' && !this.answered;
  }
}

/** Node's and OpenSSL's reasons for not trusting a server certificate (Node documentation, tls, X509 certificate error codes). */
const untrustedServer =
  /^(CERT_|CRL_|DEPTH_ZERO_|ERR_TLS_CERT_|ERROR_IN_CERT_|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|PATH_LENGTH_|SELF_SIGNED_|UNABLE_TO_)/;
/** The alerts by which a server refuses a client certificate (RFC 8446, section 6.2), as OpenSSL spells them. */
const clientRefused =
  /ALERT_(ACCESS_DENIED|BAD_CERTIFICATE|CERTIFICATE_EXPIRED|CERTIFICATE_REQUIRED|CERTIFICATE_REVOKED|CERTIFICATE_UNKNOWN|HANDSHAKE_FAILURE|UNKNOWN_CA|UNSUPPORTED_CERTIFICATE)/;

const kinds: readonly (readonly [RegExp, HttpsFailureKind])[] = [
  [clientRefused, 'CERTIFICATE_REFUSED'],
  [untrustedServer, 'UNTRUSTED'],
  [/^HPE_HEADER_OVERFLOW$/, 'HEADERS_TOO_LARGE'],
  [/^HPE_/, 'NOT_HTTP'],
  [/^ERR_SSL_/, 'TLS'],
];

/** What Node threw, as a failure in our words. */
export function httpsFailure(thrown: unknown, progress: Progress): HttpsFailure {
  if (thrown instanceof HttpsFailure) return new HttpsFailure(thrown.kind, thrown.code, progress);
  const code = codeOf(thrown);
  const kind = kinds.find(([pattern]) => pattern.test(code))?.[1] ?? 'NETWORK';
  return new HttpsFailure(kind, code, progress);
}

function codeOf(thrown: unknown): string {
  const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  // The slash is OpenSSL's: it calls some alerts SSL/TLS_ALERT_BAD_CERTIFICATE and the like.
  return typeof code === 'string' && /^[\w/]{1,80}$/.test(code) ? code : 'unknown error';
}
