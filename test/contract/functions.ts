import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CreateFunctionCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import type { LambdaFunction } from '../../sandbox/aws/lambda.ts';
import type { RotationEvent } from '../../sandbox/aws/secrets-manager/rotation.ts';

// The functions that the rules invoke, and have invoked.

/** `echoFunction` for the sandbox. */
export const echo: LambdaFunction = async (event) => {
  const { fail } = Object(event) as { readonly fail?: unknown };
  if (fail !== undefined) throw Object.assign(new Error(String(fail)), { name: 'NotDone' });
  return event;
};

/** The same for an emulator that runs Python. */
const echoInPython = `
class NotDone(Exception):
    pass

def handler(event, context):
    if isinstance(event, dict) and "fail" in event:
        raise NotDone(event["fail"])
    return event
`;

/** @param python Path of an interpreter: its library makes the ZIP file. */
export async function createEchoFunction(lambda: LambdaClient, python: string): Promise<void> {
  const program = `
import base64, io, sys, zipfile
file = io.BytesIO()
with zipfile.ZipFile(file, "w") as archive:
    archive.writestr("echo.py", sys.argv[1])
print(base64.b64encode(file.getvalue()).decode())`;
  const { stdout } = await promisify(execFile)(python, ['-c', program, echoInPython]);
  await lambda.send(
    new CreateFunctionCommand({
      FunctionName: 'echo',
      Runtime: 'python3.12',
      Handler: 'echo.handler',
      Role: 'arn:aws:iam::000000000000:role/echo',
      Code: { ZipFile: Buffer.from(stdout, 'base64') },
    }),
  );
}

/** A rotation function whose new value is `rotated`; its first `failures` testSecret steps fail. */
export function createRotator(
  secretsManager: (operation: string, input: Record<string, unknown>) => Promise<Record<string, unknown>>,
  failures: number,
): LambdaFunction {
  let failed = 0;
  return async (event) => {
    const { Step, SecretId, ClientRequestToken } = event as RotationEvent;
    if (Step === 'createSecret') {
      const input = { SecretId, ClientRequestToken, SecretString: 'rotated', VersionStages: ['AWSPENDING'] };
      await secretsManager('PutSecretValue', input);
    }
    if (Step === 'testSecret' && failed < failures) {
      failed += 1;
      throw new Error('not yet');
    }
    if (Step === 'finishSecret') {
      const { VersionId } = await secretsManager('GetSecretValue', { SecretId });
      const move = { SecretId, VersionStage: 'AWSCURRENT', MoveToVersionId: ClientRequestToken };
      await secretsManager('UpdateSecretVersionStage', { ...move, RemoveFromVersionId: VersionId });
    }
  };
}
