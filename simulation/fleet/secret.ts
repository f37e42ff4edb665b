import { AwsError } from '../../sandbox/aws/aws-error.ts';

/** How many versions stay readable by their id; the compare-and-swap looks at the last two. */
const KEPT_VERSIONS = 4;

/** One token secret, as far as a refresh needs it: the sandbox's service would keep a day of versions of ten thousand. */
export class FleetSecret {
  readonly #now: () => number;
  readonly #versions = new Map<string, { readonly text: string; readonly createdAt: number }>();
  #current: string | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  readonly handle = async (operation: string, input: Record<string, unknown>) => {
    if (operation === 'PutSecretValue')
      return this.#put(String(input['ClientRequestToken']), String(input['SecretString']));
    if (operation === 'DescribeSecret') return {};
    const version = this.#current === undefined ? undefined : this.#versions.get(this.#current);
    if (!version) throw new AwsError('ResourceNotFoundException', 'There is no value yet.');
    return { VersionId: this.#current, CreatedDate: version.createdAt / 1000, SecretString: version.text };
  };

  #put(versionId: string, text: string) {
    const existing = this.#versions.get(versionId);
    if (existing && existing.text !== text) throw new AwsError('ResourceExistsException', 'The version exists.');
    if (!existing) {
      this.#versions.set(versionId, { text, createdAt: this.#now() });
      this.#current = versionId;
      const [oldest] = this.#versions.keys();
      if (this.#versions.size > KEPT_VERSIONS && oldest !== undefined) this.#versions.delete(oldest);
    }
    return { VersionId: versionId };
  }
}
