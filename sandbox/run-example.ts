// `npm run example NAME`: one of the TypeScript examples as it stands, with the sandbox for AWS and D1.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ISSUER_ID } from './sandbox.ts';
import { startSandboxWithToken } from './with-token.ts';

const programs: Readonly<Record<string, string>> = {
  'typescript-lambda': invoking('typescript-lambda'),
  'powertools-lambda': invoking('powertools-lambda'),
  container: `process.argv.push('main.ts', ${JSON.stringify(ISSUER_ID)}); await import('./container/main.ts');`,
};

/** What Lambda does with a handler, twice: the second invocation finds the token in memory. */
function invoking(name: string): string {
  return `
    import { handler } from './${name}/handler.ts';
    const context = { getRemainingTimeInMillis: () => 10_000, awsRequestId: '1', functionName: ${JSON.stringify(name)} };
    for (const _ of [1, 2]) console.log(JSON.stringify(await handler({ issuerId: ${JSON.stringify(ISSUER_ID)} }, context)));
  `;
}

const program = programs[process.argv[2] ?? ''];
if (program === undefined) {
  console.error(`npm run example ${Object.keys(programs).join(' | ')}`);
  process.exit(2);
}
const { sandbox } = await startSandboxWithToken();
try {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: join(import.meta.dirname, '../examples'),
    env: { ...process.env, D1_API_ORIGIN: sandbox.d1.origin },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  [process.exitCode] = await once(child, 'exit');
} finally {
  await sandbox.close();
}
