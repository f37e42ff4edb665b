import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { Context } from 'aws-lambda';
import type { BrokerError } from './errors.ts';
import type { Command, Source } from './events.ts';
import type { Journal, Step } from './invocation.ts';
import { type Clock, nowSeconds } from './shared/clock.ts';

const SERVICE = 'd1-token-broker';
export const METRICS_NAMESPACE = 'D1TokenBroker';

/** What an invocation came to. Every field may be logged. */
export interface Outcome {
  readonly reason?: string | undefined;
  readonly refreshed?: boolean | undefined;
  readonly source?: Source | undefined;
  readonly versionId?: string | undefined;
  /** Seconds since 1970 UTC. */
  readonly expiresAt?: number | undefined;
}

export interface Invocation {
  readonly kind: Command['kind'] | 'unknown';
  readonly correlationId: string;
  readonly journal: Journal;
  readonly durationMilliseconds: number;
}

const stepMetrics: Record<Step, string> = {
  read_secret: 'ReadSecretTime',
  load_certificate: 'LoadCertificateTime',
  sign: 'SignTime',
  exchange: 'ExchangeTime',
  write_secret: 'WriteSecretTime',
};

const sourceMetrics: Record<Source, string> = {
  memory: 'ServedFromMemory',
  secret: 'ServedFromSecret',
  exchange: 'ServedFromExchange',
};

/** Who tries again, for the person who reads the log line at three in the morning. */
const nextTry: Record<Invocation['kind'], string> = {
  refresh: 'yes, by the next tick, within a minute',
  rotate: 'yes, Secrets Manager repeats the step',
  token: 'only if the caller asks again',
  unknown: 'no',
};

/** The same, where the same call fails until somebody has done what the remedy says. */
const nextTryInVain: Record<Invocation['kind'], string> = {
  refresh: 'every minute by the next tick, but only a change can help: see remedy',
  rotate: 'by Secrets Manager, which repeats the step, but only a change can help: see remedy',
  token: 'only if the caller asks again, but only a change can help: see remedy',
  unknown: 'no, only a change can help: see remedy',
};

export type Telemetry = ReturnType<typeof createTelemetry>;

/**
 * Log lines (JSON) and metrics (CloudWatch Embedded Metric Format), both on standard output, by AWS Powertools. It is
 * given facts that may be known, never an error object, an event or a response.
 */
export function createTelemetry(issuerId: string | undefined, clock: Clock) {
  const logger = new Logger({ serviceName: SERVICE });
  const metrics = new Metrics({
    namespace: METRICS_NAMESPACE,
    serviceName: SERVICE,
    ...(issuerId !== undefined && { defaultDimensions: { issuer_id: issuerId } }),
  });

  function begin(context: Context): void {
    logger.addContext(context);
  }

  /** Said at once, beside the one line of the invocation. */
  function warn(warning: BrokerError, correlationId: string): void {
    logger.warn(warning.what, { correlation_id: correlationId, issuer_id: issuerId, ...describe(warning) });
    countFailure(warning);
  }

  function succeeded(invocation: Invocation, outcome: Outcome): void {
    logger.info(`${invocation.kind}: ${outcome.source ?? outcome.reason ?? 'done'}`, {
      outcome: 'ok',
      ...facts(invocation),
      reason: outcome.reason,
      refreshed: outcome.refreshed,
      source: outcome.source,
      version_id: outcome.versionId,
      expires_at: outcome.expiresAt,
      // A token served from memory was not read from the secret: what is left of it is known all the same.
      seconds_left: storedSecondsLeft(invocation.journal) ?? secondsUntil(outcome.expiresAt),
    });
    count(invocation);
    if (outcome.refreshed || outcome.source === 'exchange') metrics.addMetric('RefreshSucceeded', MetricUnit.Count, 1);
    if (outcome.source) metrics.addMetric(sourceMetrics[outcome.source], MetricUnit.Count, 1);
    metrics.publishStoredMetrics();
  }

  function failed(invocation: Invocation, error: BrokerError): void {
    logger.error(error.what, {
      outcome: 'failed',
      ...facts(invocation),
      ...describe(error),
      tried_again: (error.retryable ? nextTry : nextTryInVain)[invocation.kind],
    });
    count(invocation);
    countFailure(error);
    if (invocation.kind === 'refresh') metrics.addMetric('RefreshFailed', MetricUnit.Count, 1);
    metrics.publishStoredMetrics();
  }

  function facts({ kind, correlationId, journal, durationMilliseconds }: Invocation) {
    return {
      action: kind,
      issuer_id: issuerId,
      correlation_id: correlationId,
      duration_milliseconds: durationMilliseconds,
      step_milliseconds: journal.stepMilliseconds,
      exchange_attempts: journal.exchangeAttempts,
      certificate_days_left: journal.certificateDaysLeft,
      seconds_left: storedSecondsLeft(journal),
    };
  }

  function count({ kind, journal }: Invocation): void {
    metrics.addMetric(kind === 'refresh' ? 'Ticks' : 'Calls', MetricUnit.Count, 1);
    for (const [step, milliseconds] of Object.entries(journal.stepMilliseconds) as [Step, number][]) {
      metrics.addMetric(stepMetrics[step], MetricUnit.Milliseconds, milliseconds);
    }
    const secondsLeft = storedSecondsLeft(journal);
    if (secondsLeft !== undefined) metrics.addMetric('SecondsLeft', MetricUnit.Seconds, secondsLeft);
    if (journal.certificateDaysLeft !== undefined) {
      metrics.addMetric('CertificateDaysLeft', MetricUnit.Count, journal.certificateDaysLeft);
    }
  }

  /** Of the token in the secret, which is what consumers read; also told when a refresh failed: then it matters most. */
  function storedSecondsLeft({ storedExpiresAt }: Journal): number | undefined {
    return secondsUntil(storedExpiresAt);
  }

  function secondsUntil(expiresAt: number | undefined): number | undefined {
    return expiresAt === undefined ? undefined : Math.max(0, expiresAt - nowSeconds(clock));
  }

  /** Published by itself, at once: it is the only metric with a dimension of its own. */
  function countFailure(error: BrokerError): void {
    const metric = metrics.singleMetric();
    metric.addDimension('error_code', error.code);
    metric.addMetric('Failures', MetricUnit.Count, 1);
  }

  return { begin, warn, succeeded, failed };
}

const describe = ({ code, remedy, retryable }: BrokerError) => ({ error_code: code, retryable, remedy });
