import type { Context } from 'aws-lambda';
import { createApp } from './app.ts';
import { createKmsClient, createSecretsManagerClient } from './aws/clients.ts';
import { readBuildRecord } from './build-record.ts';
import { readConfig } from './config.ts';
import { asBrokerError } from './errors.ts';
import { Journal } from './invocation.ts';
import { createParts } from './parts.ts';
import { systemClock } from './shared/clock.ts';
import { systemRandom } from './shared/random.ts';
import { createTelemetry } from './telemetry.ts';

const { telemetry, app } = start();
telemetry.started(readBuildRecord());

/** The Lambda entry point: README lists the events and their answers. */
export const handler = (event: unknown, context: Context) => {
  telemetry.begin(context);
  return app(event, context);
};

/** Once per container. Wrong configuration answers every event with CONFIG_INVALID, and does nothing else. */
function start() {
  try {
    const config = readConfig(process.env);
    const telemetry = createTelemetry(config.issuerId, systemClock, config.stage);
    const parts = createParts({
      config,
      kms: createKmsClient(config.awsTimeoutMilliseconds, undefined, config.egressProxy),
      secretsManager: createSecretsManagerClient(config.awsTimeoutMilliseconds, undefined, config.egressProxy),
      clock: systemClock,
      random: systemRandom,
    });
    const app = createApp({ config, ...parts, clock: systemClock, random: systemRandom, telemetry });
    return { telemetry, app };
  } catch (thrown) {
    const failure = asBrokerError(thrown);
    const telemetry = createTelemetry(failure.issuerId, systemClock);
    const app = async (): Promise<never> => {
      const correlationId = systemRandom.uuid();
      const error = failure.located({ correlationId });
      const journal = new Journal(systemClock, () => {});
      telemetry.failed({ kind: 'unknown', correlationId, journal, durationMilliseconds: 0 }, error);
      throw error;
    };
    return { telemetry, app };
  }
}
