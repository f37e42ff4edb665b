import asn1 from 'asn1.js';
import { BrokerError } from '../errors.ts';

const COORDINATE_BYTES = 32;
/** SEQUENCE header (2), and twice: INTEGER header (2), sign byte (1), 32 bytes. */
const LONGEST_DER_BYTES = 2 + 2 * (2 + 1 + COORDINATE_BYTES);
/** The order n of the P-256 group (SEC 2, section 2.4.2). */
const GROUP_ORDER = new asn1.bignum('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 16);

/** ECDSA-Sig-Value of RFC 3279, section 2.2.3. */
const EcdsaSigValue = asn1.define<{ r: asn1.BigNumber; s: asn1.BigNumber }>('EcdsaSigValue', function () {
  this.seq().obj(this.key('r').int(), this.key('s').int());
});

/**
 * Turns the DER signature that KMS returns into the raw `R || S` of a JWS (RFC 7518, section 3.4).
 *
 * @param der An ECDSA-Sig-Value over P-256, canonical DER.
 * @param signer Who signed, for the error's sentence.
 * @returns 64 bytes: R and S, each big-endian and padded on the left to 32 bytes.
 * @throws BrokerError SIGNATURE_MALFORMED when it is anything but the one canonical encoding of two integers in 1..n-1.
 */
export function derToRaw(der: Uint8Array, signer = 'KMS'): Buffer {
  const malformed = (why: string) => signatureMalformed(signer, why);
  // Too long to be a signature: refused before a byte is parsed, so noise of any size costs nothing.
  if (der.byteLength > LONGEST_DER_BYTES) throw malformed(`${der.byteLength} bytes, at most ${LONGEST_DER_BYTES} fit`);
  const bytes = Buffer.from(der);
  const decoded = decode(bytes);
  if (decoded === undefined) throw malformed('not a SEQUENCE of two INTEGERs');
  const { r, s } = decoded;
  for (const [name, value] of [
    ['r', r],
    ['s', s],
  ] as const) {
    if (value.lten(0) || value.gte(GROUP_ORDER)) throw malformed(`${name} is outside 1..n-1`);
  }
  // asn1.js forgives long-form lengths, padded integers and trailing bytes; one value must have one encoding.
  if (!EcdsaSigValue.encode({ r, s }, 'der').equals(bytes)) throw malformed('not the canonical encoding');
  return Buffer.concat([r, s].map((value) => value.toArrayLike(Uint8Array, 'be', COORDINATE_BYTES)));
}

function decode(bytes: Buffer) {
  try {
    return EcdsaSigValue.decode(bytes, 'der');
  } catch {
    return undefined;
  }
}

const signatureMalformed = (signer: string, why: string) =>
  new BrokerError({
    code: 'SIGNATURE_MALFORMED',
    what: `${signer} returned a signature that is not a canonical P-256 ECDSA signature: ${why}.`,
    remedy: 'Check that the signing key has key spec ECC_NIST_P256, and report it to AWS support if it has.',
    retryable: true,
  });
