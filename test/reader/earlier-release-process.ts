import type { Context } from 'aws-lambda';

/** What an event came to; the two fields of a failure are those of Lambda's report. */
export type Ended = { readonly answer: unknown } | { readonly errorType: string; readonly errorMessage: string };

type Handler = (event: unknown, context: Context) => Promise<unknown>;

// A Lambda container of an earlier release, configured by its environment alone. Answers, which hold a token, go over IPC.
const bundle = new URL('fixtures/broker-before-newer-than.mjs', import.meta.url);
const { handler } = (await import(bundle.href)) as { handler: Handler };
const context = { functionName: 'd1-token-broker', getRemainingTimeInMillis: () => 60_000 } as Context;

process.on('message', async (event) => {
  const ended: Ended = await handler(event, context).then(
    (answer) => ({ answer }),
    ({ name, message }: Error) => ({ errorType: name, errorMessage: message }),
  );
  process.send?.(ended);
});
