import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudFormation } from '@aws-sdk/client-cloudformation';
import { IAMClient } from '@aws-sdk/client-iam';
import { GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import {
  GetSecretValueCommand,
  PutResourcePolicyCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import type { Clients } from '../../../src/cli/frame/clients.ts';
import { readStack } from '../../../src/cli/frame/stage.ts';
import { updateStack } from '../../../src/cli/frame/update-stack.ts';
import { parseTokenRecord } from '../../../src/shared/token-record.ts';
import { ensureVenv, requirementsIn } from '../../support/python-server.ts';
import { forMinistack, policyForMinistack } from '../ministack-deviations.ts';
import { ISSUER_ID, KEY_ID, startD1 } from './d1.ts';
import { ACCOUNT_ID, credentials, REGION, startMinistack } from './ministack.ts';
import { packageService, type ServicePackage } from './package-service.ts';
import { resolver } from './resolved.ts';
import { DeployedStack, outputsOf, type StackParameters } from './stack.ts';

export const STAGE = 'deploytest';
/** What a bank's own stack calls its role: infra/params.yml names it before the role is there. */
export const CONSUMER_ROLE = 'consumer';
export const CONSUMER_ROLE_ARN = `arn:aws:iam::${ACCOUNT_ID}:role/${CONSUMER_ROLE}`;
export const STACK = `d1-token-broker-${STAGE}`;

export type Deployment = Awaited<ReturnType<typeof deploy>>;

/** How a bank departs from docs/deploy.md: docs/landing-zone.md. */
export interface LandingZone {
  readonly parameters: Readonly<Record<string, string>>;
  /** @returns Credentials of whoever deploys, which the account's root makes. */
  readonly deployer: (iam: IAMClient) => Promise<{ accessKeyId: string; secretAccessKey: string }>;
}

/** What a bank does, from nothing to the first token, and Thales' part of it. docs/deploy.md is the same in words. */
export async function deploy(zone?: LandingZone) {
  const folder = await mkdtemp(join(tmpdir(), 'd1-token-broker-deploy-'));
  const [ministack, d1, tools] = await Promise.all([
    startMinistack(folder),
    startD1(),
    ensureVenv('deploy-tools', requirementsIn(new URL('tools.requirements.txt', import.meta.url))),
  ]);
  const place = { region: REGION, endpoint: ministack.url, credentials };
  const asDeployer = { ...place, ...(zone && { credentials: await zone.deployer(new IAMClient(place)) }) };
  const cloudFormation = new CloudFormation(asDeployer);
  const s3 = new S3Client({ ...asDeployer, forcePathStyle: true });
  const kms = new KMSClient(place);
  const secretsManager = new SecretsManagerClient(place);
  const lambda = new LambdaClient(place);

  const parameters = {
    issuerId: ISSUER_ID,
    keyId: KEY_ID,
    environment: d1.server.baseUrl,
    onboarded: 'true',
    criticalTopicArn: `arn:aws:sns:${REGION}:${ACCOUNT_ID}:critical`,
    warningTopicArn: `arn:aws:sns:${REGION}:${ACCOUNT_ID}:warning`,
    certificateReaders: CONSUMER_ROLE_ARN,
    ...zone?.parameters,
  };
  const pack = (name: string, changes: Readonly<Record<string, string>> = {}, stage = STAGE) =>
    packageService(join(folder, name), { stage, parameters: { ...parameters, ...changes } });
  const upload = (Bucket: string | undefined, Key: string, Body: Buffer) =>
    s3.send(new PutObjectCommand({ Bucket, Key, Body }));

  // As whoever has no osls does it: the zip into a bucket of the bank's own, under a name that changes with the code.
  const bucket = 'bank-artifacts';
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  async function placed({ zip, zipSha256 }: ServicePackage): Promise<StackParameters> {
    const code = { CodeBucket: bucket, CodeKey: `d1-token-broker/${zipSha256}.zip` };
    await upload(bucket, code.CodeKey, zip);
    return code;
  }
  const first = await pack('first');
  const stack = new DeployedStack({ cloudFormation, s3 }, STACK, bucket);
  let outputs = await stack.create(forMinistack(first.standalone.template), await placed(first));
  const output = (name: string): string => {
    const value = outputs[name];
    if (value === undefined) throw new Error(`The stack has no output ${name}.`);
    return value;
  };

  // What MiniStack's CloudFormation can't (ministack-deviations.ts, unknownTypes).
  const brokerRoleArn = output('BrokerRoleArn');
  const { resolve } = resolver(first.template, { 'AWS::AccountId': ACCOUNT_ID, 'BrokerRole.Arn': brokerRoleArn });
  for (const [id, { Type, Properties }] of Object.entries(first.standalone.template.Resources)) {
    if (Type !== 'AWS::SecretsManager::ResourcePolicy') continue;
    const SecretId = output(`${id.replace('Policy', '')}Arn`);
    const policy = JSON.stringify(resolve(Properties['ResourcePolicy']));
    await secretsManager.send(new PutResourcePolicyCommand({ SecretId, ResourcePolicy: policyForMinistack(policy) }));
  }

  /** The public key goes to Thales, under its kid. */
  async function onboard(alias: string, keyId: string): Promise<void> {
    const { PublicKey } = await kms.send(new GetPublicKeyCommand({ KeyId: alias }));
    d1.server.provisionIssuer({ issuerId: ISSUER_ID, keyId, publicKey: PublicKey ?? new Uint8Array() });
  }

  /** The package with other parameters, as an update of the stack. */
  async function redeploy(name: string, changes: Readonly<Record<string, string>>): Promise<ServicePackage> {
    const again = await pack(name, changes);
    const result = await stack.update(forMinistack(again.standalone.template), await placed(again));
    if (result === 'unchanged') throw new Error('The stack was to change, and did not.');
    outputs = result;
    return again;
  }

  /** As the operator's commands do it: some parameters are changed, and everything else stays as it is. */
  async function operate(changes: StackParameters): Promise<void> {
    // Of the clients, no other is asked.
    const clients = { cloudFormation: async () => cloudFormation } as unknown as Clients;
    const flags = { stage: STAGE, json: false };
    await updateStack({ clients, flags, stack: await readStack(clients, STAGE), progress: () => {} }, changes);
    outputs = outputsOf(await stack.describe());
  }

  // The public key goes to Thales; the certificate comes back, and into its secret.
  await onboard(output('CurrentSigningKeyAlias'), KEY_ID);
  await secretsManager.send(
    new PutSecretValueCommand({
      SecretId: output('ClientCertificateSecretArn'),
      SecretString: JSON.stringify(d1.clientCertificate),
    }),
  );

  /** @returns The function's answer, or what Lambda says of its error. */
  async function invoke(functionName: string, event: unknown): Promise<{ answer: unknown; error: string | undefined }> {
    const result = await lambda.send(
      new InvokeCommand({ FunctionName: functionName, Payload: Buffer.from(JSON.stringify(event)) }),
    );
    const text = Buffer.from(result.Payload ?? []).toString();
    return { answer: text === '' ? undefined : JSON.parse(text), error: result.FunctionError };
  }

  async function storedToken() {
    const value = await secretsManager.send(new GetSecretValueCommand({ SecretId: output('TokenSecretArn') }));
    const result = parseTokenRecord(value.SecretString ?? '');
    if ('why' in result) throw new Error(`The token secret holds no token record: ${result.why}.`);
    return { record: result.record, versionId: value.VersionId ?? '' };
  }

  return {
    folder,
    ministack,
    d1,
    python: tools.python,
    place,
    cloudFormation,
    s3,
    kms,
    secretsManager,
    stack,
    first,
    pack,
    bucket,
    upload,
    placed,
    outputs: () => outputs,
    output,
    brokerRoleArn,
    onboard,
    redeploy,
    operate,
    invoke,
    storedToken,
    async close() {
      await Promise.all([ministack.close(), d1.close()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
