import { randomUUID } from 'node:crypto';
import { createCertificateAuthority } from '../../sandbox/certificates.ts';
import { CLIENT_CERTIFICATE_SECRET, SIGNING_KEY_ALIAS, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { systemClock } from '../../src/shared/clock.ts';
import {
  ACCOUNT,
  asPrimary,
  asStandby,
  behindProxy,
  deploy,
  inSubnets,
  ORGANIZATION,
  OTHER_REGION,
  PRIMARY_TOKEN_SECRET,
  putFunctionPolicy,
  putKeyPolicy,
  putSecretPolicy,
  ROLE,
  share,
  statements,
} from './landing-zone-bank.ts';
import type { OperatedBank } from './operated-bank.ts';

/** A parameter of docs/landing-zone.md that is on, and something that it needs and that is not there. */
export interface MissingPiece {
  /** Of infra/params.yml. */
  readonly names: readonly string[];
  readonly what: string;
  readonly first: { readonly check: string; readonly code: string };
  /** What sentence and remedy must tell. */
  readonly tells: RegExp;
  readonly breakIt: (bank: OperatedBank) => unknown;
}

export const missingPieces: readonly MissingPiece[] = [
  {
    names: ['fips'],
    what: 'AWS_USE_FIPS_ENDPOINT taken out of the function',
    first: { check: 'network.settings', code: 'NETWORK_CHANGED' },
    tells: /fips \(AWS_USE_FIPS_ENDPOINT\)/,
    breakIt: (bank) => {
      deploy(bank, { Fips: 'true' });
      bank.sandbox.deployment.changedByHand['AWS_USE_FIPS_ENDPOINT'] = '';
    },
  },
  {
    names: ['fips'],
    what: 'the same in the function of the ticks alone',
    first: { check: 'network.settings', code: 'NETWORK_CHANGED' },
    tells: /The function the-ticks has not what the stack says of fips/,
    breakIt: (bank) => {
      deploy(bank, { Fips: 'true' });
      bank.sandbox.deployment.ticks = { functionName: 'the-ticks', changedByHand: { AWS_USE_FIPS_ENDPOINT: '' } };
    },
  },
  {
    names: ['subnetIds'],
    what: 'the function in other subnets, by hand',
    first: { check: 'network.settings', code: 'NETWORK_CHANGED' },
    tells: /subnetIds \(VpcConfig\)/,
    breakIt: (bank) => {
      inSubnets(bank);
      bank.sandbox.deployment.subnetsByHand = ['subnet-0c'];
    },
  },
  {
    names: ['subnetIds', 'securityGroupIds'],
    what: 'no endpoint and no way to KMS',
    first: { check: 'network.aws', code: 'NO_ROUTE_TO_AWS' },
    tells: /does not reach kms: .*interface endpoint kms,/,
    breakIt: (bank) => {
      inSubnets(bank);
      bank.fault('kms.Sign hang');
    },
  },
  {
    names: ['subnetIds', 'fips'],
    what: 'no endpoint and no way to the FIPS endpoint of Secrets Manager',
    first: { check: 'network.aws', code: 'NO_ROUTE_TO_AWS' },
    tells: /does not reach secretsmanager-fips: /,
    breakIt: (bank) => {
      inSubnets(bank);
      deploy(bank, { Fips: 'true' });
      bank.fault('secretsmanager.GetSecretValue hang');
    },
  },
  {
    names: ['subnetIds'],
    what: 'no NAT gateway and no proxy, so no way to D1',
    first: { check: 'network.d1', code: 'NO_ROUTE_TO_D1' },
    tells: /NAT gateway, or set egressProxy/,
    breakIt: (bank) => {
      inSubnets(bank);
      bank.fault('d1.connect hang');
    },
  },
  {
    names: ['subnetIds'],
    what: 'nothing that can be reached, until Lambda cuts the function off',
    first: { check: 'check', code: 'FUNCTION_FAILED' },
    tells: /subnetIds and securityGroupIds lead to kms, secretsmanager and D1/,
    breakIt: (bank) => {
      inSubnets(bank);
      bank.die('Sandbox.Timedout');
    },
  },
  {
    names: ['subnetIds'],
    what: 'subnets that have no address left',
    first: { check: 'function.state', code: 'FUNCTION_INACTIVE' },
    tells: /SubnetOutOfIPAddresses.*Look at subnetIds/,
    breakIt: (bank) => {
      inSubnets(bank);
      bank.sandbox.deployment.functionState = 'Failed';
      bank.sandbox.deployment.functionStateReason = 'SubnetOutOfIPAddresses';
    },
  },
  {
    names: ['egressProxy'],
    what: 'HTTPS_PROXY changed by hand',
    first: { check: 'network.settings', code: 'NETWORK_CHANGED' },
    tells: /egressProxy \(HTTPS_PROXY\)/,
    breakIt: async (bank) => {
      const { url } = await behindProxy(bank);
      deploy(bank, { EgressProxy: 'http://proxy.bank.example:3128' });
      bank.sandbox.deployment.changedByHand['HTTPS_PROXY'] = url.origin;
      bank.restart();
    },
  },
  {
    names: ['egressProxy'],
    what: 'a proxy where nobody listens',
    first: { check: 'proxy', code: 'PROXY_UNREACHABLE' },
    tells: /egressProxy in infra\/params\.yml/,
    breakIt: async (bank) => (await behindProxy(bank)).close(),
  },
  {
    names: ['egressProxy'],
    what: 'no proxy_credentials, and a proxy that asks for them',
    first: { check: 'proxy', code: 'PROXY_REFUSED' },
    tells: /proxy_credentials/,
    breakIt: (bank) => behindProxy(bank, { credentials: 'broker:secret' }),
  },
  {
    names: ['egressProxy'],
    what: "a proxy whose rules do not have D1's host",
    first: { check: 'proxy', code: 'PROXY_REFUSED' },
    tells: /allow CONNECT/,
    breakIt: (bank) => behindProxy(bank, { says: 'HTTP/1.1 403 Forbidden\r\n\r\n' }),
  },
  {
    names: ['egressProxy'],
    what: 'a proxy that inspects TLS',
    first: { check: 'proxy', code: 'PROXY_INSPECTS' },
    tells: /tunnel D1's host, do not inspect it/,
    breakIt: async (bank) => {
      const authority = await createCertificateAuthority({ commonName: 'Inspecting CA', clock: systemClock });
      const { certificatePem, privateKeyPem } = await authority.issue({
        commonName: 'localhost',
        usage: 'server',
        dnsNames: ['localhost'],
        ipAddresses: ['127.0.0.1'],
      });
      await behindProxy(bank, { inspects: { cert: certificatePem, key: privateKeyPem } });
    },
  },
  {
    names: ['noProxy'],
    what: "D1's host",
    first: { check: 'proxy', code: 'PROXY_BYPASSED' },
    tells: /Take D1's host out of noProxy/,
    breakIt: (bank) => behindProxy(bank, {}, '.amazonaws.com,localhost,127.0.0.1'),
  },
  {
    names: ['noProxy'],
    what: 'the endpoint of one of the two AWS services',
    first: { check: 'proxy.aws', code: 'PROXY_SPLIT' },
    tells: /kms\.eu-west-1\.amazonaws\.com around it/,
    breakIt: (bank) => behindProxy(bank, {}, 'kms.eu-west-1.amazonaws.com'),
  },
  {
    names: ['consumerPrincipals'],
    what: "a consumer that the secret's policy does not let in",
    first: { check: 'consumers.secret', code: 'CONSUMER_SHUT_OUT' },
    tells: /does not let in arn:aws:iam::333344445555:role\/payments of o-exampleorgid\. Deploy again/,
    breakIt: (bank) =>
      putSecretPolicy(
        bank,
        statements.refuse('222233334444', '333344445555'),
        statements.read([ACCOUNT], ORGANIZATION),
      ),
  },
  {
    names: ['consumerPrincipals'],
    what: "an account that the secret's policy still refuses",
    first: { check: 'consumers.secret', code: 'CONSUMER_SHUT_OUT' },
    tells: /does not let in arn:aws:iam::222233334444:root of .*, and refuses other accounts/,
    breakIt: (bank) =>
      putSecretPolicy(bank, statements.refuse('333344445555'), statements.read([ACCOUNT, ROLE], ORGANIZATION)),
  },
  {
    names: ['organizationId'],
    what: "a secret's policy that does not ask for it",
    first: { check: 'consumers.secret', code: 'CONSUMER_UNBOUND' },
    tells: /without asking for organizationId o-exampleorgid/,
    breakIt: (bank) => putSecretPolicy(bank, statements.read([ACCOUNT, ROLE])),
  },
  {
    names: ['organizationId'],
    what: "another one in the secret's policy",
    first: { check: 'consumers.secret', code: 'CONSUMER_SHUT_OUT' },
    tells: /of o-exampleorgid/,
    breakIt: (bank) => putSecretPolicy(bank, statements.read([ACCOUNT, ROLE], 'o-anotherone00')),
  },
  {
    names: ['existingTokenSecretArn', 'consumerPrincipals'],
    what: 'a secret without ConsumersReadToken',
    first: { check: 'consumers.secret', code: 'CONSUMER_SHUT_OUT' },
    tells: /ConsumersReadToken in the policy of existingTokenSecretArn/,
    breakIt: async (bank) => {
      deploy(bank, { ExistingTokenSecretArn: `arn:aws:secretsmanager:eu-west-1:000000000000:secret:${TOKEN_SECRET}` });
      await putSecretPolicy(bank, statements.refuse());
    },
  },
  {
    names: ['existingSecretsKeyArn', 'consumerPrincipals'],
    what: 'a key that AWS manages',
    first: { check: 'consumers.key', code: 'KEY_NOT_SHAREABLE' },
    tells: /name it in existingSecretsKeyArn/,
    breakIt: ({ sandbox }) => sandbox.secretsManager.alter(TOKEN_SECRET, { kmsKeyId: undefined }),
  },
  {
    names: ['existingSecretsKeyArn', 'consumerPrincipals'],
    what: 'a key whose policy lets consumers decrypt another secret',
    first: { check: 'consumers.key', code: 'CONSUMER_SHUT_OUT' },
    tells: /ConsumersDecryptToken/,
    breakIt: (bank) => putKeyPolicy(bank, statements.decrypt([ACCOUNT, ROLE], 'd1/another-??????')),
  },
  {
    names: ['consumerPrincipals'],
    what: 'a function without a policy',
    first: { check: 'consumers.function', code: 'CONSUMER_SHUT_OUT' },
    tells: /The policy of the function does not let in arn:aws:iam::222233334444:root, arn/,
    breakIt: ({ sandbox }) => {
      sandbox.deployment.functionPolicy = undefined;
    },
  },
  {
    names: ['consumerPrincipals'],
    what: 'a consumer whose permission was removed from the function',
    first: { check: 'consumers.function', code: 'CONSUMER_SHUT_OUT' },
    tells: /The policy of the function does not let in arn:aws:iam::333344445555:role/,
    breakIt: (bank) => putFunctionPolicy(bank, statements.invoke(ACCOUNT, ORGANIZATION)),
  },
  {
    names: ['replicaRegions'],
    what: 'a secret whose replica was removed',
    first: { check: 'replicas.token', code: 'REPLICA_MISSING' },
    tells: /no replica in eu-central-1\. Deploy again: replicaRegions/,
    breakIt: (bank) => {
      asPrimary(bank);
      bank.sandbox.secretsManager.alter(TOKEN_SECRET, { replicas: [] });
    },
  },
  {
    names: ['replicaRegions'],
    what: 'a replica that is not in sync',
    first: { check: 'replicas.certificate', code: 'REPLICA_FAILED' },
    tells: /in eu-central-1 is not in sync/,
    breakIt: (bank) => {
      asPrimary(bank);
      bank.sandbox.secretsManager.alter(CLIENT_CERTIFICATE_SECRET, {
        replicas: [{ Region: OTHER_REGION, Status: 'Failed' }],
      });
    },
  },
  {
    names: ['replicaRegions'],
    what: 'a replica that is still being made',
    first: { check: 'replicas.token', code: 'REPLICA_BUSY' },
    tells: /eu-central-1 is being made/,
    breakIt: (bank) => {
      asPrimary(bank);
      bank.sandbox.secretsManager.alter(TOKEN_SECRET, { replicas: [{ Region: OTHER_REGION, Status: 'InProgress' }] });
    },
  },
  {
    names: ['role', 'D1_PRIMARY_TOKEN_SECRET_ID'],
    what: 'a standby whose function was told to watch nothing, by hand',
    first: { check: 'role', code: 'ROLE_CHANGED' },
    tells: /role is standby, and D1_PRIMARY_TOKEN_SECRET_ID of the function is missing/,
    breakIt: async (bank) => {
      await asStandby(bank);
      bank.sandbox.deployment.changedByHand['D1_PRIMARY_TOKEN_SECRET_ID'] = '';
      bank.restart();
    },
  },
  {
    names: ['role'],
    what: 'promoted',
    first: { check: 'role', code: 'PROMOTED' },
    tells: /watches no primary.*role: standby/,
    breakIt: async (bank) => {
      await asStandby(bank);
      bank.sandbox.deployment.changedByHand['D1_PRIMARY_TOKEN_SECRET_ID'] = '';
      bank.sandbox.deployment.moreOutputs['Role'] = 'promoted';
      bank.restart();
    },
  },
  {
    names: ['primaryTokenSecretArn'],
    what: 'no replica in this Region',
    first: { check: 'replica.secret', code: 'REPLICA_MISSING' },
    tells: /Give the primary replicaRegions with a key of eu-west-1/,
    breakIt: async (bank) => {
      await asStandby(bank);
      await bank.sandbox.secretsManager.handle('DeleteSecret', {
        SecretId: PRIMARY_TOKEN_SECRET,
        ForceDeleteWithoutRecovery: true,
      });
    },
  },
  {
    names: ['primaryTokenSecretArn'],
    what: 'a replica that was cut off',
    first: { check: 'replica.secret', code: 'REPLICA_CUT_OFF' },
    tells: /its replication was stopped/,
    breakIt: async (bank) => {
      await asStandby(bank);
      bank.sandbox.secretsManager.alter(PRIMARY_TOKEN_SECRET, { primaryRegion: undefined });
    },
  },
  {
    names: ['primaryTokenSecretArn'],
    what: 'a replica that the function may not read',
    first: { check: 'replica.token', code: 'PRIMARY_TOKEN_UNAVAILABLE' },
    tells: /can't read the replica of the primary's token: TOKEN_STORE_DENIED/,
    breakIt: async (bank) => {
      await asStandby(bank);
      bank.fault(`secretsmanager.GetSecretValue refuse secret=${primaryArn(bank)}`);
    },
  },
  {
    names: ['primaryTokenSecretArn'],
    what: 'a primary that stands still',
    first: { check: 'replica.token', code: 'PRIMARY_TOKEN_UNAVAILABLE' },
    tells: /has \d+ s left: this stack asks D1 itself\. Run the doctor in the first Region/,
    breakIt: async (bank) => {
      await asStandby(bank);
      const { SecretString } = await bank.sandbox.secretsManager.handle('GetSecretValue', {
        SecretId: PRIMARY_TOKEN_SECRET,
      });
      const record = JSON.parse(String(SecretString)) as { expires_at: number; obtained_at: number };
      await bank.sandbox.secretsManager.handle('PutSecretValue', {
        SecretId: PRIMARY_TOKEN_SECRET,
        ClientRequestToken: randomUUID(),
        SecretString: JSON.stringify({
          ...record,
          expires_at: record.expires_at - 850,
          obtained_at: record.obtained_at - 850,
        }),
      });
    },
  },
  {
    names: ['primaryCurrentSigningKeyArn', 'primaryNextSigningKeyArn'],
    what: 'a signing key of its own',
    first: { check: 'replica.key', code: 'REPLICA_KEY_WRONG' },
    tells: /kid sandbox-key-1, is no replica.*primaryCurrentSigningKeyArn/,
    breakIt: async (bank) => {
      await asStandby(bank);
      const made = await bank.sandbox.kms.handle('CreateKey', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
      const { Arn } = made['KeyMetadata'] as { Arn: string };
      await bank.sandbox.kms.handle('UpdateAlias', { AliasName: SIGNING_KEY_ALIAS, TargetKeyId: Arn });
      bank.sandbox.deployment.useKey('current', Arn);
    },
  },
];

const primaryArn = ({ sandbox }: OperatedBank) => sandbox.deployment.moreOutputs['ReplicaOfPrimaryTokenSecretArn'];

/** What a parameter needs is there before something of it is taken away. */
export async function breakPiece(bank: OperatedBank, { names, breakIt }: MissingPiece): Promise<void> {
  if (names.includes('consumerPrincipals') || names.includes('organizationId')) await share(bank);
  await breakIt(bank);
}
