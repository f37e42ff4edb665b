import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../src/errors.ts';
import { parseEvent } from '../src/events.ts';
import { schedulerTick } from './support/bank.ts';

/** As an EventBridge rule with a schedule sends it. */
const ruleTick = {
  ...schedulerTick,
  id: '53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa',
  source: 'aws.events',
  time: '2026-11-23T00:00:00Z',
  resources: ['arn:aws:events:eu-west-1:000000000000:rule/d1-token-broker'],
  detail: {},
};

const version = '1f0c8f6e-7d2b-4a55-9a0e-5c3f7f1f2a3b';
const secretArn = 'arn:aws:secretsmanager:eu-west-1:000000000000:secret:d1/access-token-a1B2c3';
const rotation = (Step: string) => ({ Step, SecretId: secretArn, ClientRequestToken: version });

const token = {
  kind: 'token',
  correlationId: undefined,
  minRemainingSeconds: 60,
  force: false,
  newerThan: undefined,
  refused: undefined,
};
const digest = '0123456789abcdef';
const refresh = { kind: 'refresh', correlationId: undefined };

function refusalOf(event: unknown): string {
  try {
    parseEvent(event);
  } catch (error) {
    expect(error).toBeInstanceOf(BrokerError);
    expect(error).toMatchObject({ code: 'EVENT_INVALID', retryable: false });
    return (error as BrokerError).what;
  }
  throw new Error('the event was accepted');
}

const notUnderstood = (why: string) => `The event cannot be understood: ${why}.`;

