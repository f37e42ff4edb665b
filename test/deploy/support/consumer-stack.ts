import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import esbuildOptions from '../../../infra/bundle/esbuild.config.js';
import { CONSUMER_ROLE } from './deployment.ts';
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

/** A bank's own stack: one function, whose role holds the broker's policies to read token and client certificate, and no other. */
export function consumerTemplate({
  broker,
  bucket,
  zipKey,
  issuerUrl,
}: {
  broker: Outputs;
  bucket: string;
  zipKey: string;
  issuerUrl: string;
}): Template {
  return {
    Resources: {
      ConsumerRole: {
        Type: 'AWS::IAM::Role',
        Properties: {
          RoleName: CONSUMER_ROLE,
          ManagedPolicyArns: [broker['TokenReaderPolicyArn'], broker['ClientCertificateReaderPolicyArn']],
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
          Code: { S3Bucket: bucket, S3Key: zipKey },
          Environment: {
            Variables: {
              D1_TOKEN_SECRET_ID: broker['TokenSecretArn'],
              D1_CLIENT_CERTIFICATE_SECRET_ID: broker['ClientCertificateSecretArn'],
              D1_ISSUER_URL: issuerUrl,
            },
          },
        },
      },
    },
    Outputs: {
      FunctionName: { Value: { Ref: 'ConsumerFunction' } },
      RoleArn: { Value: { 'Fn::GetAtt': ['ConsumerRole', 'Arn'] } },
    },
  };
}
