import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { Context } from 'aws-lambda';
import type { BuildRecord } from './build-record.ts';
import type { BrokerError } from './errors.ts';
import type { Command, Source } from './events.ts';
import type { Journal } from './invocation.ts';
import { type Clock, nowSeconds } from './shared/clock.ts';

const SERVICE = 'd1-token-broker';
export const METRICS_NAMESPACE = 'D1TokenBroker';

/** A metric is paid by the hour in which it is told. The certificate's days are told in this one, of UTC, if nothing presses. */
const CERTIFICATE_HOUR = 6;
/** With fewer left they are told at every refresh: infra/alarms.yml begins to ask for a new certificate there. */
const CERTIFICATE_PRESSES_DAYS = 30;

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

/** Who tries again, for the person who reads the log line at three in the morning. */
const nextTry: Record<Invocation['kind'], string> = {
  refresh: 'yes, by the next tick, within a minute',
  rotate: 'yes, Secrets Manager repeats the step',
  token: 'only if the caller asks again',
  check: 'only if the operator asks again',
  unknown: 'no',
};

/** The same, where the same call fails until somebody has done what the remedy says. */
const nextTryInVain: Record<Invocation['kind'], string> = {
  refresh: 'every minute by the next tick, but only a change can help: see remedy',
  rotate: 'by Secrets Manager, which repeats the step, but only a change can help: see remedy',
  token: 'only if the caller asks again, but only a change can help: see remedy',
  check: 'only if the operator asks again, but only a change can help: see remedy',
  unknown: 'no, only a change can help: see remedy',
};

export type Telemetry = ReturnType<typeof createTelemetry>;

/**
 * Log lines (JSON) and metrics (CloudWatch Embedded Metric Format), both on standard output, by AWS Powertools. It is
 * given facts that may be known, never an error object, an event or a response.
 *
 * One metric is steady, SecondsLeft: each costs as much as three alarms. What is asked for now and then (how long a step
 * took, where a token came from) is in the log line.
 *
 * @param stage Tells the metrics of two deployments apart that serve the same issuer.
 * @param isOneOfMany Told in the log alone: the metrics of many issuers are the dispatcher's, and do not grow with them.
 */
export function createTelemetry(issuerId: string | undefined, clock: Clock, stage?: string, isOneOfMany = false) {
  const logger = new Logger({ serviceName: SERVICE });
  const metrics = new Metrics({
    namespace: METRICS_NAMESPACE,
    serviceName: SERVICE,
    defaultDimensions: { ...(stage && { stage }), ...(issuerId !== undefined && { issuer_id: issuerId }) },
  });

  /** One line a container: an auditor compares it with the zip that was reviewed. What was not bundled has nothing to say. */
  function started(build: BuildRecord | undefined): void {
    if (build) logger.info('start', { issuer_id: issuerId, ...build });
  }

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
    measure(invocation);
  }

  function failed(invocation: Invocation, error: BrokerError): void {
    logger.error(error.what, {
      outcome: 'failed',
      ...facts(invocation),
      ...describe(error),
      tried_again: (error.retryable ? nextTry : nextTryInVain)[invocation.kind],
    });
    measure(invocation);
    countFailure(error);
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

  function measure({ journal }: Invocation): void {
    if (isOneOfMany) return;
    const secondsLeft = storedSecondsLeft(journal);
    if (secondsLeft !== undefined) metrics.addMetric('SecondsLeft', MetricUnit.Seconds, secondsLeft);
    const daysLeft = journal.certificateDaysLeft;
    if (daysLeft !== undefined && certificateIsTold(daysLeft)) {
      metrics.addMetric('CertificateDaysLeft', MetricUnit.Count, daysLeft);
    }
    if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics();
  }

  function certificateIsTold(daysLeft: number): boolean {
    return daysLeft < CERTIFICATE_PRESSES_DAYS || new Date(clock.now()).getUTCHours() === CERTIFICATE_HOUR;
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
    if (isOneOfMany) return;
    const metric = metrics.singleMetric();
    metric.addDimension('error_code', error.code);
    metric.addMetric('Failures', MetricUnit.Count, 1);
  }

  return { started, begin, warn, succeeded, failed };
}

const describe = ({ code, remedy, retryable }: BrokerError) => ({ error_code: code, retryable, remedy });
