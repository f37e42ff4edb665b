import type { Emulator } from './implementations.ts';

/** Where an emulator does something else than AWS documents. */
export interface Deviation {
  readonly rule: string;
  readonly emulator: Emulator;
  /** What the emulator does. */
  readonly instead: string;
  /** Why the documented behaviour is right, and the emulator is not. */
  readonly reason: string;
}

const immutable = 'The reference: an existing version cannot be modified, only new ones created, so the request fails.';
const keyStates =
  'The key state table gives an error for Sign and GetPublicKey in this state, and no exception from it.';
const usage = 'The reference gives InvalidKeyUsageException to a KeyUsage or KeySpec that does not fit the operation.';
const firstIsCurrent = 'CreateSecret makes a first version only if it is given a value; the first put makes it then.';
const emptyVersion = 'Every new secret has an empty AWSCURRENT version.';
const rotation =
  'The reference: during rotation Secrets Manager makes an AWSPENDING version id before the version; the rotation function fills it and moves AWSCURRENT.';
const rotationStub =
  'RotateSecret calls no function: it copies the current value to the new version and makes it current.';
const functionIsChecked =
  'The User Guide: when a function is added to a secret, Secrets Manager checks that it may invoke it.';
const invalidToken = 'The reference gives InvalidNextTokenException to a NextToken value that is invalid.';
const sortOrder = 'The reference: secrets are listed by CreatedDate, in the order asc or desc.';
const payloadSize = 'The reference: at most 6 MB synchronous, 1 MB asynchronous; RequestTooLargeException beyond.';

const miniStack: readonly Omit<Deviation, 'emulator'>[] = [
  {
    rule: 'kms-sign-4096-bytes',
    instead: 'Signs RAW messages of any length.',
    reason: 'The reference gives Message a maximum length of 4,096 and says to send a digest of anything longer.',
  },
  {
    rule: 'kms-sign-usage-symmetric-default-encrypt-decrypt',
    instead: 'Answers UnsupportedOperationException.',
    reason: `${usage} Sign does not list the other error.`,
  },
  { rule: 'kms-sign-usage-ecc-nist-p256-key-agreement', instead: 'Signs.', reason: usage },
  { rule: 'kms-disabled-public-key', instead: 'Shows the public key.', reason: keyStates },
  { rule: 'kms-pending-deletion-public-key', instead: 'Shows the public key.', reason: keyStates },
  {
    rule: 'get-by-version-and-other-stage',
    instead: 'Ignores the stage.',
    reason: 'The reference: the two parameters must refer to the same secret version.',
  },
  {
    rule: 'no-value-get',
    instead: `Gives no error, and neither text nor bytes. ${emptyVersion}`,
    reason: firstIsCurrent,
  },
  { rule: 'no-value-describe', instead: emptyVersion, reason: firstIsCurrent },
  { rule: 'put-first-version', instead: `${emptyVersion} It becomes AWSPREVIOUS.`, reason: firstIsCurrent },
  {
    rule: 'put-first-version-pending',
    instead: `${emptyVersion} It stays AWSCURRENT.`,
    reason: 'The reference: AWSCURRENT is automatically attached to the first version that a put makes.',
  },
  {
    rule: 'token-names-first-version',
    instead: 'CreateSecret ignores the token.',
    reason: 'The reference: this value becomes the VersionId of the new version.',
  },
  {
    rule: 'token-too-short',
    instead: 'Takes it.',
    reason: 'The reference gives ClientRequestToken a minimum length of 32.',
  },
  {
    rule: 'token-too-long',
    instead: 'Takes it.',
    reason: 'The reference gives ClientRequestToken a maximum length of 64.',
  },
  {
    rule: 'token-same-value',
    instead: 'Makes the version anew, and current again.',
    reason: 'The reference: the operation is idempotent, the request is ignored.',
  },
  { rule: 'token-other-value', instead: 'Overwrites the version.', reason: immutable },
  {
    rule: 'token-other-value-changes-nothing',
    instead: 'Overwrites the version, and makes it current.',
    reason: immutable,
  },
  { rule: 'token-two-writers', instead: 'Both succeed, and the later value stays.', reason: immutable },
  { rule: 'put-pending-same-token', instead: 'Overwrites the version.', reason: immutable },
  {
    rule: 'put-keeps-young-versions',
    instead: 'Drops a version as soon as it has no label.',
    reason: 'The reference: Secrets Manager keeps all versions that were created in the last 24 hours.',
  },
  {
    rule: 'put-pending-again',
    instead: 'Leaves the label on both versions.',
    reason: 'The reference: a label that is on another version is removed from it.',
  },
  {
    rule: 'value-65537-bytes',
    instead: 'Takes it.',
    reason: 'The quotas page and the reference give a value a maximum of 65,536.',
  },
  {
    rule: 'remove-pending-from-current',
    instead: 'Drops AWSPENDING from a put that asks for AWSCURRENT too.',
    reason: 'The reference: the labels in VersionStages are attached to the version, and a version can have several.',
  },
  { rule: 'rotation-names-version', instead: rotationStub, reason: rotation },
  { rule: 'rotation-fills-version', instead: rotationStub, reason: rotation },
  {
    rule: 'rotation-blocked-by-pending',
    instead: 'Starts another rotation.',
    reason: 'The reference: it is taken for a rotation that is still in progress, and an error is returned.',
  },
  { rule: 'rotation-runs-function', instead: rotationStub, reason: rotation },
  { rule: 'rotation-retries', instead: rotationStub, reason: rotation },
  { rule: 'rotation-unknown-function', instead: 'Takes it.', reason: functionIsChecked },
  { rule: 'list-invalid-token', instead: 'Gives the first page.', reason: invalidToken },
  {
    rule: 'list-filter-name',
    instead: 'Does not regard the case.',
    reason: 'The reference: name, prefix match, case-sensitive.',
  },
  {
    rule: 'list-filter-not',
    instead: 'Takes the exclamation mark for a part of the value.',
    reason: 'The reference: a value with the prefix ! is a negation.',
  },
  { rule: 'list-sort-order', instead: 'Lists by name.', reason: sortOrder },
  {
    rule: 'invoke-function-error',
    instead: 'The errorType of every exception is Runtime.HandlerError.',
    reason: "The Developer Guide (Lambda function errors in Python): errorType is the exception's class.",
  },
  {
    rule: 'invoke-by-arn',
    instead: 'Takes the account id of a partial ARN for the name.',
    reason: 'The reference has the partial ARN, 123456789012:function:my-function, among the name formats.',
  },
  {
    rule: 'invoke-not-json',
    instead: 'Invokes the function.',
    reason: 'The reference gives InvalidRequestContentException to a request body that is not JSON.',
  },
  { rule: 'invoke-6-mb', instead: 'Takes it.', reason: payloadSize },
  { rule: 'invoke-event-1-mb', instead: 'Takes it.', reason: payloadSize },
];

