interface OpenQuestion {
  readonly question: string;
  readonly documents: string;
  /** Why the answer does not matter here. */
  readonly product: string;
}

/** What AWS documents contradict each other about, or say nothing about: no rule, and the product lives with every answer. */
export const notReliedOn: readonly OpenQuestion[] = [
  {
    question: 'Does moving AWSCURRENT to the pending version take AWSPENDING off it?',
    documents:
      'The User Guide (Lambda rotation functions, finishSecret) says that it does; RotateSecret says that the label may be on the current version or on none; recordings of AWS show it still there.',
    product: 'Looks after the move, and takes the label off if it is there. The sandbox does both, on request.',
  },
  {
    question: 'At which number of versions does a put fail?',
    documents:
      'Versions of the last 24 hours are never removed, the quota is about 100, and one put per 10 minutes, which is 144 a day, is allowed.',
    product:
      'Puts once in ten minutes unless it is forced to, and has an error code for LimitExceededException, whenever it comes.',
  },
  {
    question:
      'Which error refuses a wrong RemoveFromVersionId, or a version id and a stage that do not belong together?',
    documents: 'The operation fails; which of its errors it is, no document says.',
    product:
      'Takes InvalidParameterException and InvalidRequestException of a move alike, and asks for a version and a stage together only after DescribeSecret has shown both on one version.',
  },
  {
    question: 'Which error refuses a value that is too long?',
    documents: 'The operations list InvalidParameterException; the constraint itself names no error.',
    product: 'Reports any refused put.',
  },
  {
    question: 'Are the 65,536 of a value bytes or characters?',
    documents: 'The quotas page says bytes, the API Reference gives a length of the string.',
    product: 'A token record is ASCII, and a small part of that.',
  },
  {
    question: 'Does a rotation of a secret without a value make its first version AWSCURRENT at once?',
    documents:
      'PutSecretValue gives AWSCURRENT to the first version of a secret; a rotation names a version before the put, and whether that one counts is not said.',
    product: 'A step that finds its version current already has nothing left to do but to take AWSPENDING off.',
  },
  {
    question: 'When can a pending value be read after it was put?',
    documents: 'No time is given.',
    product: 'Tries five times within 3 seconds, then fails the step, which Secrets Manager repeats.',
  },
  {
    question: 'How often, and when, does Secrets Manager repeat a rotation of which a step has failed?',
    documents: '"Multiple times"; no count and no time is given.',
    product: 'Every step can be repeated, whatever the ones before it came to. `npm run sandbox` repeats four times.',
  },
  {
    question: 'Does the filter description of ListSecrets match words in the middle?',
    documents: 'The reference says prefix match; the maintainers of moto have seen AWS look for words.',
    product: 'Lists nothing. The sandbox does as the reference says.',
  },
  {
    question: 'In which order does ListSecrets list without SortOrder?',
    documents: 'By CreatedDate; in which direction is not said.',
    product: 'Lists nothing.',
  },
  {
    question: 'Is DeletedDate the date of the request, or of the deletion?',
    documents:
      '"The date the secret is scheduled for deletion" can be read both ways; "some time after the deleted date" it is deleted.',
    product: 'Does not read it.',
  },
  {
    question:
      'Which error refuses a move to a version that does not exist, or taking AWSCURRENT off without a new holder?',
    documents: 'Not said.',
    product: 'Does neither.',
  },
  {
    question: 'Is a secret without versions described with an empty VersionIdsToStages, or without the member?',
    documents: 'DescribeSecret only returns fields that have a value; whether an empty map is one is not said.',
    product: 'Takes both.',
  },
  {
    question: 'Is InternalServiceError HTTP 500 or 400?',
    documents: 'Common Errors has said 400, and says 500; the SDKs call it the fault of the server.',
    product: 'Reports it either way; the hint that it may be repeated goes by the status.',
  },
  {
    question: 'Does every answer have a request id?',
    documents: 'The services answer with one; no reference promises it, and in the SDK it is optional.',
    product: 'Adds it to an error when there is one.',
  },
  {
    question: 'Which of two errors refuses to use a key that is pending deletion?',
    documents:
      'The key state table gives Sign and GetPublicKey "[2] or [3]": DisabledException or KMSInvalidStateException.',
    product: 'Has a remedy for each.',
  },
  {
    question: 'May a message be empty?',
    documents: 'The description of Message says 0 to 4,096 bytes, its constraint at least 1.',
    product: 'Signs digests of 32 bytes.',
  },
  {
    question: 'Which error refuses the ARN of another Region or account, or something that looks like no key at all?',
    documents:
      'GetPublicKey and DescribeKey list InvalidArnException beside NotFoundException; Sign lists only the latter.',
    product: 'Reports any refused signature.',
  },
  {
    question: 'When does a change to a key or an alias take effect?',
    documents: 'KMS is eventually consistent, and gives no time.',
    product: 'Changes neither. A replaced signing key overlaps with the old one until Thales has its public key.',
  },
];
