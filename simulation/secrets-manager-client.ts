import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  InvalidParameterException,
  InvalidRequestException,
  LimitExceededException,
  PutSecretValueCommand,
  ResourceExistsException,
  ResourceNotFoundException,
  SecretsManagerServiceException,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { AwsError } from '../sandbox/aws/aws-error.ts';
import type { SecretsManager } from '../sandbox/aws/secrets-manager.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedTime } from './simulated-time.ts';

type Fields = Record<string, unknown>;

export type SimulatedClient = Pick<SecretsManagerClient, 'send'>;

const operations = new Map<unknown, string>([
  [GetSecretValueCommand, 'GetSecretValue'],
  [PutSecretValueCommand, 'PutSecretValue'],
  [DescribeSecretCommand, 'DescribeSecret'],
  [UpdateSecretVersionStageCommand, 'UpdateSecretVersionStage'],
]);

/** As the SDK's standard retry mode: three attempts, full jitter below a ceiling that doubles. */
const ATTEMPTS = 3;
const FIRST_CEILING_MILLISECONDS = 100;
const FIRST_THROTTLED_CEILING_MILLISECONDS = 500;

/**
 * A Secrets Manager client over the sandbox's service, in the same process: no HTTP, but the same commands, versions, stages,
 * quotas and exceptions, the SDK's retries, and the Date header that the reader looks at.
 *
 * @param beforeRequest Throws an AwsError to fail a request, and answers in the service's place with what it returns.
 * @param afterRequest Throws an AwsError to lose the answer of a request that was carried out.
 * @param latency Milliseconds that a request takes to arrive: 5-25 unless told.
 */
export function createSimulatedClient({
  service,
  time,
  random,
  beforeRequest,
  afterRequest,
  latency,
}: {
  service: Pick<SecretsManager, 'handle'>;
  time: SimulatedTime;
  random: SeededRandom;
  beforeRequest: (operation: string, input: Fields) => Fields | undefined;
  afterRequest: (operation: string, input: Fields, output: Fields) => void;
  latency?: (operation: string) => number;
}): SimulatedClient {
  async function request(operation: string, input: Fields, signal: AbortSignal | undefined) {
    await time.sleep(latency?.(operation) ?? random.between(5, 25), signal);
    if (signal?.aborted) throw new DOMException('Request aborted', 'AbortError');
    const instead = beforeRequest(operation, input);
    if (instead) return instead;
    const output = await service.handle(operation, { ...input });
    afterRequest(operation, input, output);
    return output;
  }

  async function withRetries(operation: string, input: Fields, signal: AbortSignal | undefined) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await request(operation, input, signal);
      } catch (error) {
        if (!(error instanceof AwsError)) throw error;
        const throttled = error.type === 'ThrottlingException';
        if (attempt === ATTEMPTS || !(throttled || error.status >= 500)) throw exceptionOf(error);
        const ceiling = throttled ? FIRST_THROTTLED_CEILING_MILLISECONDS : FIRST_CEILING_MILLISECONDS;
        await time.sleep(random.between(0, ceiling * 2 ** (attempt - 1)), signal);
      }
    }
  }

  async function send(command: GetSecretValueCommand, options?: { abortSignal?: AbortSignal }) {
    const operation = operations.get(command.constructor);
    if (operation === undefined) throw new TypeError(`The simulator has no ${command.constructor.name}.`);
    // What the caller added to the command runs as it does in a client; the SDK's own steps would only serialise.
    const run = command.middlewareStack.resolve(async () => {
      const output = await withRetries(operation, { ...command.input }, options?.abortSignal);
      const headers = { date: new Date(time.now()).toUTCString() };
      return { response: { statusCode: 200, headers }, output: { $metadata: {}, ...output, ...dates(output) } };
    }, {});
    return (await run({ input: command.input })).output;
  }

  return { send: send as SimulatedClient['send'] };
}

/** On the wire an instant is a number of seconds; the SDK makes it a Date. */
const dates = ({ CreatedDate: seconds }: Record<string, unknown>) =>
  typeof seconds === 'number' ? { CreatedDate: new Date(seconds * 1000) } : {};

function exceptionOf({ type, message, status }: AwsError): Error {
  const options = { message, $metadata: { httpStatusCode: status } };
  switch (type) {
    case 'ResourceExistsException':
      return new ResourceExistsException(options);
    case 'ResourceNotFoundException':
      return new ResourceNotFoundException(options);
    case 'InvalidParameterException':
      return new InvalidParameterException(options);
    case 'InvalidRequestException':
      return new InvalidRequestException(options);
    case 'LimitExceededException':
      return new LimitExceededException(options);
    default:
      return new SecretsManagerServiceException({ ...options, name: type, $fault: status < 500 ? 'client' : 'server' });
  }
}
