import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Clock } from './clock.ts';
import { parseJson } from './json.ts';
import { type Patience, SharedWork, waitFor } from './shared-work.ts';

/** A renewal that went wrong is looked at again after this: until then the certificate in hand is used as it is. */
const LOOK_AGAIN_MILLISECONDS = 60_000;

/** A client certificate that was fit for use when it was read. */
export interface ClientCertificate {
  /** PEM: the certificate that Thales signed, and behind it the intermediate ones, if there are any. */
  readonly certificate: string;
  /** PEM: PKCS#8, PKCS#1 or SEC 1, not encrypted; the secret itself is. */
  readonly privateKey: string;
  /** PEM: trusted for the server's certificate instead of Node's own roots. */
  readonly caBundle: string | undefined;
  /** `user:password` for the egress proxy, where there is one that asks. */
  readonly proxyCredentials?: string | undefined;
  readonly subject: string;
  /** Milliseconds since 1970 UTC. */
  readonly notAfter: number;
}

export const daysLeft = (certificate: ClientCertificate, nowMilliseconds: number): number =>
  Math.floor((certificate.notAfter - nowMilliseconds) / 86_400_000);

/**
 * Reads the text of the client-certificate secret, and checks what a handshake would only fail on. docs/configuration.md
 * documents its fields.
 *
 * @param nowMilliseconds Milliseconds since 1970 UTC.
 * @returns The certificate, or why it cannot be used: a field's name at most, never a value.
 */
export function parseClientCertificate(
  secretText: string | undefined,
  nowMilliseconds: number,
): { certificate: ClientCertificate } | { why: string } {
  if (secretText === undefined) return { why: 'it is binary' };
  const secret = parseJson(secretText);
  if (secret === undefined) return { why: 'it is not JSON' };
  if (typeof secret !== 'object' || secret === null) return { why: 'it is not a JSON object' };
  const fields = secret as Record<string, unknown>;
  const { certificate, private_key: privateKey, ca_bundle: caBundle, proxy_credentials: proxyCredentials } = fields;
  if (!isPem(certificate, '-----BEGIN CERTIFICATE')) return { why: 'field certificate is missing or not PEM' };
  if (!isPem(privateKey, 'PRIVATE KEY-----')) return { why: 'field private_key is missing or not PEM' };
  if (caBundle !== undefined && !isPem(caBundle, '-----BEGIN CERTIFICATE')) {
    return { why: 'field ca_bundle is missing or not PEM' };
  }
  if (proxyCredentials !== undefined && !isUserAndPassword(proxyCredentials)) {
    return { why: 'field proxy_credentials is not user:password' };
  }

  if (privateKey.includes('ENCRYPTED')) return { why: 'field private_key is encrypted; only the secret may be' };
  const leaf = readable(() => new X509Certificate(certificate));
  if (!leaf) return { why: 'field certificate cannot be read as PEM' };
  const key = readable(() => createPrivateKey(privateKey));
  if (!key) return { why: 'field private_key cannot be read as PEM' };
  if (caBundle !== undefined && !readable(() => new X509Certificate(caBundle))) {
    return { why: 'field ca_bundle cannot be read as PEM' };
  }
  if (!leaf.checkPrivateKey(key)) return { why: 'the private key does not belong to the certificate' };
  // What the handshake will be made of, all of it: a broken intermediate certificate, a key too short for TLS.
  if (!readable(() => createSecureContext({ cert: certificate, key: privateKey, ca: caBundle }))) {
    return { why: 'TLS does not take the certificate chain, the key or the CA bundle' };
  }
  const notBefore = Date.parse(leaf.validFrom);
  const notAfter = Date.parse(leaf.validTo);
  if (nowMilliseconds < notBefore) return { why: `the certificate is not valid before ${day(notBefore)}` };
  if (nowMilliseconds > notAfter) return { why: `the certificate expired at ${day(notAfter)}` };
  const subject = leaf.subject.replaceAll('\n', ', ');
  return { certificate: { certificate, privateKey, caBundle, proxyCredentials, subject, notAfter } };
}

