import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { startFaultyRoute } from '../../sandbox/faults/faulty-route.ts';
import {
  BROKER_FUNCTION_ARN,
  CLIENT_CERTIFICATE_SECRET,
  ISSUER_ID,
  KEY_ID,
  REGION,
  SIGNING_KEY_ALIAS,
  TOKEN_SECRET,
} from '../../sandbox/sandbox.ts';
import { type ConnectProxy, startConnectProxy } from '../support/connect-proxy.ts';
import { type OperatedBank, openOperatedBank } from './operated-bank.ts';

/** A bank whose stack has been deployed with parameters of docs/landing-zone.md. */

export const ORGANIZATION = 'o-exampleorgid';
export const ACCOUNT = 'arn:aws:iam::222233334444:root';
export const ROLE = 'arn:aws:iam::333344445555:role/payments';
const OWN_ACCOUNT = '000000000000';

/** Nobody has much patience with what hangs. */
const HASTE = {
  D1_AWS_TIMEOUT_MILLISECONDS: '300',
  D1_CONNECT_TIMEOUT_MILLISECONDS: '600',
  D1_EXCHANGE_TIMEOUT_MILLISECONDS: '600',
};

/** One that is well, and whose way to D1 can have faults. */
export async function openLandingZoneBank(): Promise<OperatedBank> {
  const bank = await openOperatedBank();
  const { environment, deployment } = bank.sandbox;
  const route = await startFaultyRoute(environment['D1_ENVIRONMENT'] ?? '', bank.faults.connection);
  onTestFinished(() => route.close());
  Object.assign(deployment.changedByHand, { D1_ENVIRONMENT: route.baseUrl, ...HASTE });
  bank.restart();
  await bank.tick();
  return bank;
}

/** Parameters as the template has them; another container then works with them. */
export function deploy({ sandbox, restart }: OperatedBank, parameters: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(parameters)) sandbox.deployment.parameters.set(name, value);
  restart();
}

export const inSubnets = (bank: OperatedBank) =>
  deploy(bank, { SubnetIds: 'subnet-0a,subnet-0b', SecurityGroupIds: 'sg-0a' });

/** Has all functions go through a proxy that does as it is told. */
export async function behindProxy(
  bank: OperatedBank,
  proxy: Parameters<typeof startConnectProxy>[0] = {},
  noProxy = '.amazonaws.com',
): Promise<ConnectProxy> {
  const started = await startConnectProxy(proxy);
  onTestFinished(() => started.close());
  deploy(bank, { EgressProxy: started.url.origin, NoProxy: noProxy });
  return started;
}

type Statement = Readonly<Record<string, unknown>>;

const onlyOf = (organization: string) => ({ StringEquals: { 'aws:PrincipalOrgID': organization } });

/** As infra/consumers.yml and infra/secrets.yml have them. */
export const statements = {
  refuse: (...accounts: readonly string[]): Statement => ({
    Sid: 'NobodyOutsideTheAccount',
    Effect: 'Deny',
    Principal: '*',
    Action: 'secretsmanager:*',
    Resource: '*',
    Condition: {
      StringNotEquals: { 'aws:PrincipalAccount': [OWN_ACCOUNT, ...accounts] },
      Bool: { 'aws:PrincipalIsAWSService': 'false' },
    },
  }),
  read: (principals: readonly string[], organization?: string): Statement => ({
    Sid: 'ConsumersReadToken',
    Effect: 'Allow',
    Principal: { AWS: principals },
    Action: 'secretsmanager:GetSecretValue',
    Resource: '*',
    ...(organization !== undefined && { Condition: onlyOf(organization) }),
  }),
  decrypt: (principals: readonly string[], secret = `${TOKEN_SECRET}-??????`): Statement => ({
    Sid: 'ConsumersDecryptToken',
    Effect: 'Allow',
    Principal: { AWS: principals },
    Action: 'kms:Decrypt',
    Resource: '*',
    Condition: {
      StringEquals: {
        'aws:PrincipalOrgID': ORGANIZATION,
        'kms:ViaService': `secretsmanager.${REGION}.amazonaws.com`,
      },
      StringLike: {
        'kms:EncryptionContext:SecretARN': `arn:aws:secretsmanager:${REGION}:${OWN_ACCOUNT}:secret:${secret}`,
      },
    },
  }),
  invoke: (principal: string, organization: string): Statement => ({
    Effect: 'Allow',
    Principal: { AWS: principal },
    Action: 'lambda:InvokeFunction',
    Resource: BROKER_FUNCTION_ARN,
    Condition: onlyOf(organization),
  }),
};

