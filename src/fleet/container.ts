import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { SQSClient } from '@aws-sdk/client-sqs';
import { clientSettings, createKmsClient, createSecretsManagerClient } from '../aws/clients.ts';
import { BrokerError } from '../errors.ts';
import { systemClock } from '../shared/clock.ts';
import { egressProxyIn } from '../shared/egress-proxy.ts';
import { systemRandom } from '../shared/random.ts';
import { createDynamoDbIndex } from './dynamodb-index.ts';
import { type IssuerFields, readIssuer } from './issuer.ts';
import { createIssuerApps } from './issuer-apps.ts';

/** For each attempt of a call to AWS; the SDK makes three. A look at ten thousand issuers has pages of a megabyte. */
const AWS_TIMEOUT_MILLISECONDS = 5_000;

const environment = process.env;

/** What the functions for many issuers are made of, once a container. */
export const clock = systemClock;
export const stage = environment['D1_STAGE'];

/** @throws BrokerError CONFIG_INVALID when the deployment does not say it. */
export function mustHave(variable: string): string {
  const value = environment[variable];
  if (value) return value;
  throw misdeployed(`${variable} is missing`);
}

const misdeployed = (why: string) =>
  new BrokerError({
    code: 'CONFIG_INVALID',
    what: `${why}.`,
    remedy: 'Deploy infra/fleet again; it sets this variable.',
    retryable: false,
  });

/** As for one issuer: what is not named in NO_PROXY is gone to through it, AWS too. */
const proxy = egressProxyIn(environment, (variable, rule) => {
  throw misdeployed(`${variable} is not ${rule}`);
});
const settings = clientSettings(AWS_TIMEOUT_MILLISECONDS, undefined, proxy);

export const openIndex = () => createDynamoDbIndex(new DynamoDBClient(settings), mustHave('D1_ISSUERS_TABLE'));

export const openSqs = () => new SQSClient(settings);

export const read = (fields: IssuerFields) => readIssuer(fields, environment);

export const openApps = () =>
  createIssuerApps({
    kms: createKmsClient(AWS_TIMEOUT_MILLISECONDS, undefined, proxy),
    secretsManager: createSecretsManagerClient(AWS_TIMEOUT_MILLISECONDS, undefined, proxy),
    clock,
    random: systemRandom,
    stage,
  });
