import { AwsError } from './aws-error.ts';

interface Length {
  readonly min?: number;
  readonly max?: number;
}

/** Reads the parameters of one request, and refuses what AWS would refuse. Messages name the parameter, never its value. */
export class Input {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #errorType: string;

  /** `errorType` is what the service calls a bad parameter: ValidationException, or InvalidParameterException. */
  constructor(fields: Readonly<Record<string, unknown>>, errorType: string) {
    this.#fields = fields;
    this.#errorType = errorType;
  }

  error(message: string): AwsError {
    return new AwsError(this.#errorType, message);
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined && this.#fields[name] !== null;
  }

  string(name: string, length: Length = { min: 1 }): string {
    const value = this.optionalString(name, length);
    if (value === undefined) throw this.error(`${name} is required.`);
    return value;
  }

  optionalString(name: string, length: Length = { min: 1 }): string | undefined {
    if (!this.has(name)) return undefined;
    const value = this.#fields[name];
    if (typeof value !== 'string') throw wrongType(name, 'a string');
    this.#checkLength(name, value.length, 'characters', length);
    return value;
  }

  optionalOneOf<T extends string>(name: string, allowed: readonly T[]): T | undefined {
    const value = this.optionalString(name);
    if (value === undefined) return undefined;
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) throw this.error(`${name} must be one of: ${allowed.join(', ')}.`);
    return found;
  }

  optionalBoolean(name: string): boolean | undefined {
    if (!this.has(name)) return undefined;
    const value = this.#fields[name];
    if (typeof value !== 'boolean') throw wrongType(name, 'a boolean');
    return value;
  }

  optionalInteger(name: string, range: { readonly min: number; readonly max: number }): number | undefined {
    if (!this.has(name)) return undefined;
    const value = this.#fields[name];
    if (typeof value !== 'number' || !Number.isInteger(value)) throw wrongType(name, 'an integer');
    if (value < range.min || value > range.max) {
      throw this.error(`${name} must be between ${range.min} and ${range.max}.`);
    }
    return value;
  }

  optionalStrings(name: string, items: { readonly max: number }, length: Length): readonly string[] | undefined {
    if (!this.has(name)) return undefined;
    const value = this.#fields[name];
    if (!Array.isArray(value) || !value.every((item): item is string => typeof item === 'string')) {
      throw wrongType(name, 'a list of strings');
    }
    this.#checkLength(name, value.length, 'items', { min: 1, max: items.max });
    for (const item of value) this.#checkLength(name, item.length, 'characters', length);
    return value;
  }

  optionalObject(name: string): Readonly<Record<string, unknown>> | undefined {
    if (!this.has(name)) return undefined;
    const value = this.#fields[name];
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(name, 'an object');
    return { ...value };
  }

  /** A list of structures, empty when it is not there. */
  optionalObjects(name: string, items: { readonly max: number }): readonly Input[] {
    if (!this.has(name)) return [];
    const value = this.#fields[name];
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'object' && item !== null)) {
      throw wrongType(name, 'a list of objects');
    }
    this.#checkLength(name, value.length, 'items', { max: items.max });
    return value.map((item) => new Input({ ...item }, this.#errorType));
  }

  /** A blob; on the wire it is base64. `length` counts the bytes that it stands for. */
  bytes(name: string, length: Length): Buffer {
    const value = this.#fields[name];
    if (value === undefined || value === null) throw this.error(`${name} is required.`);
    if (typeof value !== 'string') throw wrongType(name, 'a base64 string');
    const bytes = Buffer.from(value, 'base64');
    if (bytes.toString('base64') !== value) throw wrongType(name, 'a base64 string');
    this.#checkLength(name, bytes.length, 'bytes', length);
    return bytes;
  }

  #checkLength(name: string, actual: number, unit: string, { min = 0, max = Number.POSITIVE_INFINITY }: Length): void {
    if (actual < min) throw this.error(`${name} must have at least ${min} ${unit}.`);
    if (actual > max) throw this.error(`${name} must have at most ${max} ${unit}.`);
  }
}

/** A JSON value of the wrong type never gets as far as the service's validation. */
const wrongType = (name: string, expected: string): AwsError =>
  new AwsError('SerializationException', `${name} must be ${expected}.`);
