import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { REGION } from './ministack.ts';

/**
 * Runs a script with JSON on its standard input, and reads JSON from its output.
 *
 * @throws Error with what it wrote to standard error, when it fails.
 */
export async function runPython(
  python: string,
  script: string,
  input: unknown,
  {
    url,
    credentials,
  }: { url: string; credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } },
): Promise<unknown> {
  const child = spawn(python, [script], {
    env: {
      AWS_ENDPOINT_URL: url,
      AWS_REGION: REGION,
      AWS_DEFAULT_REGION: REGION,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      ...(credentials.sessionToken && { AWS_SESSION_TOKEN: credentials.sessionToken }),
    },
  });
  child.stdin.end(JSON.stringify(input));
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.once('close', resolve)),
  ]);
  if (code !== 0 || stderr !== '') throw new Error(`${script} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}
