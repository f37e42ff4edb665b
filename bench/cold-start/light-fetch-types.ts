// What oauth4webapi and the token endpoint use of the Fetch standard, for one variant of the measurement: the first use of
// Node's own `Headers` or `Response` loads the whole of undici.

export class Headers {
  readonly #values = new Map<string, string>();

  constructor(values: Readonly<Record<string, string>> = {}) {
    for (const [name, value] of Object.entries(values)) this.set(name, value);
  }

  get [Symbol.toStringTag](): string {
    return 'Headers';
  }

  get(name: string): string | null {
    return this.#values.get(name.toLowerCase()) ?? null;
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase());
  }

  set(name: string, value: string): void {
    this.#values.set(name.toLowerCase(), value);
  }

  entries(): IterableIterator<[string, string]> {
    return this.#values.entries();
  }
}

export class Response {
  readonly status: number;
  readonly headers: Headers;
  readonly #body: Buffer | null;

  constructor(body: Buffer | null, { status, headers }: { status: number; headers: Headers }) {
    this.#body = body;
    this.status = status;
    this.headers = headers;
  }

  async text(): Promise<string> {
    return this.#body?.toString('utf8') ?? '';
  }
}
