import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import esbuildOptions from '../../../esbuild.config.js';
import { ACCOUNT_ID } from './ministack.ts';
import type { Outputs, Template } from './package-service.ts';

/** Bundles and zips the consumer, with the other options of the broker's own bundle. */
export async function packageConsumer(python: string, folder: string): Promise<Buffer> {
  await build({
    ...esbuildOptions(),
    // One file, as most people's bundles.
    splitting: false,
    sourcemap: false,
    entryPoints: { index: fileURLToPath(new URL('../consumers/reader-function.ts', import.meta.url)) },
    outdir: folder,
    logLevel: 'error',
  });
  const zipFile = join(folder, 'consumer.zip');
  await promisify(execFile)(python, ['-m', 'zipfile', '-c', zipFile, join(folder, 'index.mjs')]);
  return readFile(zipFile);
}

/** A bank's own stack: one function, whose role holds the broker's policy token-reader and nothing else. */
export function consumerTemplate({ broker, zipKey }: { broker: Outputs; zipKey: string }): Template {
  return {
    Resources: {
      ConsumerRole: {
        Type: 'AWS::IAM::Role',
        Properties: {
          RoleName: 'consumer',
          ManagedPolicyArns: [broker['TokenReaderPolicyArn']],
          AssumeRolePolicyDocument: {
            Version: '2012-10-17',
            Statement: [
              {
                Effect: 'Allow',
                // The account: the script in Python runs outside Lambda, and takes the role on.
                Principal: {
                  Service: 'lambda.amazonaws.com',
                  AWS: `arn:aws:iam::${ACCOUNT_ID}:root`,
                },
                Action: 'sts:AssumeRole',
              },
            ],
          },
        },
      },
      ConsumerFunction: {
        Type: 'AWS::Lambda::Function',
        Properties: {
          FunctionName: 'consumer',
          Runtime: 'nodejs24.x',
          Handler: 'index.handler',
          Timeout: 30,
          Role: { 'Fn::GetAtt': ['ConsumerRole', 'Arn'] },
          Code: { S3Bucket: broker['ServerlessDeploymentBucketName'], S3Key: zipKey },
          Environment: { Variables: { TOKEN_SECRET_ARN: broker['TokenSecretArn'] } },
        },
      },
    },
    Outputs: {
      FunctionName: { Value: { Ref: 'ConsumerFunction' } },
      RoleArn: { Value: { 'Fn::GetAtt': ['ConsumerRole', 'Arn'] } },
    },
  };
}
