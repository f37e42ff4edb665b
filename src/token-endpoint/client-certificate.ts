import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import * as v from 'valibot';
import { BrokerError } from '../errors.ts';
import { parseJson } from '../shared/json.ts';

const pem = (label: string) => v.pipe(v.string(), v.includes(`-----BEGIN ${label}`));

/** The JSON in the client-certificate secret; docs/configuration.md documents it. */
const clientCertificateSecretSchema = v.looseObject({
  /** PEM: the certificate that Thales signed, and behind it the intermediate ones, if there are any. */
  certificate: pem('CERTIFICATE'),
  /** PEM: PKCS#8, PKCS#1 or SEC 1, not encrypted; the secret itself is. */
  private_key: v.pipe(v.string(), v.includes('PRIVATE KEY-----')),
  /** PEM: trusted for the server's certificate instead of Node's own roots. */
  ca_bundle: v.optional(pem('CERTIFICATE')),
});

/** A client certificate that was fit for use when it was read. */
export interface ClientCertificate {
  readonly certificate: string;
  readonly privateKey: string;
  readonly caBundle: string | undefined;
  readonly subject: string;
  /** Milliseconds since 1970 UTC. */
  readonly notAfter: number;
}

export const daysLeft = (certificate: ClientCertificate, nowMilliseconds: number): number =>
  Math.floor((certificate.notAfter - nowMilliseconds) / 86_400_000);

/**
 * Reads the text of the client-certificate secret, and checks what a handshake would only fail on.
 *
 * @param secretId For the error's sentence.
 * @param nowMilliseconds Milliseconds since 1970 UTC.
 * @throws BrokerError CLIENT_CERTIFICATE_INVALID: unreadable, mismatched, not yet valid or expired.
 */
export function parseClientCertificate(
  secretText: string | undefined,
  secretId: string,
  nowMilliseconds: number,
): ClientCertificate {
  const invalid = (why: string) => clientCertificateInvalid(secretId, why);
  if (secretText === undefined) throw invalid('it is binary');
  const value = parseJson(secretText);
  if (value === undefined) throw invalid('it is not JSON');
  const secret = v.safeParse(clientCertificateSecretSchema, value);
  if (!secret.success) {
    const field = v.getDotPath(secret.issues[0]);
    throw invalid(field ? `field ${field} is missing or not PEM` : 'it is not a JSON object');
  }
  const { certificate, private_key: privateKey, ca_bundle: caBundle } = secret.output;

  if (privateKey.includes('ENCRYPTED')) throw invalid('field private_key is encrypted; only the secret may be');
  const leaf = readable(() => new X509Certificate(certificate)) ?? invalidField('certificate');
  const key: KeyObject = readable(() => createPrivateKey(privateKey)) ?? invalidField('private_key');
  if (caBundle !== undefined) readable(() => new X509Certificate(caBundle)) ?? invalidField('ca_bundle');
  function invalidField(field: string): never {
    throw invalid(`field ${field} cannot be read as PEM`);
  }

  if (!leaf.checkPrivateKey(key)) throw invalid('the private key does not belong to the certificate');
  // What the handshake will be made of, all of it: a broken intermediate certificate, a key too short for TLS.
  const context = readable(() => createSecureContext({ cert: certificate, key: privateKey, ca: caBundle }));
  if (!context) throw invalid('TLS does not take the certificate chain, the key or the CA bundle');
  const notBefore = Date.parse(leaf.validFrom);
  const notAfter = Date.parse(leaf.validTo);
  if (nowMilliseconds < notBefore) throw invalid(`the certificate is not valid before ${day(notBefore)}`);
  if (nowMilliseconds > notAfter) throw invalid(`the certificate expired at ${day(notAfter)}`);
  return { certificate, privateKey, caBundle, subject: leaf.subject.replaceAll('\n', ', '), notAfter };
}

/** @throws never: OpenSSL's reasons are dropped, they belong to the text of a secret. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

const day = (milliseconds: number) => new Date(milliseconds).toISOString();

export const clientCertificateInvalid = (secretId: string, why: string): BrokerError =>
  new BrokerError({
    code: 'CLIENT_CERTIFICATE_INVALID',
    what: `The client certificate in secret ${secretId} cannot be used: ${why}.`,
    remedy: 'Store {"certificate", "private_key"} as PEM, signed by Thales for this issuer and environment.',
    retryable: false,
  });
