import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import type { Context } from 'aws-lambda';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Sandbox, startSandbox, TOKEN_SECRET } from '../sandbox/sandbox.ts';
import { createApp } from '../src/app.ts';
import { createKmsClient, createSecretsManagerClient } from '../src/aws/clients.ts';
import { readConfig } from '../src/config.ts';
import { BrokerError } from '../src/errors.ts';
import type { TickAnswer, TokenAnswer } from '../src/events.ts';
import { createParts } from '../src/parts.ts';
import { createTelemetry } from '../src/telemetry.ts';
import { type Bank, openBank, schedulerTick, storedToken } from './support/bank.ts';
import { FakeClock } from './support/fake-clock.ts';
import { type CapturedOutput, captureOutput } from './telemetry/captured-output.ts';

let output: CapturedOutput;
const opened: { close(): Promise<void> }[] = [];
const keep = <T extends { close(): Promise<void> }>(open: T): T => {
  opened.push(open);
  return open;
};

beforeEach(() => {
  output = captureOutput();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((open) => open.close()));
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const context = {
  awsRequestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef',
  functionName: 'd1-token-broker',
  functionVersion: '$LATEST',
  invokedFunctionArn: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
  memoryLimitInMB: '256',
  getRemainingTimeInMillis: () => 30_000,
} as Context;

/** A Lambda container of its own: the module as it is loaded with these environment variables. */
async function coldStart(environment: Record<string, string>) {
  for (const [variable, value] of Object.entries(environment)) vi.stubEnv(variable, value);
  vi.resetModules();
  const { handler } = await import('../src/handler.ts');
  return (event: unknown) => handler(event, context);
}

const failureOf = (answer: Promise<unknown>): Promise<BrokerError> =>
  answer.then(
    () => {
      throw new Error('the event was answered');
    },
    (error) => error,
  );

describe('the Lambda handler', () => {
  describe('of a function that is configured', () => {
    let sandbox: Sandbox;
    beforeEach(async () => {
      sandbox = keep(await startSandbox());
    });

    it('answers a tick with what it did, and never with the token', async () => {
      const handler = await coldStart(sandbox.environment);
      const answer = await handler(schedulerTick);
      const { versionId, record } = await storedToken(sandbox);

      expect(answer).toEqual({
        refreshed: true,
        reason: 'missing',
        expires_at: record['expires_at'],
        version_id: versionId,
      });
      expect(JSON.stringify(answer)).not.toContain(record['access_token']);
    });

    it('keeps what it knows from one event to the next', async () => {
      const handler = await coldStart(sandbox.environment);
      await handler(schedulerTick);
      const before = sandbox.calls.mark();
      const answer = (await handler({})) as TokenAnswer;

      expect(answer.source).toBe('memory');
      expect(sandbox.calls.since(before)).toEqual([]);
    });

    it('logs whose invocation it was', async () => {
      const handler = await coldStart(sandbox.environment);
      await handler({ correlation_id: 'payment-42' });

      expect(output.logs()).toMatchObject([
        {
          function_request_id: context.awsRequestId,
          function_name: 'd1-token-broker',
          correlation_id: 'payment-42',
          outcome: 'ok',
        },
      ]);
    });

    it('writes less when it is told to', async () => {
      const handler = await coldStart({ ...sandbox.environment, POWERTOOLS_LOG_LEVEL: 'WARN' });
      await handler({});

      expect(output.logs()).toEqual([]);
      expect(output.metrics().map(({ name }) => name)).toContain('SecondsLeft');
    });

    it('fails with a code that Lambda reports as errorType, and says whose event it was', async () => {
      sandbox.d1.removeIssuer('ISSUER0001');
      const handler = await coldStart(sandbox.environment);
      const error = await failureOf(handler({ correlation_id: 'payment-42' }));

      expect(error.name).toBe('TOKEN_ENDPOINT_REJECTED');
      expect(error.code).toBe(error.name);
      expect(error.message).toContain('[issuer ISSUER0001, correlation id payment-42]');
      expect(error).toMatchObject({ issuerId: 'ISSUER0001', correlationId: 'payment-42', retryable: false });
    });
  });

  describe('of a function that is not configured well', () => {
    const events = [schedulerTick, {}, { action: 'token' }, { action: 'refresh' }, null, 'anything'];

    it('answers every event with CONFIG_INVALID, and calls nobody', async () => {
      const sandbox = keep(await startSandbox());
      const handler = await coldStart({ ...sandbox.environment, D1_ENVIRONMENT: 'prod', D1_EXCHANGE_ATTEMPTS: '9' });
      for (const event of events) {
        const error = await failureOf(handler(event));
        expect(error.name).toBe('CONFIG_INVALID');
        expect(error).toMatchObject({ code: 'CONFIG_INVALID', retryable: false });
        expect(error.message).toMatch(
          /^The configuration has 2 fault\(s\): D1_ENVIRONMENT is "prod"; .*D1_EXCHANGE_ATTEMPTS is "9".* \[issuer ISSUER0001, correlation id [0-9a-f-]{36}\] Trying again will not help\. .*docs\/configuration\.md/,
        );
      }
      expect(sandbox.calls.all()).toEqual([]);
    });

    it('says so in one clear line for each', async () => {
      const handler = await coldStart({ D1_ISSUER_ID: 'ISSUER0001' });
      const errors: BrokerError[] = [];
      for (const event of events) errors.push(await failureOf(handler(event)));

      expect(output.logs()).toMatchObject(
        errors.map(({ what, correlationId }) => ({
          level: 'ERROR',
          message: what,
          outcome: 'failed',
          action: 'unknown',
          error_code: 'CONFIG_INVALID',
          issuer_id: 'ISSUER0001',
          correlation_id: correlationId,
          tried_again: 'no, only a change can help: see remedy',
        })),
      );
      expect(new Set(errors.map(({ correlationId }) => correlationId)).size).toBe(events.length);
      const counted = output.metrics().filter(({ name }) => name === 'Failures');
      expect(counted).toHaveLength(events.length);
      const dimensions = { service: 'd1-token-broker', issuer_id: 'ISSUER0001', error_code: 'CONFIG_INVALID' };
      expect(counted[0]?.dimensions).toEqual(dimensions);
    });
  });
});

describe('the broker behind it', () => {
  let bank: Bank;
  const open = async (...options: Parameters<typeof openBank>) => {
    bank = keep(await openBank(...options));
    return bank;
  };

  it('answers a caller with the token record, and how long it lives from now', async () => {
    const { sandbox, clock, container } = await open();
    await container().tick();
    const { record } = await storedToken(sandbox);
    clock.advance(100_000);

    expect(await container().token()).toEqual({
      ...record,
      expires_in: 800,
      answered_at: Number(record['expires_at']) - 800,
      source: 'secret',
    });
    expect(record['expires_in']).toBe(900);
  });

  it('answers a tick that finds the token fresh', async () => {
    const { container } = await open();
    const first: TickAnswer = await container().tick();

    expect(await container().tick()).toEqual({ ...first, refreshed: false, reason: 'fresh' });
  });

  it('answers a rotation step with nothing', async () => {
    const { sandbox, container } = await open();
    const version = randomUUID();
    await sandbox.secretsManager.handle('RotateSecret', {
      SecretId: TOKEN_SECRET,
      ClientRequestToken: version,
      RotationLambdaARN: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
    });

    expect(
      await container().send({ Step: 'setSecret', SecretId: TOKEN_SECRET, ClientRequestToken: version }),
    ).toBeUndefined();
  });

  it('uses the correlation id of the event, or makes one', async () => {
    const { sandbox, container } = await open();
    await container().token({ force: true, correlation_id: 'payment-42' });
    bank.clock.advance(100_000);
    await container().token({ force: true, correlation_id: 'not valid!' });

    const [given, made] = sandbox.calls.all().filter(({ service }) => service === 'd1');
    expect(given?.requestId).toBe('payment-42');
    expect(made?.requestId).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  it('names issuer and correlation id in every error, the event that it can not read included', async () => {
    const { container } = await open();
    const error = await failureOf(container().send({ min_remaining_seconds: 841 }));

    expect(error).toBeInstanceOf(BrokerError);
    expect(error.message).toMatch(
      /field min_remaining_seconds must be <=840\. \[issuer ISSUER0001, correlation id [0-9a-f-]{36}\]/,
    );
  });

  it('keeps time for its answer: what is left of the invocation is not all there is to spend', async () => {
    const { sandbox, clock, container } = await open();
    const strict = () => container({ clock: new FakeClock({ startsAt: clock.now() }) });

    expect(await failureOf(strict().tick(3_249))).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      what: 'Not enough time was left: a refresh was not begun.',
    });
    expect(sandbox.calls.count('kms')).toBe(0);
    expect((await strict().tick(3_250)).refreshed).toBe(true);
  });

  describe('when something happens that nobody foresaw', () => {
    async function withBrokenRandom(thrown: unknown) {
      const { sandbox, clock } = await open();
      const config = readConfig(sandbox.environment);
      const place = {
        region: 'eu-west-1',
        endpoint: sandbox.environment['AWS_ENDPOINT_URL'] ?? '',
        credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
      };
      let made = 0;
      const random = {
        fraction: () => 0,
        // The first is the correlation id, the second the assertion's jti.
        uuid: () => {
          made += 1;
          if (made > 1) throw thrown;
          return 'made-first';
        },
      };
      const common = { config, clock, random };
      const parts = createParts({
        ...common,
        kms: createKmsClient(config.awsTimeoutMilliseconds, place),
        secretsManager: createSecretsManagerClient(config.awsTimeoutMilliseconds, place),
      });
      return createApp({
        ...common,
        ...parts,
        telemetry: createTelemetry(config.issuerId, clock),
      });
    }

    class ForeignError extends Error {
      readonly config = { headers: { authorization: 'Bearer canary-in-a-header' } };
    }

    it.each([
      ['an error', new ForeignError('canary-in-a-message', { cause: new Error('canary-in-a-cause') }), 'ForeignError'],
      ['a text', 'canary-in-a-text', 'string'],
      ['nothing', undefined, 'undefined'],
    ])('it says INTERNAL and keeps the rest to itself: %s', async (_what, thrown, kind) => {
      const app = await withBrokenRandom(thrown);
      const error = await failureOf(app(schedulerTick, { getRemainingTimeInMillis: () => 60_000 }));

      expect(error).toBeInstanceOf(BrokerError);
      expect(error).toMatchObject({ name: 'INTERNAL', code: 'INTERNAL', correlationId: 'made-first' });
      expect(error.what).toBe(`The broker failed in a way that it should not (${kind}).`);
      const everything = `${inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true })} ${output.text()}`;
      expect(everything).not.toContain('canary');
      expect(output.logs()).toMatchObject([{ error_code: 'INTERNAL', outcome: 'failed', action: 'refresh' }]);
    });
  });

  it('has nothing in a stack but its own sentence and where it was said', async () => {
    const { container } = await open({
      d1Intercept: async () => ({
        status: 400,
        headers: {},
        body: JSON.stringify({ error: 'invalid_grant' }),
        outcome: 'invalid_grant',
      }),
    });
    const error = await failureOf(container().tick());
    const [first, ...frames] = String(error.stack).split('\n');

    expect(first).toContain(error.message);
    for (const frame of frames) expect(frame).toMatch(/^ {4}at /);
  });
});
