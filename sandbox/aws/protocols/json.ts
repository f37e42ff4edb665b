import { AwsError } from '../aws-error.ts';
import type { ServiceName } from '../call.ts';
import type { Protocol } from './protocol.ts';

const targetPrefixes: Readonly<Record<string, ServiceName>> = {
  TrentService: 'kms',
  secretsmanager: 'secretsmanager',
  GraniteServiceVersion20100801: 'cloudwatch',
  Logs_20140328: 'logs',
  AmazonSQS: 'sqs',
  DynamoDB_20120810: 'dynamodb',
};

/**
 * KMS and Secrets Manager: "AWS JSON 1.1 protocol" (Smithy specification); DynamoDB speaks 1.0, which differs in its name. POST /, the operation in X-Amz-Target, errors as
 * `__type` and a message in the body.
 */
export const json: Protocol = {
  speaks: ({ headers }) => headers['x-amz-target'] !== undefined,
  /** Room for the largest legal request: a 65,536-byte secret, base64, inside JSON that escapes every character. */
  maximumBodyBytes: 1024 * 1024,
  read({ method, headers }, body) {
    const [prefix = '', operation = '', ...rest] = String(headers['x-amz-target'] ?? '').split('.');
    const service = Object.hasOwn(targetPrefixes, prefix) ? targetPrefixes[prefix] : undefined;
    if (method !== 'POST' || service === undefined || operation === '' || rest.length > 0) {
      throw new AwsError('UnknownOperationException', 'The X-Amz-Target header names no operation of this server.');
    }
    return { service, operation, input: parseInput(body) };
  },
  write({ body, errorType }, call) {
    return {
      headers: { 'content-type': `application/x-amz-json-${call?.service === 'dynamodb' ? '1.0' : '1.1'}` },
      text: JSON.stringify(errorType === undefined ? body : errorBody(errorType, body, call?.service)),
    };
  },
};

/** Secrets Manager spells the member `Message`, KMS and the protocol itself `message` (their published API models). */
function errorBody(errorType: string, { message, ...more }: Record<string, unknown>, service?: ServiceName) {
  return { __type: errorType, [service === 'secretsmanager' ? 'Message' : 'message']: message, ...more };
}

function parseInput(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = text === '' ? {} : JSON.parse(text);
  } catch {
    // The parser's error quotes what it choked on, which may be a secret.
    throw new AwsError('SerializationException', 'The request body is not JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AwsError('SerializationException', 'The request body is not a JSON object.');
  }
  return { ...value };
}
