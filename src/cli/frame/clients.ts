import type { PlaceFlags } from './flags.ts';

/** Of one attempt. A laptop may be far from its Region. */
const REQUEST_TIMEOUT_MILLISECONDS = 10_000;
const CONNECTION_TIMEOUT_MILLISECONDS = 3_000;
/** A check stays in the function for as long as one refresh may take. */
const INVOCATION_TIMEOUT_MILLISECONDS = 95_000;

export type Clients = ReturnType<typeof createClients>;

/** The SDK's clients. Each is loaded when it is first asked for: `--help` loads none, and few commands need many. */
export function createClients({ region, profile }: Pick<PlaceFlags, 'region' | 'profile'>) {
  // The AWS CLI reads AWS_DEFAULT_REGION too; the SDK for JavaScript does not.
  const where = region ?? process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'];
  const settings = (requestTimeout = REQUEST_TIMEOUT_MILLISECONDS) => ({
    ...(where !== undefined && where !== '' && { region: where }),
    ...(profile !== undefined && { profile }),
    maxAttempts: 2,
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MILLISECONDS,
      requestTimeout,
      throwOnRequestTimeout: true,
    },
  });
  const once = <T>(make: () => Promise<T>) => {
    let made: Promise<T> | undefined;
    return () => {
      made ??= make();
      return made;
    };
  };
  return {
    sts: once(async () => new (await import('@aws-sdk/client-sts')).STS(settings())),
    kms: once(async () => new (await import('@aws-sdk/client-kms')).KMS(settings())),
    secretsManager: once(async () => new (await import('@aws-sdk/client-secrets-manager')).SecretsManager(settings())),
    cloudFormation: once(async () => new (await import('@aws-sdk/client-cloudformation')).CloudFormation(settings())),
    lambda: once(
      async () => new (await import('@aws-sdk/client-lambda')).Lambda(settings(INVOCATION_TIMEOUT_MILLISECONDS)),
    ),
    scheduler: once(async () => new (await import('@aws-sdk/client-scheduler')).Scheduler(settings())),
    cloudWatch: once(async () => new (await import('@aws-sdk/client-cloudwatch')).CloudWatch(settings())),
    logs: once(async () => new (await import('@aws-sdk/client-cloudwatch-logs')).CloudWatchLogs(settings())),
    sns: once(async () => new (await import('@aws-sdk/client-sns')).SNS(settings())),
    // A queue's URL names AWS's own host: where AWS_ENDPOINT_URL says otherwise, that counts.
    sqs: once(
      async () => new (await import('@aws-sdk/client-sqs')).SQS({ ...settings(), useQueueUrlAsEndpoint: false }),
    ),
  };
}
