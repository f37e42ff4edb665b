import { AwsError } from '../aws-error.ts';
import type { Input } from '../input.ts';
import type { SecretValue } from './versions.ts';

/** "AWS Secrets Manager quotas": the value's size, in bytes. */
const maximumValueBytes = 65_536;
const namePattern = /^[A-Za-z0-9/_+=.@!-]+$/;

export function secretName(input: Input): string {
  const name = input.string('Name', { min: 1, max: 512 });
  if (!namePattern.test(name)) {
    throw new AwsError(
      'ValidationException',
      'Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!',
    );
  }
  return name;
}

/**
 * The token that becomes the VersionId. An SDK generates one when the caller gives none; the service itself insists on it,
 * with an error type that depends on the operation.
 */
export function versionToken(input: Input, missingType: string): string {
  const token = input.optionalString('ClientRequestToken', { min: 32, max: 64 });
  if (token !== undefined) return token;
  throw new AwsError(missingType, 'You must provide a ClientRequestToken value. We recommend a UUID-type value.');
}

export function readValue(input: Input, need: 'required'): SecretValue;
export function readValue(input: Input, need: 'optional'): SecretValue | undefined;
export function readValue(input: Input, need: 'required' | 'optional'): SecretValue | undefined {
  const hasString = input.has('SecretString');
  const hasBinary = input.has('SecretBinary');
  if (hasString && hasBinary) throw input.error('Give SecretString or SecretBinary, but not both.');
  if (hasBinary) {
    const bytes = input.bytes('SecretBinary', { min: 1, max: maximumValueBytes });
    return { SecretBinary: bytes.toString('base64') };
  }
  if (hasString) {
    const text = input.string('SecretString', { min: 1 });
    if (Buffer.byteLength(text) > maximumValueBytes) {
      throw input.error(`SecretString must have at most ${maximumValueBytes} bytes.`);
    }
    return { SecretString: text };
  }
  if (need === 'optional') return undefined;
  throw new AwsError('InvalidRequestException', 'You must provide either SecretString or SecretBinary.');
}

export function sameValue(one: SecretValue | undefined, other: SecretValue): boolean {
  if (!one) return false;
  return 'SecretString' in one
    ? 'SecretString' in other && one.SecretString === other.SecretString
    : 'SecretBinary' in other && one.SecretBinary === other.SecretBinary;
}