export const policyOf = (...all: readonly Statement[]) => JSON.stringify({ Version: '2012-10-17', Statement: all });

export const putSecretPolicy = ({ sandbox }: OperatedBank, ...all: readonly Statement[]) =>
  sandbox.secretsManager.handle('PutResourcePolicy', { SecretId: TOKEN_SECRET, ResourcePolicy: policyOf(...all) });

export const putKeyPolicy = ({ sandbox }: OperatedBank, ...all: readonly Statement[]) =>
  sandbox.kms.handle('PutKeyPolicy', {
    KeyId: sandbox.deployment.moreOutputs['SecretsKeyArn'],
    PolicyName: 'default',
    Policy: policyOf(...all),
  });

export const putFunctionPolicy = ({ sandbox }: OperatedBank, ...all: readonly Statement[]) => {
  sandbox.deployment.functionPolicy = policyOf(...all);
};

/** Lets an account and a role of the organisation in, in all three places. */
export async function share(bank: OperatedBank): Promise<void> {
  const { kms, secretsManager, deployment } = bank.sandbox;
  const { KeyMetadata } = await kms.handle('CreateKey', {});
  const { Arn } = KeyMetadata as { Arn: string };
  secretsManager.alter(TOKEN_SECRET, { kmsKeyId: Arn });
  Object.assign(deployment.moreOutputs, {
    SecretsKeyArn: Arn,
    SecretsKeyViaService: `secretsmanager.${REGION}.amazonaws.com`,
    ConsumerPrincipals: `${ACCOUNT},${ROLE}`,
    ConsumerOrganizationId: ORGANIZATION,
  });
  deploy(bank, { HasConsumers: 'true' });
  await putSecretPolicy(
    bank,
    statements.refuse('222233334444', '333344445555'),
    statements.read([ACCOUNT, ROLE], ORGANIZATION),
  );
  await putKeyPolicy(bank, statements.decrypt([ACCOUNT, ROLE]));
  putFunctionPolicy(bank, statements.invoke(ACCOUNT, ORGANIZATION), statements.invoke(ROLE, ORGANIZATION));
}

export const OTHER_REGION = 'eu-central-1';
export const PRIMARY_TOKEN_SECRET = 'd1/primary/access-token';

/** The stack of the first Region, with replicas in another. */
export function asPrimary({ sandbox }: OperatedBank): void {
  sandbox.deployment.moreOutputs['ReplicaRegions'] = OTHER_REGION;
  for (const name of [TOKEN_SECRET, CLIENT_CERTIFICATE_SECRET]) {
    sandbox.secretsManager.alter(name, { replicas: [{ Region: OTHER_REGION, Status: 'InSync' }] });
  }
}

/** The stack of the second Region: its primary's token lies in a replica, and its key is one. */
export async function asStandby(bank: OperatedBank): Promise<void> {
  const { secretsManager, kms, d1, deployment } = bank.sandbox;
  const { SecretString } = await secretsManager.handle('GetSecretValue', { SecretId: TOKEN_SECRET });
  const { ARN } = await secretsManager.handle('CreateSecret', {
    Name: PRIMARY_TOKEN_SECRET,
    ClientRequestToken: randomUUID(),
    SecretString,
  });
  secretsManager.alter(PRIMARY_TOKEN_SECRET, { primaryRegion: OTHER_REGION });
  const made = await kms.handle('CreateKey', {
    KeySpec: 'ECC_NIST_P256',
    KeyUsage: 'SIGN_VERIFY',
    MultiRegion: true,
  });
  const { KeyId, Arn } = made['KeyMetadata'] as { KeyId: string; Arn: string };
  kms.makeReplica(KeyId, OTHER_REGION);
  await kms.handle('UpdateAlias', { AliasName: SIGNING_KEY_ALIAS, TargetKeyId: KeyId });
  const { PublicKey } = (await kms.handle('GetPublicKey', { KeyId })) as { PublicKey: string };
  d1.removeIssuer(ISSUER_ID);
  d1.provisionIssuer({ issuerId: ISSUER_ID, keyId: KEY_ID, publicKey: Buffer.from(PublicKey, 'base64') });
  Object.assign(deployment.moreOutputs, { Role: 'standby', ReplicaOfPrimaryTokenSecretArn: ARN });
  deployment.changedByHand['D1_PRIMARY_TOKEN_SECRET_ID'] = String(ARN);
  deployment.useKey('current', Arn);
}
