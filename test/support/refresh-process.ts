import { createHash } from 'node:crypto';
import { createApp } from '../../src/app.ts';
import { createKmsClient, createSecretsManagerClient } from '../../src/aws/clients.ts';
import { readConfig } from '../../src/config.ts';
import { asBrokerError } from '../../src/errors.ts';
import { createParts } from '../../src/parts.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { systemRandom } from '../../src/shared/random.ts';
import { createTelemetry } from '../../src/telemetry.ts';

/** What this process says to the one that forked it: once `ready`, then an answer to each event that it is sent. */
export type Said =
  | { readonly kind: 'ready' }
  | { readonly kind: 'answer'; readonly source: string; readonly tokenHash: string; readonly expiresAt: number }
  | { readonly kind: 'failure'; readonly code: string; readonly what: string };

/** Long enough for twenty processes on a slow machine: time is not what a test of races is about. */
const REMAINING_MILLISECONDS = 300_000;

// A Lambda container as a process of its own, on the machine's clock, configured by its environment alone.
const config = readConfig(process.env);
const common = { config, clock: systemClock, random: systemRandom };
const app = createApp({
  ...common,
  ...createParts({
    ...common,
    kms: createKmsClient(config.awsTimeoutMilliseconds),
    secretsManager: createSecretsManagerClient(config.awsTimeoutMilliseconds),
  }),
  telemetry: createTelemetry(config.issuerId, systemClock),
});

const say = (said: Said) => process.send?.(said);

process.on('message', async (event) => {
  try {
    const answer = await app(event, { getRemainingTimeInMillis: () => REMAINING_MILLISECONDS });
    if (!answer || !('access_token' in answer)) throw new Error('the event was not a direct call');
    const tokenHash = createHash('sha256').update(answer.access_token).digest('hex');
    say({ kind: 'answer', source: answer.source, tokenHash, expiresAt: answer.expires_at });
  } catch (error) {
    const { code, what } = asBrokerError(error);
    say({ kind: 'failure', code, what });
  }
});
say({ kind: 'ready' });
