import { randomUUID, X509Certificate } from 'node:crypto';
import { type Clock, systemClock } from '../src/shared/clock.ts';
import { DynamoDb } from './aws/dynamodb.ts';
import { Kms } from './aws/kms.ts';
import { Lambda, type LambdaFunction } from './aws/lambda.ts';
import { SecretsManager, type SecretsManagerOptions } from './aws/secrets-manager.ts';
import { type Intercept as AwsIntercept, startAwsServer } from './aws/server.ts';
import { Sts } from './aws/sts.ts';
import { CallLog } from './calls.ts';
import { type CertificateAuthority, createCertificateAuthority } from './certificates.ts';
import type { TokenHabits } from './d1/authorization-server.ts';
import { type Intercept as D1Intercept, type D1Server, startD1Server } from './d1/server.ts';
import { Deployment, STAGE } from './deployment/deployment.ts';
import { functionConfiguration } from './deployment/services.ts';

export const REGION = 'eu-west-1';
export const ACCOUNT_ID = '000000000000';
export const ISSUER_ID = 'ISSUER0001';
export const KEY_ID = 'sandbox-key-1';
export const SIGNING_KEY_ALIAS = 'alias/d1-token-broker-signing';
export const TOKEN_SECRET = 'd1/access-token';
export const CLIENT_CERTIFICATE_SECRET = 'd1/client-certificate';
export const BROKER_FUNCTION = 'd1-token-broker';
export const BROKER_FUNCTION_ARN = `arn:aws:lambda:${REGION}:${ACCOUNT_ID}:function:${BROKER_FUNCTION}`;

export interface SandboxOptions extends TokenHabits {
  /** For KMS, Secrets Manager and D1. Certificates live on the machine's clock: TLS knows no other. */
  readonly clock?: Pick<Clock, 'now'>;
  readonly awsIntercept?: AwsIntercept;
  readonly d1Intercept?: D1Intercept;
  /** Seconds; 900 unless told. */
  readonly tokenLifetimeSeconds?: number;
  /** What Invoke and RotateSecret run as `d1-token-broker`. Without it there is no function, and nobody does the steps. */
  readonly brokerFunction?: LambdaFunction;
  /** What an alias of the token function for many issuers runs. Without it there is no stack for many. */
  readonly tokenFunction?: LambdaFunction;
  /** Of the AWS endpoint; a free one unless told. */
  readonly awsPort?: number;
  /** Of the stack that all this is said to come from; `sandbox` unless told. */
  readonly stage?: string;
  /** False: Thales knows no key yet, and the certificate secret holds what D1 is trusted by, and no certificate. */
  readonly isOnboarded?: boolean;
  readonly secretsManager?: Partial<Omit<SecretsManagerOptions, 'region' | 'accountId' | 'clock'>>;
}

export interface Sandbox {
  /** The variables that point the broker, or any AWS SDK, at this sandbox. */
  readonly environment: Readonly<Record<string, string>>;
  readonly calls: CallLog;
  readonly kms: Kms;
  readonly secretsManager: SecretsManager;
  readonly dynamoDb: DynamoDb;
  readonly d1: D1Server;
  /** Signs client certificates, as Thales does. */
  readonly clientAuthority: CertificateAuthority;
  /** The text of a client-certificate secret that works here. */
  clientCertificateSecret(request?: { notBefore?: Date; notAfter?: Date; issuerId?: string }): Promise<string>;
  /** The subject of the certificate with which D1 proves who it is. */
  readonly serverSubject: string;
  /** The stack that all this is said to come from, for who looks at it from outside. */
  readonly deployment: Deployment;
  /** KMS key id behind the alias. */
  readonly signingKeyId: string;
  close(): Promise<void>;
}

