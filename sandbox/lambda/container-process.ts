import type { FromContainer, ToContainer } from './messages.ts';

// The inside of a container: a process that imports the bundled handler and feeds it events, as Lambda's runtime does.

const [bundle] = process.argv.slice(2);
if (bundle === undefined) throw new Error('Usage: container-process.ts BUNDLE');

const realNow = Date.now;
let ahead = 0;
Date.now = () => realNow() + ahead;

const { handler } = await import(bundle);
const tell = (message: FromContainer) => process.send?.(message);

process.on('message', async (message: ToContainer) => {
  if (message.type === 'advance') {
    ahead += message.milliseconds;
    return;
  }
  const { id, event, timeoutMilliseconds } = message;
  const until = realNow() + timeoutMilliseconds;
  const context = {
    awsRequestId: `00000000-0000-4000-8000-${String(id).padStart(12, '0')}`,
    functionName: 'd1-token-broker',
    functionVersion: '$LATEST',
    invokedFunctionArn: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
    memoryLimitInMB: '256',
    getRemainingTimeInMillis: () => until - realNow(),
  };
  try {
    tell({ type: 'answer', id, answer: await handler(event, context) });
  } catch (error) {
    const { name, message: text, stack } = error instanceof Error ? error : new Error('not an Error');
    tell({ type: 'error', id, error: { errorType: name, errorMessage: text, trace: stack?.split('\n') ?? [] } });
  }
});
process.on('disconnect', () => process.exit());
tell({ type: 'ready' });
