import type { IncomingHttpHeaders } from 'node:http';

/** One byte more than this is refused; the server never keeps more than that one byte. */
export const MAXIMUM_BODY_BYTES = 64 * 1024;

/** What the TLS handshake said about the caller. */
export interface Handshake {
  /** The client certificate's subject, for reading: `O=Example Bank, CN=TLSMA-ECC/ISSUER0001/PPR`. */
  clientSubject: string;
  clientCommonName: string;
  /** SHA-256 of the client certificate, as `X509Certificate.fingerprint256` spells it. */
  clientFingerprint: string;
  /** `TLSv1.2` or `TLSv1.3`. */
  protocol: string;
  /** The cipher suite's IANA name. */
  cipher: string;
}

export interface D1Request {
  method: string;
  /** Without the query. */
  path: string;
  headers: IncomingHttpHeaders;
  /** At most `MAXIMUM_BODY_BYTES` + 1 bytes of what was sent. */
  body: Buffer;
  handshake: Handshake;
}

export interface D1Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
  /** For the call log: `ok`, or the error code. */
  outcome: string;
  /** For the call log: whom the request turned out to be about. Never a token, never an assertion. */
  about?: { issuerId?: string; keyId?: string };
}

/** A broken rule. The message goes to the caller: it names the rule, what came and what is expected. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Record<string, string>;

  constructor(status: number, code: string, description: string, headers: Record<string, string> = {}) {
    super(description);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/** What every D1 API does around its own rules: the correlation id, no caching, errors as JSON. */
export async function answerOrRefuse(request: D1Request, answer: () => Promise<D1Answer>): Promise<D1Answer> {
  const id = request.headers['x-correlation-id'];
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    pragma: 'no-cache',
  };
  try {
    if (correlationId(request) !== undefined) headers['x-correlation-id'] = String(id);
    else if (id !== undefined) {
      throw invalidRequest(`header x-correlation-id is ${shown(id)}; it must be 1 to 64 characters of A-Z a-z 0-9 _ -`);
    }
    const given = await answer();
    return { ...given, headers: { ...headers, ...given.headers } };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return {
      status: error.status,
      headers: { ...headers, ...error.headers },
      body: JSON.stringify({ error: error.code, error_description: error.message }),
      outcome: error.code,
    };
  }
}

/** The caller's correlation id, if there is one and it is well-formed. */
export function correlationId(request: Pick<D1Request, 'headers'>): string | undefined {
  const id = request.headers['x-correlation-id'];
  return typeof id === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : undefined;
}

export const invalidRequest = (description: string) => new Refusal(400, 'invalid_request', description);

/**
 * What came, for an error description: one line of the characters that RFC 6749 section 5.2 allows. Anything long, and
 * anything that could be a part of a JWT put in the wrong place, is only measured.
 */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string')
    return value === null ? 'null' : `of type ${Array.isArray(value) ? 'array' : typeof value}`;
  if (value.length > 64 || value.startsWith('eyJ')) return `a text of ${value.length} characters`;
  return `'${value.replaceAll(/[^\x20-\x7e]|["\\]/g, '?')}'`;
}
