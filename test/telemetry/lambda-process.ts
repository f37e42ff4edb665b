/**
 * A process that stands for Lambda: it loads the real src/handler.ts, once for each container that the test asks for, and
 * sends it events. What the broker writes goes to standard output and standard error; answers, which may hold a token,
 * go to the test over IPC. Like Lambda's runtime, it writes an error that an invocation ends with to standard error, in one line.
 */
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import type { Context } from 'aws-lambda';
import { type Invoked, type Order, tell } from './lambda.ts';

process.on('message', async (order: Order) => {
  if ('say' in order) {
    process.stdout.write(`${order.say}\n`);
    process.stderr.write(`${order.say}\n`);
    process.send?.([]);
    return;
  }
  for (const variable of Object.keys(process.env))
    if (/^(AWS_|D1_|HTTPS_PROXY$)/.test(variable)) delete process.env[variable];
  Object.assign(process.env, order.environment);
  const { handler }: typeof import('../../src/handler.ts') = await import(
    `../../src/handler.ts?container=${randomUUID()}`
  );
  const invoked: Invoked[] = [];
  for (const event of order.events) {
    const context = {
      awsRequestId: randomUUID(),
      functionName: 'd1-token-broker',
      getRemainingTimeInMillis: () => order.remainingMilliseconds,
    } as Context;
    try {
      await handler(event, context);
      invoked.push({ code: 'ok', told: '' });
    } catch (error) {
      process.stderr.write(`${JSON.stringify({ ended_with: inspect(error) })}\n`);
      invoked.push({ code: error instanceof Error ? error.name : typeof error, told: tell(error) });
    }
  }
  process.send?.(invoked);
});
