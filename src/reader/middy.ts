import type { MiddlewareObj } from '@middy/core';
import type { Context } from 'aws-lambda';
import { createTokenReader, type TokenReader, type TokenReaderOptions } from './reader.ts';

export interface D1TokenOptions extends TokenReaderOptions {
  /**
   * Whether the handler waits for a token: `true` unless told. Then a handler that runs has one in memory, and an
   * invocation that can get none fails before it has done anything.
   */
  readonly waitForToken?: boolean | undefined;
}

/** Lambda's context with the reader in it. */
export type D1Context = Context & { d1: TokenReader };

/**
 * A Middy middleware that puts a token reader into the context, as `context.d1`. The reader is made once, with the
 * middleware, and serves all invocations of the container.
 *
 * @param options Those of `createTokenReader`, or a reader that is there already.
 * @throws TokenReaderError READER_OPTIONS_INVALID now; what `token` throws, in the invocation.
 */
export function d1Token(
  options: D1TokenOptions | { readonly reader: TokenReader; readonly waitForToken?: boolean | undefined },
): MiddlewareObj<unknown, unknown, Error, D1Context> {
  const { waitForToken = true, ...rest } = options;
  const reader = 'reader' in rest ? rest.reader : createTokenReader(rest);
  return {
    before: async ({ context }) => {
      context.d1 = reader;
      if (waitForToken) await reader.token();
    },
  };
}