/** RFC 7617, section 2: no colon in the user's name, and no control characters. */
const isUserAndPassword = (value: unknown): value is string =>
  typeof value === 'string' && /^[^:\p{Cc}]+:\P{Cc}+$/u.test(value);

const isPem = (value: unknown, mark: string): value is string => typeof value === 'string' && value.includes(mark);

/** @throws never: OpenSSL's reasons are dropped, they belong to the text of a secret. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

const day = (milliseconds: number) => new Date(milliseconds).toISOString();

export interface CertificatePatience extends Patience {
  /** Until when the caller waits, in milliseconds since 1970 UTC: needed where a read has no budget of its own. */
  readonly until?: number | undefined;
}

export interface ClientCertificateSource {
  /**
   * The client certificate, from memory while it is young and alive. The same object, as long as the secret holds the same.
   *
   * @param warn Hears why it could not be read again, when the one in hand will do.
   */
  current(patience: CertificatePatience, warn: (warning: Error) => void): Promise<ClientCertificate>;
  /**
   * Reads the secret again, because the server refused `rejected`, or was not trusted by its CA bundle. What another caller
   * has read since is not read again.
   *
   * @returns A different one, or `undefined`.
   */
  replacementOf(rejected: ClientCertificate, patience: CertificatePatience): Promise<ClientCertificate | undefined>;
}

/**
 * The client certificate of a process: read once, and again after `ttlMilliseconds`, so that a renewal needs no deployment.
 * However many callers wait, there is one read.
 *
 * @param readText One read of the secret, `undefined` when it holds bytes. What it throws, the callers get.
 * @param budgetMilliseconds What one read may take. Without it, it has as long as its most patient caller.
 * @param invalid The error for a secret that holds no usable certificate; it is told why.
 * @param tooLate The error of a read that took too long.
 */
export function createClientCertificateSource({
  readText,
  ttlMilliseconds,
  budgetMilliseconds,
  invalid,
  tooLate,
  clock,
}: {
  readText: (signal: AbortSignal) => Promise<string | undefined>;
  ttlMilliseconds: number;
  budgetMilliseconds?: number;
  invalid: (why: string) => Error;
  tooLate: () => Error;
  clock: Clock;
}): ClientCertificateSource {
  let cached: { readonly certificate: ClientCertificate; readAgainAt: number } | undefined;
  const loads = new SharedWork<ClientCertificate>(clock, tooLate, budgetMilliseconds);

  const load = (patience: CertificatePatience) =>
    waitFor(
      loads.join(async ({ signal }) => {
        const parsed = parseClientCertificate(await readText(signal), clock.now());
        if ('why' in parsed) throw invalid(parsed.why);
        // The same one keeps its connections.
        const certificate =
          cached && isSame(cached.certificate, parsed.certificate) ? cached.certificate : parsed.certificate;
        cached = { certificate, readAgainAt: clock.now() + ttlMilliseconds };
        return certificate;
      }, patience.until),
      patience,
      clock,
      tooLate,
    );

  return {
    async current(patience, warn) {
      const alive = cached && clock.now() <= cached.certificate.notAfter ? cached : undefined;
      if (alive && clock.now() < alive.readAgainAt) return alive.certificate;
      try {
        return await load(patience);
      } catch (error) {
        // A certificate that still lives is better than none: a renewal that went wrong must not stop the calls.
        if (!alive || !(error instanceof Error) || patience.signal?.aborted) throw error;
        alive.readAgainAt = clock.now() + LOOK_AGAIN_MILLISECONDS;
        warn(error);
        return alive.certificate;
      }
    },

    async replacementOf(rejected, patience) {
      const newer = cached && cached.certificate !== rejected ? cached.certificate : await load(patience);
      return newer === rejected ? undefined : newer;
    },
  };
}

const isSame = (one: ClientCertificate, other: ClientCertificate) =>
  one.certificate === other.certificate &&
  one.privateKey === other.privateKey &&
  one.caBundle === other.caBundle &&
  one.proxyCredentials === other.proxyCredentials;
