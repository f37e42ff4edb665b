import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { awsFailure } from '../../shared/aws-failure.ts';
import { parseJson } from '../../shared/json.ts';
import { asCliFailure, failure } from '../frame/cli-failure.ts';
import type { Clients } from '../frame/clients.ts';

export interface PublicKey {
  /** SubjectPublicKeyInfo. */
  readonly pem: string;
  readonly jwk: { readonly kty: string; readonly crv: string; readonly x: string; readonly y: string };
  /** RFC 7638, SHA-256, base64url. */
  readonly thumbprint: string;
}

/** @throws CliFailure */
export async function readPublicKey(clients: Clients, arn: string): Promise<PublicKey> {
  try {
    const { PublicKey } = await (await clients.kms()).getPublicKey({ KeyId: arn });
    return describe(createPublicKey({ key: Buffer.from(PublicKey ?? []), format: 'der', type: 'spki' }));
  } catch (error) {
    const { name } = awsFailure(error);
    if (name === 'DisabledException' || name === 'KMSInvalidStateException' || name === 'NotFoundException') {
      throw failure(
        'SIGNING_FAILED',
        `The signing key ${arn} cannot be used (${name}).`,
        'd1-token doctor tells more.',
      );
    }
    throw asCliFailure(error, 'kms:GetPublicKey');
  }
}

/**
 * A public key on P-256 from a file: PEM or JWK.
 *
 * @returns `undefined` when it is none.
 */
export function parsePublicKey(text: string): PublicKey | undefined {
  const jwk = parseJson(text);
  try {
    const key = typeof jwk === 'object' && jwk !== null ? { key: jwk as JsonWebKey, format: 'jwk' as const } : text;
    // A private key has a public half too, and nobody should have one in a file.
    if (text.includes('PRIVATE KEY') || (typeof jwk === 'object' && jwk !== null && 'd' in jwk)) return undefined;
    return describe(createPublicKey(key));
  } catch {
    return undefined;
  }
}

function describe(key: KeyObject): PublicKey {
  const { kty = '', crv = '', x = '', y = '' } = key.export({ format: 'jwk' });
  if (kty !== 'EC' || crv !== 'P-256') throw new TypeError('Not a key on P-256.');
  // The members in this order, without white space (RFC 7638, section 3).
  const thumbprint = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
  return { pem: key.export({ format: 'pem', type: 'spki' }).toString(), jwk: { kty, crv, x, y }, thumbprint };
}
