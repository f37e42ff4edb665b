import type { KeyMetadata, KMS } from '@aws-sdk/client-kms';
import { awsFailure } from '../../shared/aws-failure.ts';
import { asCliFailure, failure } from '../frame/cli-failure.ts';
import type { KeyPlace } from '../frame/stage.ts';
import { mustBeOf } from './issuer.ts';
import { livingPolicy } from './living-policy.ts';
import type { Retained } from './resource.ts';
import type { Wanted } from './wanted.ts';

/** Keys are looked at so many at a time. */
const AT_ONCE = 8;

export interface KeyFlags {
  readonly currentKey?: string;
  readonly nextKey?: string;
}

/** The signing keys for the places that the stage has. @throws CliFailure when it isn't clear which is meant. */
export async function findSigningKeys(kms: KMS, stage: string, wanted: Wanted, flags: KeyFlags): Promise<Retained[]> {
  const given: Record<KeyPlace, string | undefined> = { current: flags.currentKey, next: flags.nextKey };
  const open = wanted.places.filter(({ place }) => given[place] === undefined);
  const chosen = new Map<KeyPlace, KeyMetadata>();
  for (const { place } of wanted.places) {
    const reference = given[place];
    if (reference !== undefined) chosen.set(place, await describeKey(kms, reference));
  }
  if (open.length > 0) {
    const ids = new Set([...chosen.values()].map(({ KeyId }) => KeyId));
    const left = (await keysOf(kms, stage)).filter(
      ({ KeySpec, KeyId }) => KeySpec === 'ECC_NIST_P256' && !ids.has(KeyId),
    );
    // A key that a rollover has put out of use is disabled, if the operator did as told.
    const usable = left.filter(({ KeyState }) => KeyState === 'Enabled');
    const candidates = usable.length > 0 ? usable : left;
    const [place] = open;
    if (candidates.length > 1 || (candidates.length === 1 && open.length > 1)) {
      const list = candidates.map(
        ({ KeyId, CreationDate }) => `${KeyId} of ${CreationDate?.toISOString().slice(0, 10)}`,
      );
      throw failure(
        'KEYS_AMBIGUOUS',
        `The stage has ${open.length} places for these signing keys: ${list.join(', ')}.`,
        'Say which is meant: --current-key, --next-key. Thales knows its public half: aws kms get-public-key.',
      );
    }
    if (place && candidates[0]) chosen.set(place.place, candidates[0]);
  }
  return Promise.all(
    [...chosen].map(async ([place, key]) => {
      mustBeOf(wanted.issuerId, `The key ${key.KeyId}`, key.Description);
      if (
        key.KeySpec !== 'ECC_NIST_P256' ||
        key.KeyUsage !== 'SIGN_VERIFY' ||
        key.MultiRegionConfiguration?.MultiRegionKeyType !== 'PRIMARY'
      ) {
        throw failure(
          'KEY_UNSUITABLE',
          `The key ${key.KeyId} is no multi-Region key of the spec ECC_NIST_P256 for signing, and its primary one.`,
          'It cannot be made one. Onboard a new key at Thales under a new kid: docs/deploy.md, "Bringing a signing key into the stack".',
        );
      }
      return keyResource(kms, place === 'current' ? 'CurrentSigningKey' : 'NextSigningKey', key, {
        KeySpec: 'ECC_NIST_P256',
        KeyUsage: 'SIGN_VERIFY',
        MultiRegion: true,
      });
    }),
  );
}

/** The key that encrypts the secrets. @throws CliFailure SECRETS_KEY_FOREIGN when it is not of this stage. */
export async function findSecretsKey(
  kms: KMS,
  stage: string,
  { issuerId }: Wanted,
  keyIds: readonly (string | undefined)[],
) {
  const [reference] = keyIds.filter((keyId) => keyId !== undefined);
  if (reference === undefined) return undefined;
  const key = await describeKey(kms, reference);
  // A key of AWS's or the bank's own stays what it is: the parameters must name it.
  if (key.KeyManager !== 'CUSTOMER' || !(await isOfStage(kms, key.KeyId ?? '', stage))) {
    throw failure(
      'SECRETS_KEY_FOREIGN',
      `The secrets that were left are encrypted with ${reference}, which is no key of this stage.`,
      'Give it in infra/params.yml, as existingSecretsKeyArn.',
    );
  }
  mustBeOf(issuerId, `The key ${key.KeyId}`, key.Description);
  return { arn: reference, resource: await keyResource(kms, 'SecretsKey', key, { EnableKeyRotation: true }) };
}

async function keyResource(kms: KMS, logicalId: string, key: KeyMetadata, properties: object): Promise<Retained> {
  const KeyId = key.KeyId ?? '';
  if (key.KeyState !== 'Enabled') {
    const repair = key.KeyState === 'PendingDeletion' ? 'cancel-key-deletion' : 'enable-key';
    throw failure('RETAINED_DISABLED', `The key ${KeyId} is ${key.KeyState}.`, `aws kms ${repair} --key-id ${KeyId}`);
  }
  const { Policy = '' } = await kms.getKeyPolicy({ KeyId }).catch((error: unknown) => {
    throw asCliFailure(error, 'kms:GetKeyPolicy');
  });
  return {
    logicalId,
    type: 'AWS::KMS::Key',
    identifier: { name: 'KeyId', value: KeyId },
    properties: {
      ...properties,
      ...(key.Description && { Description: key.Description }),
      KeyPolicy: livingPolicy(Policy),
    },
  };
}

/** The keys that a stack of this stage has made: its tags are on them. Those that may not be looked at are left out. */
async function keysOf(kms: KMS, stage: string): Promise<KeyMetadata[]> {
  const ids: string[] = [];
  try {
    for (let Marker: string | undefined; ; ) {
      const page = await kms.listKeys({ Limit: 1000, ...(Marker !== undefined && { Marker }) });
      ids.push(...(page.Keys ?? []).flatMap(({ KeyId }) => (KeyId === undefined ? [] : [KeyId])));
      Marker = page.NextMarker;
      if (Marker === undefined) break;
    }
  } catch (error) {
    throw asCliFailure(error, 'kms:ListKeys');
  }
  const found: KeyMetadata[] = [];
  const rest = ids.values();
  const look = async () => {
    for (const id of rest) if (await isOfStage(kms, id, stage)) found.push(await describeKey(kms, id));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, look));
  return found;
}

async function isOfStage(kms: KMS, KeyId: string, stage: string): Promise<boolean> {
  const { Tags = [] } = await kms.listResourceTags({ KeyId }).catch((error: unknown) => {
    const told = asCliFailure(error, 'kms:ListResourceTags');
    // AWS's own keys, and those of others in the account, say so to whoever asks.
    if (told.outcome === 'no_access') return { Tags: [] };
    throw told;
  });
  const tags = new Map(Tags.map(({ TagKey, TagValue }) => [TagKey, TagValue]));
  return tags.get('service') === 'd1-token-broker' && tags.get('stage') === stage;
}

async function describeKey(kms: KMS, KeyId: string): Promise<KeyMetadata> {
  const { KeyMetadata } = await kms.describeKey({ KeyId }).catch((error: unknown) => {
    if (awsFailure(error).name === 'NotFoundException') {
      throw failure(
        'NO_SUCH_KEY',
        `There is no key ${KeyId} in this account and Region.`,
        'aws kms list-keys tells those that there are.',
      );
    }
    throw asCliFailure(error, 'kms:DescribeKey');
  });
  return KeyMetadata ?? { KeyId };
}
