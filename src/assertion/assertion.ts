import { type Clock, nowSeconds } from '../shared/clock.ts';
import type { Random } from '../shared/random.ts';
import { type AssertionSettings, signingInput } from './claims.ts';
import type { Sign } from './kms-signer.ts';

/**
 * A new assertion (RFC 7523, section 3), good for one attempt: header, claims and signature in compact serialisation.
 *
 * @throws BrokerError SIGNING_FAILED or SIGNATURE_MALFORMED.
 */
export async function createAssertion(
  { settings, sign, clock, random }: { settings: AssertionSettings; sign: Sign; clock: Clock; random: Random },
  signal: AbortSignal,
): Promise<string> {
  const input = signingInput(settings, nowSeconds(clock), random.uuid());
  const signature = await sign(input, signal);
  return `${input}.${signature.toString('base64url')}`;
}
