import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { awsFailure } from '../shared/aws-failure.ts';
import type { Clock } from '../shared/clock.ts';
import { type AccessToken, readAccessToken } from './access-token.ts';
import type { AwsClient } from './aws-client.ts';
import { type ReaderErrorCode, TokenReaderError } from './reader-error.ts';
import type { ServerClock } from './server-clock.ts';

/** One GetSecretValue, whose answer also tells what time it is at AWS. */
export async function readSecretText(
  { client, secretId, clock, time }: { client: AwsClient; secretId: string; clock: Clock; time: ServerClock },
  signal: AbortSignal,
): Promise<string | undefined> {
  const command = new GetSecretValueCommand({ SecretId: secretId });
  const sentAt = clock.now();
  command.middlewareStack.add(
    (next) => async (input) => {
      const result = await next(input);
      time.observe(dateOf(result.response), sentAt, clock.now());
      return result;
    },
    { step: 'deserialize', name: 'd1TokenReaderDate' },
  );
  const value = (await client.send(command, { abortSignal: signal })) as { SecretString?: unknown } | undefined;
  return typeof value?.SecretString === 'string' ? value.SecretString : undefined;
}

function dateOf(response: unknown): number {
  const headers = (response as { headers?: Record<string, unknown> } | undefined)?.headers;
  return Date.parse(String(headers?.['date']));
}

/**
 * Reads the text of the token secret as a token.
 *
 * @throws TokenReaderError TOKEN_SECRET_EMPTY or TOKEN_SECRET_MALFORMED, which name a field at most.
 */
export function tokenFromSecret(secretId: string, text: string | undefined): AccessToken {
  if (text === undefined || text.trim() === '') {
    throw new TokenReaderError({
      code: 'TOKEN_SECRET_EMPTY',
      what: `The token secret ${secretId} holds no token${text === undefined ? ': it has no text' : ' yet'}.`,
      remedy: "Check that secretId names the broker's token secret, and that the broker has run.",
      retryable: true,
    });
  }
  const result = readAccessToken(text);
  if ('token' in result) return result.token;
  throw new TokenReaderError({
    code: 'TOKEN_SECRET_MALFORMED',
    what: `The token secret ${secretId} does not hold a token record: ${result.why}.`,
    remedy: "Check that secretId names the broker's token secret, and who else writes to it.",
    retryable: false,
  });
}

/** By the name that the endpoint gave: a Map, because `constructor` must not find what every object has. */
const advice: ReadonlyMap<string, { code: ReaderErrorCode; remedy: string }> = new Map(
  Object.entries({
    AccessDeniedException: {
      code: 'TOKEN_SECRET_DENIED' as const,
      remedy:
        "Allow this function's role secretsmanager:GetSecretValue on the token secret, and kms:Decrypt on its key.",
    },
    CredentialsProviderError: {
      code: 'TOKEN_SECRET_DENIED' as const,
      remedy: 'Give this process AWS credentials.',
    },
    DecryptionFailure: {
      code: 'TOKEN_SECRET_DENIED' as const,
      remedy: "Check that the secret's KMS key is enabled, and allow this function's role kms:Decrypt on it.",
    },
    RegionMissing: {
      code: 'TOKEN_SECRET_UNREADABLE' as const,
      remedy: 'Set AWS_REGION, or give a secretsManager client with a region.',
    },
    InvalidRequestException: {
      code: 'TOKEN_SECRET_MISSING' as const,
      remedy: 'The secret is scheduled for deletion: restore it, or name the one that replaced it.',
    },
    ResourceNotFoundException: {
      code: 'TOKEN_SECRET_MISSING' as const,
      remedy: 'Check secretId, the account and the Region, and that the broker has stored its first token.',
    },
  }),
);

/** A failed GetSecretValue on the token secret, with its code and what to do about it. */
export function secretFailure(secretId: string, thrown: unknown): TokenReaderError {
  if (TokenReaderError.is(thrown)) return thrown;
  const failure = awsFailure(thrown);
  const known = advice.get(failure.name);
  return new TokenReaderError({
    code: known?.code ?? 'TOKEN_SECRET_UNREADABLE',
    what: `The token secret ${secretId} could not be read: ${failure.summary}.`,
    remedy: known?.remedy ?? 'Check that Secrets Manager can be reached from here and is not throttling this account.',
    retryable: known ? false : failure.retryable,
  });
}

export const secretTooLate = (secretId: string, milliseconds: number): TokenReaderError =>
  new TokenReaderError({
    code: 'TOKEN_SECRET_UNREADABLE',
    what: `The token secret ${secretId} could not be read: no answer within ${milliseconds} ms.`,
    remedy: 'Check that Secrets Manager can be reached from here: a subnet without internet needs a VPC endpoint.',
    retryable: true,
  });