describe('an event', () => {
  describe('asks for a refresh', () => {
    it.each([
      ['when EventBridge Scheduler sends a tick', schedulerTick],
      ['when an EventBridge rule sends a tick', ruleTick],
      ['when it says so', { action: 'refresh' }],
    ])('%s', (_what, event) => {
      expect(parseEvent(event)).toEqual(refresh);
    });
  });

  describe('asks for a token', () => {
    it.each([
      ['when it is empty', {}, token],
      ['when it says so', { action: 'token' }, token],
      ['that lives long enough', { min_remaining_seconds: 300 }, { ...token, minRemainingSeconds: 300 }],
      ['that lives at all', { min_remaining_seconds: 0 }, { ...token, minRemainingSeconds: 0 }],
      ['that is as good as new', { min_remaining_seconds: 840 }, { ...token, minRemainingSeconds: 840 }],
      ['that is new', { action: 'token', force: true }, { ...token, force: true }],
      ['that may be old', { force: false }, token],
      ['newer than a refused one', { newer_than: 1_800_000_000 }, { ...token, newerThan: 1_800_000_000 }],
      ['newer than the first', { newer_than: 0 }, { ...token, newerThan: 0 }],
      ['newer than the last', { newer_than: 4_102_444_800 }, { ...token, newerThan: 4_102_444_800 }],
      ['that is not a refused one', { refused: digest }, { ...token, refused: digest }],
      ['that is not a refused one, in upper case', { refused: digest.toUpperCase() }, { ...token, refused: digest }],
      [
        'that is neither old nor refused',
        { action: 'token', min_remaining_seconds: 30, newer_than: 1, refused: digest, correlation_id: 'c' },
        { ...token, minRemainingSeconds: 30, newerThan: 1, refused: digest, correlationId: 'c' },
      ],
    ])('%s', (_what, event, command) => {
      expect(parseEvent(event)).toEqual(command);
    });
  });

  describe('is a step of a rotation', () => {
    it.each(['createSecret', 'setSecret', 'testSecret', 'finishSecret'])('%s', (step) => {
      const command = {
        kind: 'rotate',
        correlationId: undefined,
        step,
        secretId: secretArn,
        clientRequestToken: version,
      };

      expect(parseEvent(rotation(step))).toEqual(command);
      // Secrets Manager sends it too when the rotation assumes a role in another account.
      expect(parseEvent({ ...rotation(step), RotationToken: 'a-token-of-its-own' })).toEqual(command);
    });

    it.each([32, 64])('of a version whose id has %i characters', (length) => {
      const event = { ...rotation('testSecret'), ClientRequestToken: 'v'.repeat(length) };

      expect(parseEvent(event)).toMatchObject({ clientRequestToken: 'v'.repeat(length) });
    });
  });

  describe('may bring a correlation id', () => {
    it.each(['a', 'payment-42_B', 'x'.repeat(64)])('that D1 accepts: it is used (%s)', (correlation_id) => {
      expect(parseEvent({ correlation_id })).toMatchObject({ kind: 'token', correlationId: correlation_id });
      expect(parseEvent({ action: 'refresh', correlation_id })).toMatchObject({
        kind: 'refresh',
        correlationId: correlation_id,
      });
    });

    it.each([
      ['empty', ''],
      ['too long', 'x'.repeat(65)],
      ['with a space', 'payment 42'],
      ['with a line break', 'payment\n42'],
      ['not a text', 42],
      ['nothing', null],
      ['an object', { id: 'x' }],
    ])('that D1 would refuse: that is no reason to refuse a token (%s)', (_what, correlation_id) => {
      expect(parseEvent({ correlation_id })).toEqual(token);
      expect(parseEvent({ action: 'refresh', correlation_id })).toEqual(refresh);
    });
  });

  describe('is refused', () => {
    it.each([
      ['null', null],
      ['nothing', undefined],
      ['an array', [{}]],
      ['a text', '{"action":"token"}'],
      ['a number', 60],
      ['a boolean', true],
    ])('when it is %s', (_what, event) => {
      expect(refusalOf(event)).toBe(notUnderstood('it is not a JSON object'));
    });

    it.each([
      [-1, 'must be >=0'],
      [841, 'must be <=840'],
      ['60', 'must be number'],
      [1.5, 'must be a whole number'],
      [Number.NaN, 'must be number'],
      [Number.POSITIVE_INFINITY, 'must be a whole number'],
      [null, 'must be number'],
      [[60], 'must be number'],
    ])('when min_remaining_seconds is %j', (min_remaining_seconds, rule) => {
      expect(refusalOf({ min_remaining_seconds })).toBe(notUnderstood(`field min_remaining_seconds ${rule}`));
    });

    it.each([
      [-1, 'must be >=0'],
      [4_102_444_801, 'must be <=4102444800'],
      // Milliseconds, where seconds are meant.
      [1_800_000_000_000, 'must be <=4102444800'],
      [1.5, 'must be a whole number'],
      ['1800000000', 'must be number'],
      [Number.NaN, 'must be number'],
      [null, 'must be number'],
    ])('when newer_than is %j', (newer_than, rule) => {
      expect(refusalOf({ newer_than })).toBe(notUnderstood(`field newer_than ${rule}`));
    });

    it.each([
      ['', 'must be 16'],
      [digest.slice(1), 'must be 16'],
      [`${digest}0`, 'must be 16'],
      // The whole SHA-256, where its beginning is meant.
      [digest.repeat(4), 'must be 16'],
      [123, 'must be string'],
      [null, 'must be string'],
    ])('when refused is %j', (refused, rule) => {
      expect(refusalOf({ refused })).toBe(notUnderstood(`field refused ${rule}`));
    });

    it.each(['0123456789abcdeg', '0x23456789abcdef', '0123456789 abcde'])(
      'when refused has another character than hexadecimal ones: %j',
      (refused) => {
        expect(refusalOf({ refused })).toMatch(/: field refused must be (?!a whole number)/);
      },
    );

    it.each([
      ['another action', { action: 'delete' }, 'field action must be ("token" | "refresh" | "check")'],
      ['no action', { action: null }, 'field action must be ("token" | "refresh" | "check")'],
      ['a force that is no boolean', { force: 'true' }, 'field force must be boolean'],
      ['an unknown field', { minRemainingSeconds: 60 }, 'field minRemainingSeconds is not known'],
      ['a field that every object has', { toString: 1 }, 'field toString is not known'],
      ['a refresh that is forced', { action: 'refresh', force: true }, 'field force is not known'],
      ['a refresh of a refused token', { action: 'refresh', refused: digest }, 'field refused is not known'],
      ['a tick of something else', { ...schedulerTick, source: 'aws.s3' }, sourceRule()],
      ['a tick without its source', { ...schedulerTick, source: undefined }, 'field source is missing'],
      ['a tick without its type', { source: 'aws.events' }, 'field detail-type is missing'],
      [
        'an event that is no schedule',
        { ...schedulerTick, 'detail-type': 'Object Created' },
        'field detail-type must be "Scheduled Event"',
      ],
      [
        'a step that there is not',
        rotation('deleteSecret'),
        'field Step must be ("createSecret" | "setSecret" | "testSecret" | "finishSecret")',
      ],
      ['a rotation without its step', { ...rotation(''), Step: undefined }, 'field Step is missing'],
      ['a rotation without its secret', { ...rotation('setSecret'), SecretId: undefined }, 'field SecretId is missing'],
      [
        'a rotation of a secret without a name',
        { ...rotation('setSecret'), SecretId: '' },
        'field SecretId is too short or too long',
      ],
      [
        'a rotation of a secret with too much of a name',
        { ...rotation('setSecret'), SecretId: 's'.repeat(2049) },
        'field SecretId is too short or too long',
      ],
      [
        'a rotation without its version',
        { Step: 'createSecret', SecretId: secretArn },
        'field ClientRequestToken is missing',
      ],
      [
        'a rotation with a version id that is too short',
        { ...rotation('testSecret'), ClientRequestToken: 'v'.repeat(31) },
        'field ClientRequestToken is too short or too long',
      ],
      [
        'a rotation with a version id that is too long',
        { ...rotation('testSecret'), ClientRequestToken: 'v'.repeat(65) },
        'field ClientRequestToken is too short or too long',
      ],
      [
        'a rotation with a version id that is no text',
        { ...rotation('testSecret'), ClientRequestToken: 1 },
        'field ClientRequestToken must be string',
      ],
      ['a lone ClientRequestToken', { ClientRequestToken: version }, 'field Step is missing'],
    ])('for %s', (_what, event, why) => {
      expect(refusalOf(event)).toBe(notUnderstood(why));
    });

    it('for a field that JSON can carry and JavaScript takes for something else', () => {
      expect(refusalOf(JSON.parse('{"__proto__": {"force": true}}'))).toBe(
        notUnderstood('field __proto__ is not known'),
      );
    });

    it('without repeating a field name that may be anything', () => {
      for (const name of ['a name with spaces', 'n'.repeat(41), 'line\nbreak', '']) {
        expect(refusalOf({ [name]: 1 })).toBe(notUnderstood('field (name not shown) is not known'));
      }
    });
  });

  describe('whatever it is,', () => {
    const names = fc.constantFrom(
      ...[
        'action',
        'min_remaining_seconds',
        'force',
        'newer_than',
        'refused',
        'correlation_id',
        'source',
        'detail-type',
      ],
      ...['Step', 'SecretId', 'ClientRequestToken', 'RotationToken', 'other'],
    );
    const words = fc.constantFrom(
      ...[
        'token',
        'refresh',
        'aws.events',
        'aws.scheduler',
        'Scheduled Event',
        'createSecret',
        version,
        secretArn,
        digest,
      ],
    );
    /** Nearly right: known fields with values from other fields, or with anything. */
    const nearly = fc.dictionary(names, fc.oneof(words, fc.integer({ min: -1, max: 900 }), fc.anything()));

    it('becomes a command or EVENT_INVALID, and nothing else', () => {
      fc.assert(
        fc.property(fc.oneof(fc.jsonValue(), fc.object(), nearly, fc.anything()), (event) => {
          const outcome = attempt(event);
          if (outcome instanceof BrokerError) expect(outcome.code).toBe('EVENT_INVALID');
          else expect(isCommand(outcome)).toBe(true);
        }),
        { numRuns: 2000 },
      );
    });

    it('is never quoted: no value of it is in the error', () => {
      const canary = 'CANARY';
      const secret = fc.string().map((text) => `${canary}${text}`);
      const value = fc.oneof(
        secret,
        fc.array(secret),
        fc.dictionary(fc.string(), secret),
        fc.constant({ [canary]: 1 }),
      );
      let refused = 0;
      fc.assert(
        fc.property(fc.dictionary(names, fc.oneof(value, words)), (event) => {
          const outcome = attempt(event);
          if (!(outcome instanceof BrokerError)) return;
          refused += 1;
          expect(`${outcome.stack} ${JSON.stringify(outcome)}`).not.toContain(canary);
        }),
        { numRuns: 1000 },
      );
      expect(refused).toBeGreaterThan(100);
    });
  });
});

function sourceRule() {
  return 'field source must be ("aws.scheduler" | "aws.events")';
}

function attempt(event: unknown): unknown {
  try {
    return parseEvent(event);
  } catch (error) {
    return error;
  }
}

function isCommand(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, correlationId, ...rest } = value as Record<string, unknown>;
  const isCorrelated = correlationId === undefined || /^[\w-]{1,64}$/.test(String(correlationId));
  if (kind === 'refresh') return isCorrelated && Object.keys(rest).length === 0;
  if (kind === 'rotate') return correlationId === undefined && Object.values(rest).every((v) => typeof v === 'string');
  const { minRemainingSeconds, force, newerThan, refused } = rest as Record<string, unknown>;
  const isWhole = (number: unknown, most: number) =>
    Number.isInteger(number) && Number(number) >= 0 && Number(number) <= most;
  const isRefusal =
    (newerThan === undefined || isWhole(newerThan, 4_102_444_800)) &&
    (refused === undefined || /^[0-9a-f]{16}$/.test(String(refused)));
  return (
    kind === 'token' && isCorrelated && isRefusal && isWhole(minRemainingSeconds, 840) && typeof force === 'boolean'
  );
}
