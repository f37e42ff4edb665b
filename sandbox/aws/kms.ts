import { createHash, randomUUID } from 'node:crypto';
import type { Clock } from '../../src/shared/clock.ts';
import { AwsError } from './aws-error.ts';
import { Input } from './input.ts';
import { Aliases, aliasName } from './kms/aliases.ts';
import {
  algorithmsMember,
  digestLengths,
  generatePair,
  type Key,
  keySpecs,
  keyUsages,
  signDigest,
  signingAlgorithms,
  signingAlgorithmsOf,
  usagesOf,
} from './kms/keys.ts';

export interface KmsOptions {
  readonly region: string;
  /** Twelve digits. */
  readonly accountId: string;
  readonly clock: Pick<Clock, 'now'>;
}

type Output = Record<string, unknown>;

const dayMilliseconds = 24 * 60 * 60 * 1000;
const keyIdPattern = /^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/;

/**
 * The part of AWS KMS that a signer meets ("AWS KMS API Reference"). Keys live in memory and never leave: there is no
 * operation that returns a private key, here as there.
 */
export class Kms {
  readonly #options: KmsOptions;
  readonly #keys = new Map<string, Key>();
  readonly #aliases: Aliases;

  constructor(options: KmsOptions) {
    this.#options = options;
    this.#aliases = new Aliases(options.clock, (name) => this.#arn(name));
  }

  /** Makes a multi-Region key a replica of one elsewhere: the other Region is not in the sandbox. */
  makeReplica(keyId: string, primaryRegion: string): void {
    this.#findByIdOrArn(keyId).primaryRegion = primaryRegion;
  }

  async handle(operation: string, fields: Record<string, unknown>): Promise<Output> {
    const input = new Input(fields, 'ValidationException');
    switch (operation) {
      case 'Sign':
        return this.#sign(input);
      case 'GetPublicKey':
        return this.#getPublicKey(input);
      case 'DescribeKey':
        return { KeyMetadata: this.#metadata(this.#find(input.string('KeyId'))) };
      case 'ListKeys':
        return { Keys: this.#all().map(({ id, arn }) => ({ KeyId: id, KeyArn: arn })), Truncated: false };
      case 'GetKeyPolicy':
        return {
          Policy: this.#findByIdOrArn(input.string('KeyId')).policy ?? this.#defaultPolicy(),
          PolicyName: 'default',
        };
      case 'CreateKey':
        return this.#createKey(input);
      case 'EnableKey':
        return this.#setState(input, 'Enabled');
      case 'DisableKey':
        return this.#setState(input, 'Disabled');
      case 'ScheduleKeyDeletion':
        return this.#scheduleDeletion(input);
      case 'PutKeyPolicy':
        return this.#putPolicy(input);
      case 'CreateAlias':
        return this.#createAlias(input);
      case 'UpdateAlias':
        return this.#updateAlias(input);
      case 'DeleteAlias':
        return this.#deleteAlias(input);
      case 'ListAliases':
        return this.#listAliases(input);
      case 'TagResource':
        return this.#tag(input);
      case 'ListResourceTags':
        return { Tags: tagsOf(this.#findByIdOrArn(input.string('KeyId'))), Truncated: false };
      default:
        throw new AwsError('UnknownOperationException', `The sandbox's KMS has no operation ${operation}.`);
    }
  }

  #sign(input: Input): Output {
    const algorithm = input.optionalOneOf('SigningAlgorithm', signingAlgorithms);
    if (algorithm === undefined) throw input.error('SigningAlgorithm is required.');
    const messageType = input.optionalOneOf('MessageType', ['RAW', 'DIGEST', 'EXTERNAL_MU']) ?? 'RAW';
    const message = input.bytes('Message', { min: 1, max: 4096 });
    const key = this.#usable(input);
    if (key.usage !== 'SIGN_VERIFY') {
      throw invalidUsage(`${key.arn} key usage is ${key.usage} which is not valid for Sign.`);
    }
    if (!signingAlgorithmsOf(key).includes(algorithm)) {
      throw invalidUsage(`Algorithm ${algorithm} is incompatible with key spec ${key.spec}.`);
    }
    if (messageType === 'EXTERNAL_MU') {
      throw input.error(`Message type EXTERNAL_MU is incompatible with key spec ${key.spec}.`);
    }
    if (messageType === 'DIGEST' && message.length !== digestLengths[algorithm]) {
      throw input.error(`Digest is invalid length for algorithm ${algorithm}.`);
    }
    const hash = `sha${digestLengths[algorithm] * 8}`;
    const digest = messageType === 'DIGEST' ? message : createHash(hash).update(message).digest();
    return { KeyId: key.arn, Signature: base64(signDigest(key, digest)), SigningAlgorithm: algorithm };
  }

  #getPublicKey(input: Input): Output {
    const key = this.#usable(input);
    if (!key.pair) {
      throw new AwsError('UnsupportedOperationException', `${key.arn} is a symmetric key: it has no public key.`);
    }
    return {
      KeyId: key.arn,
      PublicKey: base64(key.pair.publicKey.export({ type: 'spki', format: 'der' })),
      KeySpec: key.spec,
      CustomerMasterKeySpec: key.spec,
      KeyUsage: key.usage,
      ...algorithmsMember(key),
    };
  }

  async #createKey(input: Input): Promise<Output> {
    const spec = input.optionalOneOf('KeySpec', keySpecs) ?? 'SYMMETRIC_DEFAULT';
    const usage = input.optionalOneOf('KeyUsage', keyUsages);
    if (spec !== 'SYMMETRIC_DEFAULT' && usage === undefined) {
      throw input.error('You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.');
    }
    if (usage !== undefined && !usagesOf[spec].includes(usage)) {
      throw input.error(`KeyUsage ${usage} is not compatible with KeySpec ${spec}.`);
    }
    const isMultiRegion = input.optionalBoolean('MultiRegion') ?? false;
    // "Multi-Region keys in AWS KMS": their ids begin so.
    const id = isMultiRegion ? `mrk-${randomUUID().replaceAll('-', '')}` : randomUUID();
    const key: Key = {
      id,
      arn: this.#arn(`key/${id}`),
      spec,
      usage: usage ?? 'ENCRYPT_DECRYPT',
      description: input.optionalString('Description', { max: 8192 }) ?? '',
      createdAt: this.#options.clock.now(),
      isMultiRegion,
      primaryRegion: undefined,
      policy: input.optionalString('Policy', { min: 1, max: 32_768 }),
      state: 'Enabled',
      deletionAt: undefined,
      tags: tagsIn(input),
      pair: await generatePair(spec),
    };
    this.#keys.set(id, key);
    return { KeyMetadata: this.#metadata(key) };
  }

  #setState(input: Input, state: 'Enabled' | 'Disabled'): Output {
    const key = this.#findByIdOrArn(input.string('KeyId'));
    refusePendingDeletion(key);
    key.state = state;
    return {};
  }

  #scheduleDeletion(input: Input): Output {
    const days = input.optionalInteger('PendingWindowInDays', { min: 7, max: 30 }) ?? 30;
    const key = this.#findByIdOrArn(input.string('KeyId'));
    refusePendingDeletion(key);
    key.state = 'PendingDeletion';
    key.deletionAt = this.#options.clock.now() + days * dayMilliseconds;
    return {
      KeyId: key.arn,
      KeyState: key.state,
      DeletionDate: key.deletionAt / 1000,
      PendingWindowInDays: days,
    };
  }

