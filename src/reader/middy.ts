import type { MiddlewareObj } from '@middy/core';
import { createTokenReader, type TokenReader, type TokenReaderOptions } from './reader.ts';

/** What is left of the invocation for saying that no token came: later, Lambda ends it without a word. */
const TO_ANSWER_MILLISECONDS = 500;

export interface D1TokenOptions extends TokenReaderOptions {
  /**
   * Whether the handler waits for a token: `true` unless told. Then a handler that runs has one in memory, and an
   * invocation that can get none fails before it has done anything.
   */
  readonly waitForToken?: boolean | undefined;
}

/**
 * Lambda's context with the reader in it. As `Context` of `@types/aws-lambda`, which need not be installed (AWS Lambda
 * Developer Guide, "Using the Lambda context object to retrieve Node.js function information").
 */
export interface D1Context {
  d1: TokenReader;
  callbackWaitsForEmptyEventLoop: boolean;
  functionName: string;
  functionVersion: string;
  invokedFunctionArn: string;
  memoryLimitInMB: string;
  awsRequestId: string;
  logGroupName: string;
  logStreamName: string;
  getRemainingTimeInMillis(): number;
  /** @deprecated Node.js 0.10 had it. */
  done(error?: Error, result?: unknown): void;
  /** @deprecated Node.js 0.10 had it. */
  fail(error: Error | string): void;
  /** @deprecated Node.js 0.10 had it. */
  succeed(messageOrObject: unknown): void;
  /** @deprecated Node.js 0.10 had it. */
  succeed(message: string, object: unknown): void;
}

/**
 * A Middy middleware that puts a token reader into the context, as `context.d1`. The reader is made once, with the
 * middleware, and serves all invocations of the container.
 *
 * @param options Those of `createTokenReader`, or a reader that is there already.
 * @throws TokenReaderError READER_OPTIONS_INVALID now. In the invocation what `token` throws; TOKEN_WAIT_TIMED_OUT half a
 * second before the invocation's time is over.
 *
 * @example
 * export const handler = middy().use(d1Token({ secretId: process.env.D1_TOKEN_SECRET_ID })).handler(lambdaHandler);
 */
export function d1Token(
  options: D1TokenOptions | { readonly reader: TokenReader; readonly waitForToken?: boolean | undefined },
): MiddlewareObj<unknown, unknown, Error, D1Context> {
  const { waitForToken = true, ...rest } = options;
  const reader = 'reader' in rest ? rest.reader : createTokenReader(rest);
  return {
    before: async ({ context }) => {
      context.d1 = reader;
      if (!waitForToken) return;
      const timeoutMilliseconds = Math.max(0, context.getRemainingTimeInMillis() - TO_ANSWER_MILLISECONDS);
      await reader.token({ timeoutMilliseconds });
    },
  };
}
