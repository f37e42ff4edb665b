import type { Clock } from '../../../src/shared/clock.ts';
import { AwsError } from '../aws-error.ts';
import type { Input } from '../input.ts';
import type { Key } from './keys.ts';

interface Alias {
  keyId: string;
  readonly createdAt: number;
  updatedAt: number;
}

const namePattern = /^alias\/[a-zA-Z0-9/_-]+$/;

/** Names for keys; a name points to one key at a time ("Aliases in AWS KMS", AWS KMS Developer Guide). */
export class Aliases {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #arnOf: (name: string) => string;
  readonly #aliases = new Map<string, Alias>();

  constructor(clock: Pick<Clock, 'now'>, arnOf: (name: string) => string) {
    this.#clock = clock;
    this.#arnOf = arnOf;
  }

  keyId(name: string): string {
    return this.#get(name).keyId;
  }

  create(name: string, key: Key): void {
    if (this.#aliases.has(name)) {
      throw new AwsError('AlreadyExistsException', `An alias with the name ${this.#arnOf(name)} already exists`);
    }
    const now = this.#clock.now();
    this.#aliases.set(name, { keyId: key.id, createdAt: now, updatedAt: now });
  }

  point(name: string, key: Key): void {
    const alias = this.#get(name);
    alias.keyId = key.id;
    alias.updatedAt = this.#clock.now();
  }

  delete(name: string): void {
    this.#get(name);
    this.#aliases.delete(name);
  }

  list(key: Key | undefined): Record<string, unknown>[] {
    return [...this.#aliases]
      .filter(([, alias]) => key === undefined || alias.keyId === key.id)
      .map(([name, alias]) => ({
        AliasName: name,
        AliasArn: this.#arnOf(name),
        TargetKeyId: alias.keyId,
        CreationDate: alias.createdAt / 1000,
        LastUpdatedDate: alias.updatedAt / 1000,
      }));
  }

  #get(name: string): Alias {
    const alias = this.#aliases.get(name);
    if (!alias) throw new AwsError('NotFoundException', `Alias ${this.#arnOf(name)} is not found.`);
    return alias;
  }
}

export function aliasName(input: Input): string {
  const name = input.string('AliasName', { min: 1, max: 256 });
  if (!name.startsWith('alias/')) throw input.error('Alias must start with the prefix "alias/".');
  if (!namePattern.test(name)) throw input.error('AliasName may hold letters, digits, "/", "_" and "-" only.');
  if (name.startsWith('alias/aws/')) throw input.error('The prefix "alias/aws/" is reserved for AWS managed keys.');
  return name;
}