  #putPolicy(input: Input): Output {
    const key = this.#findByIdOrArn(input.string('KeyId'));
    refusePendingDeletion(key);
    key.policy = input.string('Policy', { min: 1, max: 32_768 });
    return {};
  }

  #createAlias(input: Input): Output {
    this.#aliases.create(aliasName(input), this.#target(input));
    return {};
  }

  #updateAlias(input: Input): Output {
    const name = aliasName(input);
    const current = this.#keys.get(this.#aliases.keyId(name));
    const target = this.#target(input);
    if (current && (current.usage !== target.usage || !current.pair !== !target.pair)) {
      throw input.error('The current and the new key of an alias must have the same type and the same key usage.');
    }
    this.#aliases.point(name, target);
    return {};
  }

  #deleteAlias(input: Input): Output {
    this.#aliases.delete(aliasName(input));
    return {};
  }

  #listAliases(input: Input): Output {
    const keyId = input.optionalString('KeyId');
    const key = keyId === undefined ? undefined : this.#findByIdOrArn(keyId);
    return { Aliases: this.#aliases.list(key), Truncated: false };
  }

  #tag(input: Input): Output {
    const key = this.#findByIdOrArn(input.string('KeyId'));
    refusePendingDeletion(key);
    for (const [name, value] of tagsIn(input)) key.tags.set(name, value);
    return {};
  }

  #target(input: Input): Key {
    const key = this.#findByIdOrArn(input.string('TargetKeyId'));
    refusePendingDeletion(key);
    return key;
  }

  /** The key of a request that uses it. "Key states of AWS KMS keys", AWS KMS Developer Guide, tells the two errors. */
  #usable(input: Input): Key {
    const key = this.#find(input.string('KeyId'));
    refusePendingDeletion(key);
    if (key.state === 'Disabled') throw new AwsError('DisabledException', `${key.arn} is disabled.`);
    return key;
  }

  /** By key id, key ARN, `alias/name` or alias ARN. */
  #find(reference: string): Key {
    const name = this.#withoutArn(reference);
    return name.startsWith('alias/') ? this.#findByIdOrArn(this.#aliases.keyId(name)) : this.#findByIdOrArn(reference);
  }

  #findByIdOrArn(reference: string): Key {
    const isArn = reference.startsWith('arn:');
    const name = this.#withoutArn(reference);
    const id = isArn ? name.replace(/^key\//, '') : name;
    if (!isArn && !keyIdPattern.test(id)) throw notFound(`Invalid keyId '${reference}'`);
    const key = this.#keys.get(id);
    const isGone = key?.deletionAt !== undefined && key.deletionAt <= this.#options.clock.now();
    if (!key || isGone || (isArn && reference !== key.arn)) {
      throw notFound(`Key '${isArn ? reference : this.#arn(`key/${id}`)}' does not exist`);
    }
    return key;
  }

  #all(): readonly Key[] {
    const now = this.#options.clock.now();
    return [...this.#keys.values()].filter(({ deletionAt }) => deletionAt === undefined || deletionAt > now);
  }

  /** "Default key policy", AWS KMS Developer Guide. */
  #defaultPolicy(): string {
    const AWS = `arn:aws:iam::${this.#options.accountId}:root`;
    const statement = {
      Sid: 'Enable IAM User Permissions',
      Effect: 'Allow',
      Principal: { AWS },
      Action: 'kms:*',
      Resource: '*',
    };
    return JSON.stringify({ Version: '2012-10-17', Id: 'key-default-1', Statement: [statement] });
  }

  /** What follows this account's and Region's ARN prefix; a foreign ARN stays whole, and is found nowhere. */
  #withoutArn(reference: string): string {
    const prefix = this.#arn('');
    return reference.startsWith(prefix) ? reference.slice(prefix.length) : reference;
  }

  #arn(resource: string): string {
    return `arn:aws:kms:${this.#options.region}:${this.#options.accountId}:${resource}`;
  }

  #metadata(key: Key): Output {
    return {
      AWSAccountId: this.#options.accountId,
      KeyId: key.id,
      Arn: key.arn,
      CreationDate: key.createdAt / 1000,
      Enabled: key.state === 'Enabled',
      Description: key.description,
      KeyUsage: key.usage,
      KeyState: key.state,
      KeyManager: 'CUSTOMER',
      Origin: 'AWS_KMS',
      MultiRegion: key.isMultiRegion,
      ...(key.isMultiRegion && {
        MultiRegionConfiguration: {
          MultiRegionKeyType: key.primaryRegion === undefined ? 'PRIMARY' : 'REPLICA',
          PrimaryKey: {
            Arn: key.arn.replace(this.#options.region, key.primaryRegion ?? this.#options.region),
            Region: key.primaryRegion ?? this.#options.region,
          },
          ReplicaKeys: key.primaryRegion === undefined ? [] : [{ Arn: key.arn, Region: this.#options.region }],
        },
      }),
      KeySpec: key.spec,
      CustomerMasterKeySpec: key.spec,
      ...algorithmsMember(key),
      ...(key.deletionAt !== undefined && { DeletionDate: key.deletionAt / 1000 }),
    };
  }
}

const tagsOf = (key: Key) => [...key.tags].map(([TagKey, TagValue]) => ({ TagKey, TagValue }));

function tagsIn(input: Input): Map<string, string> {
  const tags = input.optionalObjects('Tags', { max: 50 }).map((tag): [string, string] => {
    const value = tag.optionalString('TagValue', { min: 0, max: 256 }) ?? '';
    // "Tag restrictions", AWS KMS Developer Guide.
    if (!/^[\p{L}\p{N}\s_.:/=+\-@]*$/u.test(value)) throw new AwsError('TagException', 'The tag value is not valid.');
    return [tag.string('TagKey', { min: 1, max: 128 }), value];
  });
  return new Map(tags);
}

function refusePendingDeletion(key: Key): void {
  if (key.state === 'PendingDeletion') {
    throw new AwsError('KMSInvalidStateException', `${key.arn} is pending deletion.`);
  }
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const notFound = (message: string): AwsError => new AwsError('NotFoundException', message);
const invalidUsage = (message: string): AwsError => new AwsError('InvalidKeyUsageException', message);
