import { createHash } from 'node:crypto';
import { asCliFailure } from '../frame/cli-failure.ts';
import type { Clients } from '../frame/clients.ts';
import type { StackKey } from '../frame/stage.ts';

/** A check that passed proves the candidate for so long. */
export const PROOF_HOURS = 24;

const tags = {
  at: 'd1-token-broker:checked-at',
  kid: 'd1-token-broker:checked-kid',
  key: 'd1-token-broker:checked-key',
} as const;

/** Writes on the key that a check with it has passed. A laptop may be closed: AWS remembers. */
export async function recordProof(clients: Clients, key: StackKey, at: Date): Promise<void> {
  const values = { at: at.toISOString(), kid: kidTag(key.kid), key: key.arn };
  await (await clients.kms())
    .tagResource({
      KeyId: key.arn,
      Tags: (['at', 'kid', 'key'] as const).map((name) => ({ TagKey: tags[name], TagValue: values[name] })),
    })
    .catch((error: unknown) => {
      throw asCliFailure(error, 'kms:TagResource');
    });
}

/**
 * When the last check with this key passed: believed only if time, kid and key ARN all match.
 *
 * @returns Milliseconds since 1970 UTC; `undefined` when there is no such check.
 */
export async function readProof(clients: Clients, key: StackKey): Promise<number | undefined> {
  const { Tags = [] } = await (await clients.kms()).listResourceTags({ KeyId: key.arn }).catch((error: unknown) => {
    throw asCliFailure(error, 'kms:ListResourceTags');
  });
  const found = new Map(Tags.map(({ TagKey, TagValue }) => [TagKey, TagValue]));
  const at = Date.parse(found.get(tags.at) ?? '');
  if (Number.isNaN(at) || found.get(tags.kid) !== kidTag(key.kid) || found.get(tags.key) !== key.arn) return undefined;
  return at;
}

/** A kid may hold characters that a tag may not, and be longer than one. */
const kidTag = (kid: string) =>
  /^[\w.:/=+@-]{1,128}$/.test(kid) ? kid : `sha256:${createHash('sha256').update(kid).digest('hex')}`;
