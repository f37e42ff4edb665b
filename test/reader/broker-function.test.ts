import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AwsError } from '../../sandbox/aws/server.ts';
import { TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import type { TokenReaderError } from '../../src/reader/reader.ts';
import { type Consumer, denied, failureOf, openConsumer, sdkError } from './open-consumer.ts';

let consumer: Consumer;
beforeEach(async () => {
  consumer = await openConsumer();
});
afterEach(() => consumer.close());

const withBroker = () => ({ brokerFunctionName: 'broker', lambda: consumer.lambda });
const notFound = async (): Promise<never> => {
  throw new AwsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
};
const deleted = async (): Promise<never> => {
  throw new AwsError('InvalidRequestException', 'because it was marked for deletion');
};
const throttled = async (): Promise<never> => {
  throw new AwsError('ThrottlingException', 'Rate exceeded');
};
const down = async (): Promise<never> => {
  throw new AwsError('InternalServiceError', 'An error occurred on the server side.', 500);
};

const refuse = (fault: typeof notFound) => {
  consumer.secretFault = fault;
};

/** Text that must never be seen outside of the secret. */
const PRECIOUS = 'eyJhbGciOiJFUzI1NiJ9.precious.precious';

const troubles: readonly {
  name: string;
  code: TokenReaderError['code'];
  retryable: boolean;
  words: RegExp;
  arrange: () => Promise<void> | void;
}[] = [
  {
    name: 'does not exist',
    code: 'TOKEN_SECRET_MISSING',
    retryable: false,
    words: /ResourceNotFoundException.*secretId/,
    arrange: () => refuse(notFound),
  },
  {
    name: 'is scheduled for deletion',
    code: 'TOKEN_SECRET_MISSING',
    retryable: false,
    words: /scheduled for deletion/,
    arrange: () => refuse(deleted),
  },
  {
    name: 'may not be read',
    code: 'TOKEN_SECRET_DENIED',
    retryable: false,
    words: /secretsmanager:GetSecretValue/,
    arrange: () => refuse(denied),
  },
  {
    name: 'is throttled',
    code: 'TOKEN_SECRET_UNREADABLE',
    retryable: true,
    words: /ThrottlingException/,
    arrange: () => refuse(throttled),
  },
  {
    name: 'cannot be read',
    code: 'TOKEN_SECRET_UNREADABLE',
    retryable: true,
    words: /InternalServiceError \(HTTP 500/,
    arrange: () => refuse(down),
  },
  {
    name: 'is empty',
    code: 'TOKEN_SECRET_EMPTY',
    retryable: true,
    words: /holds no token yet/,
    arrange: () => consumer.store(' '),
  },
  {
    name: 'is not JSON',
    code: 'TOKEN_SECRET_MALFORMED',
    retryable: false,
    words: /it is not JSON/,
    arrange: () => consumer.store(PRECIOUS),
  },
  {
    name: 'lacks a field',
    code: 'TOKEN_SECRET_MALFORMED',
    retryable: false,
    words: /field token_type/,
    arrange: () => consumer.store(JSON.stringify({ access_token: PRECIOUS })),
  },
  {
    name: 'holds an expired token',
    code: 'TOKEN_EXPIRED',
    retryable: true,
    words: /expired 21 minutes ago; it was obtained 36 minutes ago.*brokerFunctionName/,
    arrange: () => consumer.advance(36 * 60),
  },
];

describe.each(troubles)('a token secret that $name', ({ code, retryable, words, arrange }) => {
  beforeEach(() => arrange());

  it('is named in an error that says what to check, and leaks nothing', async () => {
    const error = await failureOf(consumer.reader().token());
    expect(error).toMatchObject({ name: 'TokenReaderError', code, retryable });
    expect(error.message).toMatch(words);
    expect(error.message).toContain(TOKEN_SECRET);
    const shown = inspect(error, { depth: 10, showHidden: true });
    expect(shown).not.toMatch(/precious|eyJ|assumed-role|Rate exceeded/);
    expect(error.cause).toBeUndefined();
  });

  it('costs a caller nothing when the broker can be asked', async () => {
    const token = await consumer.reader(withBroker()).token();
    expect(token.expires_at * 1000).toBeGreaterThan(consumer.bank.clock.now());
    expect(token).not.toHaveProperty('source');
    expect(token.answered_at).toBe(token.expires_at - token.expires_in);
    expect(consumer.invocations).toHaveLength(1);
  });
});

describe('a broker that cannot help', () => {
  beforeEach(() => consumer.advance(1_000));
  const fail = async (error: unknown) => {
    consumer.brokerFault = async () => {
      throw error;
    };
    return failureOf(consumer.reader(withBroker()).token());
  };

  it('is told by its own code and correlation id, never by its message', async () => {
    const error = await fail(Object.assign(new Error(PRECIOUS), { name: 'SIGNING_FAILED' }));
    expect(error).toMatchObject({ code: 'BROKER_FAILED', retryable: true });
    expect(error.message).toContain('SIGNING_FAILED');
    expect(error.message).toContain(String(consumer.invocations[0]?.['correlation_id']));
    expect(error.message).toContain('expired');
    expect(inspect(error)).not.toContain('precious');
  });

  it('has an error of its own kind that is not repeated', async () => {
    const error = await fail(Object.assign(new Error('x'), { name: PRECIOUS }));
    expect(error.message).toContain('an error without a code');
    expect(inspect(error)).not.toContain('precious');
  });

  it.each([
    ['AccessDeniedException', 'BROKER_DENIED', /lambda:InvokeFunction/],
    ['ResourceNotFoundException', 'BROKER_DENIED', /brokerFunctionName/],
    ['TooManyRequestsException', 'BROKER_UNREACHABLE', /TooManyRequestsException/],
  ])('says %s as %s', async (name, code, words) => {
    const error = await fail(sdkError(name));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(words);
    expect(error.message).not.toContain('foreign');
  });

  it.each([null, 'text', [], {}, { access_token: PRECIOUS, expires_at: 1, expires_in: 1, obtained_at: 1 }])(
    'answers something else: %j',
    async (answer) => {
      consumer.brokerFault = async () => answer;
      const error = await failureOf(consumer.reader(withBroker()).token());
      expect(error.code).toBe('BROKER_FAILED');
      expect(error.message).toContain('is not a token record');
      expect(error.message).not.toContain('precious');
    },
  );

  it('is not waited for too long', async () => {
    consumer.brokerFault = () => new Promise(() => {});
    const late = failureOf(consumer.reader(withBroker()).token());
    while (consumer.invocations.length === 0) await new Promise((resolve) => setImmediate(resolve));
    consumer.clock.timeOut();
    expect(await late).toMatchObject({ code: 'BROKER_UNREACHABLE', retryable: true });
  });
});

it('is asked once for callers with the same wish, and again for one that wants more', async () => {
  consumer.advance(1_000);
  const reader = consumer.reader(withBroker());
  const [first, second] = await Promise.all([
    reader.token({ minRemainingSeconds: 60 }),
    reader.token({ minRemainingSeconds: 840 }),
    reader.token({ minRemainingSeconds: 30 }),
  ]);
  expect(second).toEqual(first);
  expect(consumer.invocations.map((event) => event['min_remaining_seconds'])).toEqual([60, 840]);
  expect(consumer.exchanges()).toBe(1);
});

it('speaks the real protocol of Lambda', async () => {
  consumer.advance(1_000);
  const requests: string[] = [];
  const body = async (incoming: IncomingMessage) => Buffer.concat(await incoming.toArray()).toString();
  const server = createServer(async (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const answer = await consumer.bank.container().send(JSON.parse(await body(request)));
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const credentials = { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' };
  const lambda = new LambdaClient({ region: 'eu-west-1', endpoint, credentials });
  try {
    const token = await consumer.reader({ brokerFunctionName: 'd1-token-broker', lambda }).token();
    expect(token.expires_at * 1000).toBeGreaterThan(consumer.bank.clock.now());
    expect(requests).toEqual(['POST /2015-03-31/functions/d1-token-broker/invocations']);
  } finally {
    lambda.destroy();
    server.closeAllConnections();
    server.close();
  }
});
