import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudFormation } from '@aws-sdk/client-cloudformation';
import { DeleteItemCommand, DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { CreateKeyCommand, GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { CreateAliasCommand, type InvocationType, InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { CreateSecretCommand, GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SQSClient } from '@aws-sdk/client-sqs';
import { packageFleet } from '../../../infra/fleet/package-fleet.ts';
import { CallLog } from '../../../sandbox/calls.ts';
import { createCertificateAuthority } from '../../../sandbox/certificates.ts';
import { startD1Server } from '../../../sandbox/d1/server.ts';
import { createDynamoDbIndex, itemOf } from '../../../src/fleet/dynamodb-index.ts';
import type { IssuerFields } from '../../../src/fleet/issuer.ts';
import { aliasOf } from '../../../src/fleet/lookup.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { ensureVenv, requirementsIn } from '../../support/python-server.ts';
import { forMinistack } from '../ministack-deviations.ts';
import { readFleetTemplate } from './fleet-template.ts';
import { credentials, REGION, startMinistack } from './ministack.ts';
import { DeployedStack } from './stack.ts';

export const STAGE = 'fleettest';

export type DeployedFleet = Awaited<ReturnType<typeof deployFleet>>;

/** Whose certificate came with whose assertion. */
export interface Exchange {
  readonly issuerId: string;
  readonly certificate: string;
}

/** D1 for many issuers, each with a client certificate of its own, and a host beside it that takes calls and answers none. */
async function startD1OfMany() {
  const [serverAuthority, clientAuthority] = await Promise.all([
    createCertificateAuthority({ commonName: 'Fleet Test Server CA', clock: systemClock }),
    createCertificateAuthority({ commonName: 'Fleet Test Client CA', clock: systemClock }),
  ]);
  const exchanges: Exchange[] = [];
  const server = await startD1Server({
    clock: systemClock,
    calls: new CallLog(),
    serverCertificate: await serverAuthority.issue({
      commonName: 'localhost',
      usage: 'server',
      dnsNames: ['localhost'],
    }),
    clientCertificateAuthorityPem: clientAuthority.certificatePem,
    intercept: (request, next) => {
      const assertion = new URLSearchParams(request.body.toString()).get('assertion') ?? '';
      const claims = JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString());
      exchanges.push({ issuerId: claims.iss, certificate: request.handshake.clientCommonName });
      return next();
    },
  });
  const hanging = createServer(() => {}).listen(0, '127.0.0.1');
  await new Promise((resolve) => hanging.once('listening', resolve));
  const address = hanging.address();
  if (address === null || typeof address === 'string') throw new Error('A TCP server has a port.');

  return {
    server,
    exchanges,
    hangingUrl: `https://localhost:${address.port}/authz/v1`,
    async certificateOf(issuerId: string): Promise<string> {
      const client = await clientAuthority.issue({ commonName: `TLSMA-ECC/${issuerId}/PPR`, usage: 'client' });
      return JSON.stringify({
        certificate: client.certificatePem,
        private_key: client.privateKeyPem,
        ca_bundle: serverAuthority.certificatePem,
      });
    },
    close: async () => {
      hanging.close();
      await server.close();
    },
  };
}

/** What docs/many-issuers.md says, from nothing to a stack without issuers. */
export async function deployFleet() {
  const folder = await mkdtemp(join(tmpdir(), 'd1-token-fleet-'));
  const [ministack, d1, tools, code] = await Promise.all([
    startMinistack(folder),
    startD1OfMany(),
    ensureVenv('deploy-tools', requirementsIn(new URL('tools.requirements.txt', import.meta.url))),
    packageFleet(join(folder, 'package')),
  ]);
  const place = { region: REGION, endpoint: ministack.url, credentials };
  const s3 = new S3Client({ ...place, forcePathStyle: true });
  const kms = new KMSClient(place);
  const secretsManager = new SecretsManagerClient(place);
  const dynamoDb = new DynamoDBClient(place);
  const lambda = new LambdaClient(place);

  const bucket = 'bank-artifacts';
  const CodeKey = `d1-token-fleet/${code.zipSha256}.zip`;
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: CodeKey, Body: code.zip }));
  const stack = new DeployedStack({ cloudFormation: new CloudFormation(place), s3 }, `d1-token-fleet-${STAGE}`, bucket);
  const template = forMinistack(await readFleetTemplate(tools.python));
  const outputs = await stack.create(template, { CodeBucket: bucket, CodeKey, Stage: STAGE });
  const output = (name: string): string => {
    const value = outputs[name];
    if (value === undefined) throw new Error(`The stack has no output ${name}.`);
    return value;
  };
  const index = createDynamoDbIndex(dynamoDb, output('IssuersTableName'));

  /** An issuer's key, kid, certificate, secrets and alias; it is not in the index yet. */
  async function onboard(issuerId: string): Promise<IssuerFields> {
    const { KeyMetadata } = await kms.send(
      new CreateKeyCommand({
        KeySpec: 'ECC_NIST_P256',
        KeyUsage: 'SIGN_VERIFY',
        Tags: [{ TagKey: 'd1-token-broker', TagValue: STAGE }],
      }),
    );
    const keyArn = KeyMetadata?.Arn ?? '';
    const { PublicKey } = await kms.send(new GetPublicKeyCommand({ KeyId: keyArn }));
    d1.server.provisionIssuer({ issuerId, keyId: `kid-${issuerId}`, publicKey: PublicKey ?? new Uint8Array() });
    const names = { token: `d1/${issuerId}/access-token`, certificate: `d1/${issuerId}/client-certificate` };
    await secretsManager.send(new CreateSecretCommand({ Name: names.token, ClientRequestToken: randomUUID() }));
    await secretsManager.send(
      new CreateSecretCommand({ Name: names.certificate, SecretString: await d1.certificateOf(issuerId) }),
    );
    await lambda.send(
      new CreateAliasCommand({
        FunctionName: output('TokenFunctionName'),
        Name: aliasOf(issuerId),
        FunctionVersion: '$LATEST',
      }),
    );
    return {
      issuer_id: issuerId,
      key_id: `kid-${issuerId}`,
      environment: d1.server.baseUrl,
      signing_key_id: keyArn,
      token_secret_id: names.token,
      client_certificate_secret_id: names.certificate,
      audience: 'https://api.d1.thalescloud.io',
    };
  }

  /** @returns The function's answer, or what Lambda says of its error. */
  async function invoke(
    FunctionName: string,
    { as = lambda, how }: { as?: LambdaClient; how?: InvocationType } = {},
  ): Promise<{ answer: Record<string, unknown>; error: string | undefined }> {
    const command = { FunctionName, InvocationType: how, Payload: Buffer.from('{}') };
    const result = await as.send(new InvokeCommand(command));
    const text = Buffer.from(result.Payload ?? []).toString();
    return { answer: text === '' ? undefined : JSON.parse(text), error: result.FunctionError };
  }

  return {
    ministack,
    d1,
    place,
    index,
    output,
    onboard,
    invoke,
    queue: new SQSClient(place),
    put: (fields: IssuerFields) =>
      dynamoDb.send(new PutItemCommand({ TableName: output('IssuersTableName'), Item: itemOf(fields) })),
    remove: (issuerId: string) =>
      dynamoDb.send(
        new DeleteItemCommand({ TableName: output('IssuersTableName'), Key: { issuer_id: { S: issuerId } } }),
      ),
    /** @returns The issuer in the record that the secret holds; `undefined` while it holds none. */
    async storedIssuer(issuerId: string): Promise<unknown> {
      const { SecretString } = await secretsManager.send(
        new GetSecretValueCommand({ SecretId: `d1/${issuerId}/access-token` }),
      );
      return JSON.parse(SecretString || '{}').issuer_id;
    },
    async close() {
      await Promise.all([ministack.close(), d1.close()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
