import type { LambdaClient } from '@aws-sdk/client-lambda';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import type { Agent, fetch as undiciFetch } from 'undici';
import { describe, expectTypeOf, it } from 'vitest';
import { type D1Context, d1Token } from '../../src/reader/middy.ts';
import {
  type AccessToken,
  createTokenReader,
  type D1Environment,
  type ReaderErrorCode,
  type TokenOptions,
  type TokenReader,
  type TokenReaderError,
  type TokenReaderOptions,
} from '../../src/reader/reader.ts';
import schema from '../../src/shared/token-record.schema.json' with { type: 'json' };

// The compiler checks this file (`npm run typecheck`); nothing in it runs but the wrapping.

describe('the reader, as the compiler sees it', () => {
  it('has options for one call, and one environment', () => {
    expectTypeOf<TokenReader['token']>().parameter(0).toEqualTypeOf<TokenOptions | undefined>();
    expectTypeOf<TokenReader['check']>().returns.resolves.toBeVoid();
    expectTypeOf<D1Environment>().toEqualTypeOf<'production' | 'staging' | 'develop'>();
    // @ts-expect-error A typing mistake is not an option.
    ({ token }: TokenReader) => token({ minRemainingSecond: 5 });
  });

  it('takes an environment variable as it comes, and a client of the SDK', () => {
    expectTypeOf<{ secretId: string | undefined }>().toExtend<TokenReaderOptions>();
    expectTypeOf<SecretsManagerClient>().toExtend<NonNullable<TokenReaderOptions['secretsManager']>>();
    expectTypeOf<LambdaClient>().toExtend<NonNullable<TokenReaderOptions['lambda']>>();
    expectTypeOf<Agent>().toExtend<NonNullable<TokenReaderOptions['dispatcher']>>();
    expectTypeOf<typeof undiciFetch>().toExtend<TokenReaderOptions['fetch']>();
    expectTypeOf(createTokenReader).returns.toEqualTypeOf<TokenReader>();
    // @ts-expect-error The secret must be named.
    expectTypeOf<Record<never, never>>().toExtend<TokenReaderOptions>();
    // @ts-expect-error A typing mistake is not an option.
    () => createTokenReader({ secretId: '', minRemainingSecond: 5 });
  });

  it('has the standard signature of fetch', () => {
    expectTypeOf<TokenReader['fetch']>().toExtend<typeof globalThis.fetch>();
    expectTypeOf<TokenReader['fetch']>().returns.resolves.toEqualTypeOf<Response>();
  });

  it('hands out a record that cannot be written to', () => {
    expectTypeOf<TokenReader['token']>().returns.resolves.toEqualTypeOf<AccessToken>();
    expectTypeOf<AccessToken['access_token']>().toBeString();
    expectTypeOf<AccessToken['expires_at']>().toBeNumber();
    expectTypeOf<AccessToken['scope']>().toEqualTypeOf<string | undefined>();
    // @ts-expect-error A misspelt field would send "Bearer undefined".
    (token: AccessToken) => token.acess_token;
    // @ts-expect-error Nor does the broker's own bookkeeping concern a consumer.
    (token: AccessToken) => token['forced_writes_settled_at'];
    expectTypeOf<keyof AccessToken>().toEqualTypeOf<
      Exclude<keyof typeof schema.properties, 'forced_writes_settled_at'> | 'answered_at'
    >();
    expectTypeOf<AccessToken['schema_version']>().toEqualTypeOf<1>();
    // @ts-expect-error It is read-only.
    (token: AccessToken) => (token.access_token = 'mine');
  });

  it('has a closed list of error codes, over which a switch is complete', () => {
    const advice = (code: ReaderErrorCode): 'mine' | 'theirs' => {
      switch (code) {
        case 'READER_OPTIONS_INVALID':
        case 'REQUEST_INVALID':
        case 'ORIGIN_NOT_ALLOWED':
          return 'mine';
        case 'TOKEN_SECRET_MISSING':
        case 'TOKEN_SECRET_EMPTY':
        case 'TOKEN_SECRET_MALFORMED':
        case 'TOKEN_SECRET_DENIED':
        case 'TOKEN_SECRET_UNREADABLE':
        case 'TOKEN_EXPIRED':
        case 'TOKEN_WAIT_TIMED_OUT':
        case 'BROKER_CLIENT_MISSING':
        case 'BROKER_DENIED':
        case 'BROKER_FAILED':
        case 'BROKER_UNREACHABLE':
        case 'CLIENT_CERTIFICATE_UNAVAILABLE':
        case 'SECRETS_EXTENSION_FAILED':
          return 'theirs';
      }
    };
    expectTypeOf(advice).returns.toEqualTypeOf<'mine' | 'theirs'>();
    expectTypeOf<TokenReaderError['code']>().toEqualTypeOf<ReaderErrorCode>();
    expectTypeOf<TokenReaderError['cause']>().toBeUnknown();
  });

  it("is in Middy's context, beside what Lambda puts there", () => {
    const handler = (reader: TokenReader) =>
      middy<{ issuerId: string }>()
        .use(d1Token({ reader }))
        .handler(async (event, context) => {
          expectTypeOf(event.issuerId).toBeString();
          expectTypeOf(context.d1).toEqualTypeOf<TokenReader>();
          expectTypeOf(context).toExtend<Context>();
          expectTypeOf<Context & { d1: TokenReader }>().toExtend<D1Context>();
          expectTypeOf<D1Context>().toExtend<Context>();
          // @ts-expect-error It is no `any`, with @types/aws-lambda or without.
          context.d1.tokens();
        });
    expectTypeOf(handler).toBeFunction();
  });
});