/**
 * A bank that has just been onboarded: a signing key whose public half D1 knows, an empty token secret, a client
 * certificate in its secret, and D1 itself. Real HTTP and TLS on free loopback ports, nothing on disk.
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const clock = options.clock ?? systemClock;
  const place = { region: REGION, accountId: ACCOUNT_ID, clock };
  const calls = new CallLog();
  const kms = new Kms(place);
  const { brokerFunction, tokenFunction } = options;
  const fleetName = `d1-token-fleet-${options.stage ?? STAGE}`;
  const fleet = tokenFunction && {
    stackName: fleetName,
    outputs: {
      IssuersTableName: `${fleetName}-issuers`,
      TokenFunctionName: `${fleetName}-token`,
      SecretPrefix: 'd1/',
    },
  };
  const dynamoDb = new DynamoDb({ tables: fleet ? { [fleet.outputs.IssuersTableName]: 'issuer_id' } : {} });
  let deployment: Deployment | undefined;
  const lambda = new Lambda({
    ...place,
    functions: {
      ...(brokerFunction && { [BROKER_FUNCTION]: brokerFunction }),
      ...(fleet && { [fleet.outputs.TokenFunctionName]: tokenFunction }),
    },
    configuration: (name) => (deployment ? functionConfiguration(deployment, name) : {}),
    policy: () => deployment?.functionPolicy,
  });
  const secretsManager = new SecretsManager({ ...place, ...(brokerFunction && { lambda }), ...options.secretsManager });
  const [clientAuthority, serverAuthority] = await Promise.all([
    createCertificateAuthority({ commonName: 'Sandbox Client CA', clock: systemClock }),
    createCertificateAuthority({ commonName: 'Sandbox Server CA', clock: systemClock }),
  ]);
  const serverCertificate = await serverAuthority.issue({
    commonName: 'localhost',
    usage: 'server',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
  });
  const [aws, d1] = await Promise.all([
    startAwsServer({
      kms,
      secretsManager,
      lambda,
      sts: new Sts(place),
      dynamoDb,
      deployment: () => deployment,
      calls,
      clock,
      ...(options.awsPort !== undefined && { port: options.awsPort }),
      ...(options.awsIntercept && { intercept: options.awsIntercept }),
    }),
    startD1Server({
      clock,
      calls,
      serverCertificate,
      clientCertificateAuthorityPem: clientAuthority.certificatePem,
      ...(options.d1Intercept && { intercept: options.d1Intercept }),
      ...(options.tokenLifetimeSeconds !== undefined && { tokenLifetimeSeconds: options.tokenLifetimeSeconds }),
      ...(options.tokenReuseUntilSeconds !== undefined && { tokenReuseUntilSeconds: options.tokenReuseUntilSeconds }),
      ...(options.oneTokenAtATime !== undefined && { oneTokenAtATime: options.oneTokenAtATime }),
    }),
  ]);

  const clientCertificateSecret: Sandbox['clientCertificateSecret'] = async ({
    issuerId = ISSUER_ID,
    ...dates
  } = {}) => {
    const issued = await clientAuthority.issue({
      commonName: `TLSMA-ECC/${issuerId}/PPR`,
      organization: 'Example Bank',
      usage: 'client',
      ...dates,
    });
    return JSON.stringify({
      certificate: issued.certificatePem,
      private_key: issued.privateKeyPem,
      ca_bundle: serverAuthority.certificatePem,
    });
  };

  const signingKeyId = await onboard({
    kms,
    secretsManager,
    d1: options.isOnboarded === false ? undefined : d1,
    stage: options.stage ?? STAGE,
    secretText:
      options.isOnboarded === false
        ? JSON.stringify({ ca_bundle: serverAuthority.certificatePem })
        : await clientCertificateSecret(),
  });
  const environment = {
    AWS_ENDPOINT_URL: aws.url,
    AWS_REGION: REGION,
    // The SDK for Python and the AWS CLI read only this one.
    AWS_DEFAULT_REGION: REGION,
    AWS_ACCESS_KEY_ID: 'sandbox',
    AWS_SECRET_ACCESS_KEY: 'sandbox',
    D1_ISSUER_ID: ISSUER_ID,
    D1_KEY_ID: KEY_ID,
    D1_ENVIRONMENT: d1.baseUrl,
    D1_AUDIENCE: 'https://api.d1.thalescloud.io',
    D1_SIGNING_KEY_ID: SIGNING_KEY_ALIAS,
    D1_TOKEN_SECRET_ID: TOKEN_SECRET,
    D1_CLIENT_CERTIFICATE_SECRET_ID: CLIENT_CERTIFICATE_SECRET,
  };
  const arnOf = async (SecretId: string) =>
    String((await secretsManager.handle('DescribeSecret', { SecretId }))['ARN']);
  const stackName = `d1-token-broker-${options.stage ?? STAGE}`;
  deployment = new Deployment({
    ...place,
    stage: options.stage,
    fleet,
    kms,
    environment,
    functionName: BROKER_FUNCTION,
    outputs: {
      FunctionArn: BROKER_FUNCTION_ARN,
      TokenSecretArn: await arnOf(TOKEN_SECRET),
      ClientCertificateSecretArn: await arnOf(CLIENT_CERTIFICATE_SECRET),
      TokenReaderPolicyArn: `arn:aws:iam::${ACCOUNT_ID}:policy/${stackName}-token-reader`,
      TokenInvokerPolicyArn: `arn:aws:iam::${ACCOUNT_ID}:policy/${stackName}-token-invoker`,
    },
    signingKey: {
      keyId: KEY_ID,
      arn: `arn:aws:kms:${REGION}:${ACCOUNT_ID}:key/${signingKeyId}`,
      alias: SIGNING_KEY_ALIAS,
    },
  });

  return {
    environment,
    deployment,
    calls,
    kms,
    secretsManager,
    dynamoDb,
    d1,
    clientAuthority,
    clientCertificateSecret,
    serverSubject: new X509Certificate(serverCertificate.certificatePem).subject,
    signingKeyId,
    close: async () => {
      await Promise.all([aws.close(), d1.close()]);
    },
  };
}

/** What a bank and Thales do once: key, public key, certificate, empty secret. Not recorded as calls. */
async function onboard({
  kms,
  secretsManager,
  d1,
  stage,
  secretText,
}: {
  kms: Kms;
  secretsManager: SecretsManager;
  d1: D1Server | undefined;
  stage: string;
  secretText: string;
}): Promise<string> {
  // As infra/ makes them: descriptions say whose they are, and the stack's tags which stage's.
  const Tags = Object.entries({ service: 'd1-token-broker', stage }).map(([TagKey, TagValue]) => ({
    TagKey,
    TagValue,
  }));
  const makeKey = async (fields: object) => {
    const { KeyMetadata } = await kms.handle('CreateKey', { ...fields, Tags });
    return KeyMetadata as { KeyId: string; Arn: string };
  };
  const { KeyId } = await makeKey({
    Description: `Signs the JWT assertions of issuer ${ISSUER_ID} for Thales D1`,
    KeySpec: 'ECC_NIST_P256',
    KeyUsage: 'SIGN_VERIFY',
    MultiRegion: true,
  });
  const { Arn: KmsKeyId } = await makeKey({
    Description: `Encrypts the Thales D1 access token and client certificate of issuer ${ISSUER_ID}`,
  });
  await kms.handle('CreateAlias', { AliasName: SIGNING_KEY_ALIAS, TargetKeyId: KeyId });
  const { PublicKey } = (await kms.handle('GetPublicKey', { KeyId })) as { PublicKey: string };
  d1?.provisionIssuer({ issuerId: ISSUER_ID, keyId: KEY_ID, publicKey: Buffer.from(PublicKey, 'base64') });
  await secretsManager.handle('CreateSecret', {
    Name: TOKEN_SECRET,
    Description: `Thales D1 access token of issuer ${ISSUER_ID}, kept fresh by d1-token-broker-${stage}`,
    KmsKeyId,
    ClientRequestToken: randomUUID(),
  });
  await secretsManager.handle('CreateSecret', {
    Name: CLIENT_CERTIFICATE_SECRET,
    Description: `Client certificate and private key of issuer ${ISSUER_ID} for mutual TLS with Thales D1`,
    KmsKeyId,
    ClientRequestToken: randomUUID(),
    SecretString: secretText,
  });
  return KeyId;
}
