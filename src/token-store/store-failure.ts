import { BrokerError, type ErrorCode } from '../errors.ts';
import { awsFailure } from '../shared/aws-failure.ts';

const malformed = {
  code: 'TOKEN_STORE_UNAVAILABLE',
  remedy:
    'Check D1_TOKEN_SECRET_ID; a token record must fit into 65,536 bytes: ask Thales support if a token does not.',
} as const;

/** By the name that the endpoint gave: a Map, because `constructor` must not find what every object has. */
const advice: ReadonlyMap<string, { code: ErrorCode; remedy: string }> = new Map(
  Object.entries({
    AccessDeniedException: {
      code: 'TOKEN_STORE_DENIED',
      remedy:
        "Allow the function's role the action on the token secret, and kms:Decrypt and kms:GenerateDataKey on its key.",
    },
    DecryptionFailure: { code: 'TOKEN_STORE_DENIED', remedy: "Check that the secret's KMS key is enabled and usable." },
    EncryptionFailure: { code: 'TOKEN_STORE_DENIED', remedy: "Check that the secret's KMS key is enabled and usable." },
    InvalidParameterException: malformed,
    InvalidRequestException: {
      code: 'TOKEN_SECRET_MISSING',
      remedy:
        'The secret is scheduled for deletion: restore it, or point D1_TOKEN_SECRET_ID at the one that replaced it.',
    },
    LimitExceededException: {
      code: 'TOKEN_STORE_QUOTA_EXCEEDED',
      remedy:
        'The secret has too many versions younger than 24 hours: find what refreshes more often than every ten minutes, and wait.',
    },
    ResourceNotFoundException: {
      code: 'TOKEN_SECRET_MISSING',
      remedy: 'Create the secret, or correct D1_TOKEN_SECRET_ID, the account or the Region.',
    },
    ValidationException: malformed,
  }),
);

/** AWSCURRENT goes back to a version whose successors all exist. */
export const labelsMovedBack = (secretId: string) =>
  new BrokerError({
    code: 'TOKEN_STORE_UNAVAILABLE',
    what: `The token secret ${secretId} was not written: its labels are moved back again and again.`,
    remedy: 'Find who moves AWSCURRENT on the token secret by hand.',
    retryable: true,
  });

/** A warning: what is found in the secret is written over. @param why What keeps it from being a record of ours. */
export const foreignValue = (secretId: string, why: string) =>
  new BrokerError({
    code: 'TOKEN_SECRET_FOREIGN',
    what: `The token secret ${secretId} holds a value that the broker did not write: ${why}. It is being replaced.`,
    remedy: 'If the value is needed, it has the label AWSPREVIOUS; point D1_TOKEN_SECRET_ID at a secret of its own.',
    retryable: false,
  });

/** A failed call on the token secret, with its code and what to do about it. */
export function storeFailure(secretId: string, verb: 'read' | 'written', thrown: unknown): BrokerError {
  if (thrown instanceof BrokerError) return thrown;
  const failure = awsFailure(thrown);
  const known = advice.get(failure.name);
  const throttled = { code: 'TOKEN_STORE_THROTTLED', remedy: 'Find what calls Secrets Manager this often.' } as const;
  const unknown = {
    code: 'TOKEN_STORE_UNAVAILABLE',
    remedy: 'Check that Secrets Manager can be reached from the function and look at its service health.',
  } as const;
  const { code, remedy } = known ?? (failure.throttled ? throttled : unknown);
  return new BrokerError({
    code,
    what: `The token secret ${secretId} could not be ${verb}: ${failure.summary}.`,
    remedy,
    retryable: known ? code === 'TOKEN_STORE_QUOTA_EXCEEDED' : failure.retryable,
  });
}
