import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AwsError } from '../../sandbox/aws/server.ts';
import { CLIENT_CERTIFICATE_SECRET, type SandboxOptions, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { BrokerError } from '../../src/errors.ts';
import { Journal } from '../../src/invocation.ts';
import { createTelemetry, type Invocation } from '../../src/telemetry.ts';
import { type Bank, openBank } from '../support/bank.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type CapturedOutput, captureOutput } from './captured-output.ts';

let output: CapturedOutput;
let bank: Bank | undefined;
const open = async (options: Omit<SandboxOptions, 'clock'> = {}) => {
  bank = await openBank(options);
  return bank;
};

beforeEach(() => {
  output = captureOutput();
});
afterEach(async () => {
  await bank?.close();
  bank = undefined;
  vi.restoreAllMocks();
});

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Certificates are dated by the machine's clock, a moment after the test's. */
const aboutAYear = expect.toBeOneOf([364, 365]);
const d1IsDown = { status: 503, headers: {}, body: '', outcome: 'down' };
const own = { service: 'd1-token-broker', issuer_id: 'ISSUER0001' };

/** Name -> unit and value, of the metrics without a dimension of their own. */
const totals = () =>
  Object.fromEntries(
    output
      .metrics()
      .filter(({ dimensions }) => !('error_code' in dimensions))
      .map(({ name, unit, value }) => [name, [unit, value]]),
  );

const failures = () => output.metrics().filter(({ name }) => name === 'Failures');

describe('the log', () => {
  it('has one line for a tick, with all that there is to know of it', async () => {
    const { container } = await open();
    const { version_id, expires_at } = await container().tick();

    expect(output.logs()).toEqual([
      {
        level: 'INFO',
        message: 'refresh: missing',
        timestamp: expect.any(String),
        service: 'd1-token-broker',
        sampling_rate: 0,
        outcome: 'ok',
        action: 'refresh',
        issuer_id: 'ISSUER0001',
        correlation_id: expect.stringMatching(uuid),
        duration_milliseconds: 0,
        step_milliseconds: { read_secret: 0, load_certificate: 0, sign: 0, exchange: 0, write_secret: 0 },
        exchange_attempts: 1,
        certificate_days_left: aboutAYear,
        seconds_left: 900,
        reason: 'missing',
        refreshed: true,
        version_id,
        expires_at,
      },
    ]);
  });

  it('has one line for a tick that has nothing to do', async () => {
    const { clock, container } = await open();
    await container().tick();
    clock.advance(100_000);
    output.clear();
    const { version_id } = await container().tick();

    expect(output.logs()).toMatchObject([
      { message: 'refresh: fresh', outcome: 'ok', refreshed: false, version_id, seconds_left: 800 },
    ]);
  });

  it('has one line for each call, with the correlation id that D1 has seen', async () => {
    const { sandbox, clock, container } = await open();
    const warm = container();
    await warm.token({ correlation_id: 'payment-1' });
    await warm.token({ correlation_id: 'payment-2' });
    clock.advance(60_000);
    await container().token({ correlation_id: 'payment-3' });

    expect(output.logs()).toMatchObject([
      { message: 'token: exchange', source: 'exchange', correlation_id: 'payment-1', seconds_left: 900 },
      { message: 'token: memory', source: 'memory', correlation_id: 'payment-2', seconds_left: 900 },
      { message: 'token: secret', source: 'secret', correlation_id: 'payment-3', seconds_left: 840 },
    ]);
    expect(sandbox.calls.all().find(({ service }) => service === 'd1')?.requestId).toBe('payment-1');
  });

  it('has one line for each step of a rotation, with the version that it makes', async () => {
    const { sandbox, container } = await open();
    const version = '1f0c8f6e-7d2b-4a55-9a0e-5c3f7f1f2a3b';
    await sandbox.secretsManager.handle('RotateSecret', {
      SecretId: TOKEN_SECRET,
      ClientRequestToken: version,
      RotationLambdaARN: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
    });
    const steps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'];
    for (const Step of steps) {
      await container().send({ Step, SecretId: TOKEN_SECRET, ClientRequestToken: version });
    }

    expect(output.logs()).toMatchObject(
      steps.map((reason) => ({ message: `rotate: ${reason}`, outcome: 'ok', action: 'rotate', version_id: version })),
    );
  });

  it('has one line for an event that is refused', async () => {
    const { container } = await open();
    await expect(container().send({ action: 'delete' })).rejects.toMatchObject({ code: 'EVENT_INVALID' });

    expect(output.logs()).toMatchObject([
      {
        level: 'ERROR',
        message: 'The event cannot be understood: field action must be ("token" | "refresh" | "check").',
        outcome: 'failed',
        action: 'unknown',
        error_code: 'EVENT_INVALID',
        retryable: false,
        remedy: 'The README lists the accepted events.',
        tried_again: 'no, only a change can help: see remedy',
        issuer_id: 'ISSUER0001',
        correlation_id: expect.stringMatching(uuid),
      },
    ]);
  });

  it('has one line for a tick that failed, with what is left of the token that stays', async () => {
    let isDown = false;
    const { clock, container } = await open({
      d1Intercept: async (_request, next) => (isDown ? d1IsDown : await next()),
    });
    await container().tick();
    clock.advance(700_000);
    output.clear();
    isDown = true;
    const once = container({ environment: { D1_EXCHANGE_ATTEMPTS: '1' } });
    const error: BrokerError = await once.tick().catch((thrown) => thrown);
    const [line, ...others] = output.logs();

    expect(others).toEqual([]);
    expect(line).toMatchObject({
      level: 'ERROR',
      message: 'The token endpoint is not available: HTTP 503.',
      outcome: 'failed',
      action: 'refresh',
      error_code: 'TOKEN_ENDPOINT_UNREACHABLE',
      retryable: true,
      exchange_attempts: 1,
      seconds_left: 200,
      tried_again: 'yes, by the next tick, within a minute',
    });
    expect(error).toMatchObject({ correlationId: line?.['correlation_id'], issuerId: line?.['issuer_id'] });
  });

  it('tells the time of each step', async () => {
    const { clock, container } = await open({
      awsIntercept: async ({ operation }, next) => {
        if (operation === 'GetSecretValue') bank?.clock.advance(3);
        if (operation === 'Sign') bank?.clock.advance(7);
        if (operation === 'PutSecretValue') bank?.clock.advance(13);
        return await next();
      },
      d1Intercept: async (_request, next) => {
        bank?.clock.advance(11);
        return await next();
      },
    });
    const warm = container();
    await warm.tick();
    clock.advance(700_000);
    output.clear();
    await warm.tick();

    expect(output.logs()).toMatchObject([
      {
        duration_milliseconds: 34,
        step_milliseconds: { read_secret: 3, load_certificate: 0, sign: 7, exchange: 11, write_secret: 13 },
      },
    ]);
  });

  it('warns at once, before what it warns of is overwritten', async () => {
    let saidBeforeTheWrite = '';
    const { sandbox, container } = await open({
      awsIntercept: async ({ operation }, next) => {
        if (operation === 'PutSecretValue') saidBeforeTheWrite = output.text();
        return await next();
      },
    });
    await sandbox.secretsManager.handle('PutSecretValue', {
      SecretId: TOKEN_SECRET,
      ClientRequestToken: '1f0c8f6e-7d2b-4a55-9a0e-5c3f7f1f2a3b',
      SecretString: '{"password": "of somebody else"}',
    });
    await container().tick();

    expect(saidBeforeTheWrite).toContain('TOKEN_SECRET_FOREIGN');
    const [warning, line, ...others] = output.logs();
    expect(others).toEqual([]);
    expect(warning).toMatchObject({
      level: 'WARN',
      message: expect.stringContaining(`The token secret ${TOKEN_SECRET} holds a value that the broker did not write`),
      error_code: 'TOKEN_SECRET_FOREIGN',
      remedy: expect.stringContaining('AWSPREVIOUS'),
      issuer_id: 'ISSUER0001',
      correlation_id: line?.['correlation_id'],
    });
    expect(line).toMatchObject({ outcome: 'ok', reason: 'foreign', refreshed: true });
    expect(output.text()).not.toContain('of somebody else');
  });

  it('warns of a token that was handed out and could not be stored', async () => {
    const { container } = await open({
      awsIntercept: async ({ operation }, next) => {
        if (operation === 'PutSecretValue') throw new AwsError('LimitExceededException', 'too many versions');
        return await next();
      },
    });
    expect((await container().token()).source).toBe('exchange');

    expect(output.logs()).toMatchObject([
      { level: 'WARN', error_code: 'TOKEN_STORE_QUOTA_EXCEEDED' },
      { level: 'INFO', outcome: 'ok', source: 'exchange', seconds_left: 0 },
    ]);
    expect(failures()).toMatchObject([{ value: 1, dimensions: { error_code: 'TOKEN_STORE_QUOTA_EXCEEDED' } }]);
  });
});

describe('a failure says whether it is tried again', () => {
  const invocation = (kind: Invocation['kind']): Invocation => ({
    kind,
    correlationId: 'payment-42',
    journal: new Journal(new FakeClock(), () => {}),
    durationMilliseconds: 0,
  });
  const failure = (retryable: boolean) =>
    new BrokerError({ code: 'SIGNING_FAILED', what: 'KMS did not sign.', remedy: 'Wait.', retryable });

  it.each([
    [
      'refresh',
      'yes, by the next tick, within a minute',
      'every minute by the next tick, but only a change can help: see remedy',
    ],
    [
      'rotate',
      'yes, Secrets Manager repeats the step',
      'by Secrets Manager, which repeats the step, but only a change can help: see remedy',
    ],
    ['token', 'only if the caller asks again', 'only if the caller asks again, but only a change can help: see remedy'],
    ['unknown', 'no', 'no, only a change can help: see remedy'],
  ] as const)('of a %s: %s; or, where it would be in vain: %s', (kind, helpful, inVain) => {
    const telemetry = createTelemetry('ISSUER0001', new FakeClock());
    telemetry.failed(invocation(kind), failure(true));
    telemetry.failed(invocation(kind), failure(false));

    expect(output.logs().map((line) => line['tried_again'])).toEqual([helpful, inVain]);
  });

  it.each(['refresh', 'rotate', 'token', 'unknown'] as const)(
    'of a %s: never yes where only a change can help',
    (kind) => {
      createTelemetry('ISSUER0001', new FakeClock()).failed(invocation(kind), failure(false));

      expect(output.logs()[0]?.['tried_again']).toMatch(/^(?!yes).* only a change can help: see remedy$/);
    },
  );

  it('and counts against no issuer, when none is known', () => {
    createTelemetry(undefined, new FakeClock()).failed(invocation('unknown'), failure(false));

    expect(output.logs()).toHaveLength(1);
    expect(output.logs()[0]).not.toHaveProperty('issuer_id');
    expect(output.metrics().map(({ name, dimensions }) => [name, dimensions])).toEqual([
      ['Failures', { service: 'd1-token-broker', error_code: 'SIGNING_FAILED' }],
    ]);
  });
});

describe('the metrics', () => {
  it('of a refresh, of a tick that has nothing to do, of a call that read the secret: what is left of the token', async () => {
    const { container } = await open();
    const tellsSecondsLeft = async (work: () => Promise<unknown>) => {
      output.clear();
      await work();
      expect(totals()).toEqual({ SecondsLeft: ['Seconds', 900] });
      for (const { namespace, dimensions } of output.metrics()) {
        expect(namespace).toBe('D1TokenBroker');
        expect(dimensions).toEqual(own);
      }
    };
    await tellsSecondsLeft(() => container().tick());
    await tellsSecondsLeft(() => container().tick());
    await tellsSecondsLeft(() => container().token());
  });

  it('of a call that is answered from memory: none', async () => {
    const { container } = await open();
    const warm = container();
    await warm.token();
    output.clear();
    await warm.token();

    expect(output.metrics()).toEqual([]);
    expect(output.logs()).toMatchObject([{ source: 'memory' }]);
  });

  it('carry the stage, so that two stages with one issuer share none', () => {
    const journal = new Journal(new FakeClock(), () => {});
    journal.storedExpiresAt = 2_000_000_000;
    const invocation: Invocation = { kind: 'refresh', correlationId: 'tick-1', journal, durationMilliseconds: 0 };
    const error = new BrokerError({ code: 'SIGNING_FAILED', what: 'No.', remedy: 'Wait.', retryable: true });
    const identities = ['staging', 'production'].map((stage) => {
      output.clear();
      createTelemetry('ISSUER0001', new FakeClock(), stage).failed(invocation, error);
      return output.metrics().map(({ name, dimensions }) => JSON.stringify([name, dimensions]));
    });

    expect(identities[0]).toHaveLength(2);
    expect(identities[0]?.filter((identity) => identities[1]?.includes(identity))).toEqual([]);
    expect(output.metrics()[0]?.dimensions).toMatchObject({ ...own, stage: 'production' });
  });

  it('of a refresh that failed: how long consumers still have, and the failure by its code', async () => {
    let isDown = false;
    const { clock, container } = await open({
      d1Intercept: async (_request, next) => (isDown ? d1IsDown : await next()),
    });
    await container().tick();
    clock.advance(700_000);
    output.clear();
    isDown = true;
    await expect(container({ environment: { D1_EXCHANGE_ATTEMPTS: '1' } }).tick()).rejects.toThrow();

    expect(totals()).toEqual({ SecondsLeft: ['Seconds', 200] });
    expect(failures()).toEqual([
      {
        name: 'Failures',
        unit: 'Count',
        value: 1,
        namespace: 'D1TokenBroker',
        dimensions: { ...own, error_code: 'TOKEN_ENDPOINT_UNREACHABLE' },
      },
    ]);
  });

  it('of a token that is dead: nothing left, and never less', async () => {
    let isDown = false;
    const { clock, container } = await open({
      d1Intercept: async (_request, next) => (isDown ? d1IsDown : await next()),
    });
    await container().tick();
    clock.advance(2_000_000);
    output.clear();
    isDown = true;
    await expect(container().tick()).rejects.toThrow();

    expect(totals()).toMatchObject({ SecondsLeft: ['Seconds', 0] });
  });

  it('of a secret that holds no token: nothing left', async () => {
    const { container } = await open({ d1Intercept: async () => d1IsDown });
    await expect(container().tick()).rejects.toThrow();

    expect(totals()).toMatchObject({ SecondsLeft: ['Seconds', 0] });
  });

  it('of a secret that could not be read: nobody knows what is left, so nothing is said', async () => {
    const { sandbox, container } = await open();
    await sandbox.secretsManager.handle('DeleteSecret', { SecretId: TOKEN_SECRET });
    await expect(container().tick()).rejects.toMatchObject({ code: 'TOKEN_SECRET_MISSING' });

    expect(totals()).toEqual({});
    expect(failures()).toMatchObject([{ dimensions: { error_code: 'TOKEN_SECRET_MISSING' } }]);
  });

  it('tell at every refresh when the client certificate ends, if that is within 30 days', async () => {
    const { sandbox, container, clock } = await open();
    const notAfter = new Date(clock.now() + 10.5 * 86_400_000);
    await sandbox.secretsManager.handle('PutSecretValue', {
      SecretId: CLIENT_CERTIFICATE_SECRET,
      ClientRequestToken: '1f0c8f6e-7d2b-4a55-9a0e-5c3f7f1f2a3b',
      SecretString: await sandbox.clientCertificateSecret({ notAfter }),
    });
    await container().tick();

    expect(totals()).toMatchObject({ CertificateDaysLeft: ['Count', 10] });
    expect(output.logs()).toMatchObject([{ certificate_days_left: 10 }]);
  });

  it('and else in one hour of the day, because a metric is paid by the hour in which it is told', async () => {
    const hours: number[] = [];
    for (let hour = 0; hour < 24; hour += 1) {
      const clock = new FakeClock({ startsAt: Date.UTC(2026, 10, 25, hour, 30) });
      const journal = new Journal(clock, () => {});
      journal.certificateDaysLeft = 30;
      output.clear();
      const invocation: Invocation = { kind: 'refresh', correlationId: 'tick-1', journal, durationMilliseconds: 0 };
      createTelemetry('ISSUER0001', clock).succeeded(invocation, { reason: 'due' });
      if ('CertificateDaysLeft' in totals()) hours.push(hour);
    }
    expect(hours).toEqual([6]);
  });

  it('of one invocation stay out of the next', async () => {
    const { container } = await open();
    const warm = container();
    await expect(warm.send([])).rejects.toMatchObject({ code: 'EVENT_INVALID' });
    output.clear();
    await warm.tick();

    expect(failures()).toEqual([]);
    expect(totals()).toEqual({ SecondsLeft: ['Seconds', 900] });
  });
});
