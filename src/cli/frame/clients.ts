import type { PlaceFlags } from './flags.ts';

/** Of one attempt. A laptop may be far from its Region. */
const REQUEST_TIMEOUT_MILLISECONDS = 10_000;
const CONNECTION_TIMEOUT_MILLISECONDS = 3_000;
/** A check stays in the function for as long as one refresh may take. */
const INVOCATION_TIMEOUT_MILLISECONDS = 95_000;

export type Clients = ReturnType<typeof createClients>;

/**
 * The SDK's clients. Each is loaded when it is first asked for: `--help` loads none, and few commands need many.
 *
 * @param signal Ends what is still under way: nothing that hangs keeps the program.
 */
export function createClients({ region, profile }: Pick<PlaceFlags, 'region' | 'profile'>, signal?: AbortSignal) {
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
  const once = <T extends Client>(make: () => Promise<T>) => {
    let made: Promise<T> | undefined;
    return () => {
      made ??= make().then((client) => (signal ? endedBy(client, signal) : client));
      return made;
    };
  };
  return {
    sts: once(async () => new (await import('@aws-sdk/client-sts')).STS(settings())),
    kms: once(async () => new (await import('@aws-sdk/client-kms')).KMS(settings())),
    secretsManager: once(async () => new (await import('@aws-sdk/client-secrets-manager')).SecretsManager(settings())),
    cloudFormation: once(async () => new (await import('@aws-sdk/client-cloudformation')).CloudFormation(settings())),
    dynamoDb: once(async () => new (await import('@aws-sdk/client-dynamodb')).DynamoDB(settings())),
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

/** What all clients of the SDK have. */
interface Client {
  readonly config: {
    readonly requestHandler: {
      handle(request: never, options?: { readonly abortSignal?: AbortSignal }): Promise<unknown>;
    };
  };
}

/** Has every request of a client end with the signal, which the SDK takes from each call alone. */
function endedBy<T extends Client>(client: T, abortSignal: AbortSignal): T {
  const { requestHandler } = client.config;
  const handle = requestHandler.handle.bind(requestHandler);
  requestHandler.handle = (request, options) => handle(request, { ...options, abortSignal });
  return client;
}
