// A fresh process that does what Lambda's runtime does in a new container: imports the handler, and gives it one event.
// JavaScript, so that no part of its time is spent on taking types away.
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';

const [file, event] = process.argv.slice(2);
const now = () => performance.timeOrigin + performance.now();

const importingAt = now();
const { handler } = await import(file);
const loadedAt = now();
const context = {
  awsRequestId: '00000000-0000-4000-8000-000000000001',
  functionName: 'd1-token-broker',
  functionVersion: '$LATEST',
  invokedFunctionArn: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
  memoryLimitInMB: '256',
  getRemainingTimeInMillis: () => 30_000,
};
await handler(JSON.parse(event), context);
const answeredAt = now();
const { user, system } = process.cpuUsage();
// Descriptor 3 is the parent's: standard output is the function's log.
writeSync(3, JSON.stringify({ importingAt, loadedAt, answeredAt, cpuMilliseconds: (user + system) / 1000 }));
flushCompileCache();
// Lambda freezes the process here.
process.kill(process.pid, 'SIGKILL');
