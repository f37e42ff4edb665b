import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  LimitExceededException,
  PutSecretValueCommand,
  ResourceExistsException,
  ResourceNotFoundException,
  SecretsManagerServiceException,
} from '@aws-sdk/client-secrets-manager';
import { AwsError } from '../sandbox/aws/aws-error.ts';
import type { SecretsManager } from '../sandbox/aws/secrets-manager.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedTime } from './simulated-time.ts';

export type SimulatedClient = Pick<SecretsManagerClient, 'send'>;

const operations = new Map<unknown, string>([
  [GetSecretValueCommand, 'GetSecretValue'],
  [PutSecretValueCommand, 'PutSecretValue'],
  [DescribeSecretCommand, 'DescribeSecret'],
]);

/** As the SDK's standard retry mode: three attempts, full jitter below a ceiling that doubles. */
const ATTEMPTS = 3;
const FIRST_CEILING_MILLISECONDS = 100;
const FIRST_THROTTLED_CEILING_MILLISECONDS = 500;

/**
 * A Secrets Manager client over the sandbox's service, in the same process: no HTTP, but the same commands, versions, stages,
 * quotas and exceptions, the SDK's retries, and the Date header that the reader looks at.
 *
 * @param beforeRequest Throws an AwsError to fail a request.
 */
export function createSimulatedClient({
  service,
  time,
  random,
  beforeRequest,
  afterRequest,
}: {
  service: SecretsManager;
  time: SimulatedTime;
  random: SeededRandom;
  beforeRequest: (operation: string) => void;
  afterRequest: (operation: string) => void;
}): SimulatedClient {
  async function request(operation: string, input: object, signal: AbortSignal | undefined) {
    await time.sleep(random.between(5, 25), signal);
    if (signal?.aborted) throw new DOMException('Request aborted', 'AbortError');
    beforeRequest(operation);
    const output = await service.handle(operation, { ...input });
    afterRequest(operation);
    return output;
  }

  async function withRetries(operation: string, input: object, signal: AbortSignal | undefined) {
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
      const output = await withRetries(operation, command.input, options?.abortSignal);
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
    case 'LimitExceededException':
      return new LimitExceededException(options);
    default:
      return new SecretsManagerServiceException({ ...options, name: type, $fault: status < 500 ? 'client' : 'server' });
  }
}