const moto: readonly Omit<Deviation, 'emulator'>[] = [
  {
    rule: 'kms-sign-digest',
    instead: 'Ignores MessageType and hashes the digest again; no JWT library accepts the signature.',
    reason: 'The reference: when the value is DIGEST, KMS skips the hashing step.',
  },
  ...[31, 33, 64].map((length) => ({
    rule: `kms-sign-digest-of-${length}-bytes`,
    instead: 'Signs it, as a message.',
    reason: "The reference: the length must match the length of the signing algorithm's hash.",
  })),
  {
    rule: 'kms-sign-4096-bytes',
    instead: 'Signs RAW messages of any length.',
    reason: 'The reference gives Message a maximum length of 4,096 and says to send a digest of anything longer.',
  },
  ...[
    'kms-sign-es256-with-ecc-nist-p384',
    'kms-sign-es256-with-rsa-2048',
    'kms-sign-usage-symmetric-default-encrypt-decrypt',
    'kms-sign-usage-rsa-2048-encrypt-decrypt',
    'kms-sign-usage-ecc-nist-p256-key-agreement',
  ].map((rule) => ({ rule, instead: 'Answers ValidationException.', reason: usage })),
  { rule: 'kms-disabled-sign', instead: 'Signs.', reason: keyStates },
  { rule: 'kms-pending-deletion-sign', instead: 'Signs.', reason: keyStates },
  { rule: 'kms-disabled-public-key', instead: 'Shows the public key.', reason: keyStates },
  { rule: 'kms-pending-deletion-public-key', instead: 'Shows the public key.', reason: keyStates },
  {
    rule: 'kms-public-key-answer',
    instead: 'KeyId is the id, and KeySpec is missing.',
    reason: 'The reference: KeyId is the key ARN, and KeySpec is among the important information in the answer.',
  },
  {
    rule: 'secret-not-found-status',
    instead: 'HTTP 404.',
    reason: 'The reference gives ResourceNotFoundException the HTTP status code 400 in every operation.',
  },
  {
    rule: 'describe-versions',
    instead: 'Lists versions without labels too, with an empty list.',
    reason: 'The reference: a list of the versions of the secret that have staging labels attached.',
  },
  { rule: 'put-pending-same-token', instead: 'Overwrites the version.', reason: immutable },
  {
    rule: 'value-65537-bytes',
    instead: 'Takes it.',
    reason: 'The quotas page and the reference give a value a maximum of 65,536.',
  },
  ...['move-current', 'move-current-back'].map((rule) => ({
    rule,
    instead: 'Moves the label, but a read without a stage still gives the version that was current before.',
    reason: 'The reference: without a stage and a version, GetSecretValue returns the AWSCURRENT version.',
  })),
  ...['deleted-put', 'deleted-move'].map((rule) => ({
    rule,
    instead: 'Carries it out.',
    reason: 'The reference gives InvalidRequestException for a secret that is scheduled for deletion.',
  })),
  {
    rule: 'rotation-unknown-function',
    instead: 'Refuses it, and leaves an AWSPENDING version behind.',
    reason: functionIsChecked,
  },
  { rule: 'list-invalid-token', instead: 'Breaks down, with HTTP 500.', reason: invalidToken },
  { rule: 'list-sort-order', instead: 'Ignores it.', reason: sortOrder },
];

/** Every deviation there is: the run fails on one that is not listed here, and on one listed here that is no more. */
export const deviations: readonly Deviation[] = [
  ...miniStack.map((deviation) => ({ ...deviation, emulator: 'MiniStack' as const })),
  ...moto.map((deviation) => ({ ...deviation, emulator: 'moto' as const })),
];
