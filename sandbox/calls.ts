import type { ServiceName } from './aws/call.ts';

/** One call that a sandbox server received, without any value that is secret. */
export interface Call {
  readonly service: ServiceName | 'd1';
  readonly operation: string;
  /** Milliseconds since 1970 UTC, from the sandbox's clock, when the call arrived. */
  readonly at: number;
  /** The request's parameters; fields that carry secrets are left out, at any depth. */
  readonly input: Readonly<Record<string, unknown>>;
  /**
   * What the service did: `ok`, or the error type. A call whose answer was lost on the way back is still `ok`, because the
   * service carried it out; a call that a fault stopped before the service saw it has the fault's error type.
   */
  readonly outcome: string;
  readonly requestId: string;
}

/** Parameters whose value never enters the log. `Message` is what KMS signs: a part of the assertion, or its digest. */
const secretFields: ReadonlySet<string> = new Set([
  'SecretString',
  'SecretBinary',
  'RotationToken',
  'Payload',
  'Message',
  'Plaintext',
  'assertion',
  'client_assertion',
  'access_token',
]);

const withoutSecrets = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([name]) => !secretFields.has(name));
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutSecrets(inner)]));
};

/** The log that all sandbox servers share, so that a test can ask who was called, how often and in which order. */
export class CallLog {
  readonly #calls: Call[] = [];
  #forgotten = 0;

  record(call: Call): void {
    this.#calls.push({ ...call, input: withoutSecrets(call.input) as Record<string, unknown> });
  }

  all(): readonly Call[] {
    return [...this.#calls];
  }

  count(service: Call['service'], operation?: string, matcher: (call: Call) => boolean = () => true): number {
    return this.#calls.filter(
      (call) => call.service === service && (operation === undefined || call.operation === operation) && matcher(call),
    ).length;
  }

  /** A bookmark for `since`; it stays right when the log is cleared. */
  mark(): number {
    return this.#forgotten + this.#calls.length;
  }

  since(mark: number): readonly Call[] {
    return this.#calls.slice(Math.max(0, mark - this.#forgotten));
  }

  clear(): void {
    this.#forgotten += this.#calls.length;
    this.#calls.length = 0;
  }
}
