import type { Clock } from '../../../src/shared/clock.ts';
import { AwsError } from '../aws-error.ts';

/** As on the wire: a binary value is base64. */
export type SecretValue = { readonly SecretString: string } | { readonly SecretBinary: string };

export interface Version {
  readonly id: string;
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number;
  /** Absent while a rotation has named the version but not yet filled it. */
  value: SecretValue | undefined;
  /** GetSecretValue calls that met the value while it was pending. */
  pendingReads: number;
}

const dayMilliseconds = 24 * 60 * 60 * 1000;
/** "Secrets Manager keeps 100 of the most recent versions, but it keeps all secret versions created in the last 24 hours." */
const keptVersions = 100;

/**
 * The versions of one secret and the staging labels on them. A label is on one version at most ("UpdateSecretVersionStage",
 * AWS Secrets Manager API Reference), so it is kept as label -> version.
 */
export class Versions {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #quota: number | 'none';
  readonly #versions = new Map<string, Version>();
  readonly #labels = new Map<string, Version>();

  constructor(clock: Pick<Clock, 'now'>, quota: number | 'none') {
    this.#clock = clock;
    this.#quota = quota;
  }

  get size(): number {
    return this.#versions.size;
  }

  get(id: string): Version | undefined {
    return this.#versions.get(id);
  }

  /** Oldest first. */
  list(): readonly Version[] {
    return [...this.#versions.values()];
  }

  holder(label: string): Version | undefined {
    return this.#labels.get(label);
  }

  labelsOf(version: Version): readonly string[] {
    return [...this.#labels].flatMap(([label, holder]) => (holder === version ? [label] : [])).sort();
  }

  /** Throws LimitExceededException when the quota is reached and nothing is old and unlabelled enough to make room. */
  add(id: string, value: SecretValue | undefined): Version {
    this.#makeRoom();
    const version: Version = { id, createdAt: this.#clock.now(), value, pendingReads: 0 };
    this.#versions.set(id, version);
    return version;
  }

  remove(version: Version): void {
    for (const label of this.labelsOf(version)) this.#labels.delete(label);
    this.#versions.delete(version.id);
  }

  /**
   * Puts a label on a version, and takes it off the one that had it. When AWSCURRENT moves, AWSPREVIOUS follows to the
   * version that lost it (documented), and that version loses AWSPENDING (not documented, but recorded against AWS:
   * LocalStack's validated snapshot test_update_secret_version_stages_current_pending).
   */
  attach(label: string, version: Version): void {
    const former = this.#labels.get(label);
    if (former === version) return;
    this.#labels.set(label, version);
    if (label !== 'AWSCURRENT' || !former) return;
    if (this.#labels.get('AWSPENDING') === former) this.#labels.delete('AWSPENDING');
    this.#labels.set('AWSPREVIOUS', former);
  }

  detach(label: string): void {
    this.#labels.delete(label);
  }

  #makeRoom(): void {
    const limit = this.#quota === 'none' ? keptVersions : this.#quota;
    const dayAgo = this.#clock.now() - dayMilliseconds;
    for (const version of this.list()) {
      if (this.size < limit) return;
      if (version.createdAt < dayAgo && this.labelsOf(version).length === 0) this.remove(version);
    }
    if (this.#quota !== 'none' && this.size >= limit) {
      throw new AwsError('LimitExceededException', `The secret already has ${this.size} versions, which is the quota.`);
    }
  }
}
