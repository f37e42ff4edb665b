import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { BrokerError, errorCodes } from '../../src/errors.ts';
import { isCorrelationId } from '../../src/events.ts';
import { createParts } from '../../src/parts.ts';
import { systemRandom } from '../../src/shared/random.ts';
import { createTelemetry } from '../../src/telemetry.ts';
import { captureOutput, type OutputCapture } from '../faults/output-capture.ts';
import { schedulerTick } from '../support/bank.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { anyText, CANARY, seed, settings } from './seed.ts';

const config = readConfig({
  D1_ISSUER_ID: 'ISSUER0001',
  D1_KEY_ID: 'key',
  // Nobody listens there: what matters is everything before, and that it is not reached without a certificate.
  D1_ENVIRONMENT: 'https://127.0.0.1:1/authz/v1',
  D1_SIGNING_KEY_ID: 'alias/signing',
  D1_TOKEN_SECRET_ID: 'token',
  D1_CLIENT_CERTIFICATE_SECRET_ID: 'certificate',
});

let capture: OutputCapture;
beforeAll(() => {
  capture = captureOutput();
});
afterAll(() => capture.restore());

/** What an SDK client may answer or throw, on its worst day. */
const answers = fc.oneof(
  fc.record(
    {
      SecretString: fc.oneof(
        anyText,
        fc.jsonValue().map((value) => JSON.stringify(value)),
      ),
      VersionId: fc.oneof(fc.string(), fc.uuid()),
      Signature: fc.uint8Array({ maxLength: 100 }),
      ARN: fc.constantFrom('token', 'other'),
      Name: fc.constantFrom('token', 'other'),
      VersionIdsToStages: fc.dictionary(fc.uuid(), fc.array(fc.constantFrom('AWSPENDING', 'AWSCURRENT', 'x'))),
    },
    { requiredKeys: [] },
  ),
  fc.constantFrom({}, { SecretString: undefined }),
);
const thrown = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, 0, CANARY, { name: CANARY }, Symbol('x')),
  fc
    .record({
      name: fc.oneof(fc.string(), fc.constantFrom('AccessDeniedException', 'ThrottlingException')),
      code: fc.string(),
    })
    .map(({ name, code }) => Object.assign(new Error(`${CANARY} in a message`), { name, code, $metadata: {} })),
);

const version = '1f0c8f6e-7d2b-4a55-9a0e-5c3f7f1f2a3b';
const events = fc.oneof(
  fc.constantFrom<unknown>(schedulerTick, {}, { force: true }, { action: 'refresh' }, null, [], 'x'),
  fc
    .constantFrom('createSecret', 'setSecret', 'testSecret', 'finishSecret')
    .map((Step) => ({ Step, SecretId: 'token', ClientRequestToken: version })),
  fc.record({ correlation_id: anyText }),
  fc.jsonValue(),
);

describe(`fuzz of the whole app, seed ${seed}`, () => {
  it('whatever is sent, and whatever AWS answers: an answer, or a BrokerError that may be shown', async () => {
    const codes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        events,
        fc.array(fc.record({ fails: fc.boolean(), answer: answers, thrown }), { minLength: 1, maxLength: 6 }),
        async (event, script) => {
          let turn = 0;
          const send = async () => {
            const scene = script[turn % script.length];
            turn += 1;
            // A client that could be asked for ever would show here.
            if (turn > 100) throw new Error('asked without end');
            if (scene?.fails) throw scene.thrown;
            return scene?.answer;
          };
          const clock = new FakeClock({ skipBelowMilliseconds: 9_000 });
          const random = { ...systemRandom, fraction: () => 0.5 };
          const app = createApp({
            config,
            ...createParts({ config, kms: { send } as never, secretsManager: { send } as never, clock, random }),
            clock,
            random,
            telemetry: createTelemetry(config.issuerId, clock),
          });
          try {
            await app(event, { getRemainingTimeInMillis: () => 60_000 });
          } catch (error) {
            if (!(error instanceof BrokerError)) throw error;
            codes.add(error.code);
            expect(errorCodes).toContain(error.code);
            expect(isCorrelationId(error.correlationId)).toBe(true);
            expect(inspect(error, { depth: 5 })).not.toContain(CANARY);
            expect(error.message.length).toBeLessThan(2_000);
          }
          expect(turn).toBeLessThan(100);
        },
      ),
      settings(2_000),
    );
    expect(codes).toContain('EVENT_INVALID');
    expect(codes.size).toBeGreaterThan(5);
    expect(codes).not.toContain('INTERNAL');
    expect(capture.all().filter((text) => text.includes(CANARY))).toEqual([]);
  });
});
