import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { Context } from 'aws-lambda';
import { asBrokerError, type BrokerError } from '../errors.ts';
import { METRICS_NAMESPACE } from '../telemetry.ts';
import type { RoundReport } from './round-report.ts';

/**
 * What the dispatcher tells: one log line and one set of metrics a round. No metric has an issuer for a dimension: at ten
 * thousand issuers each such metric would cost 3,000 USD a month. The log names the worst.
 */
export function createFleetTelemetry(stage: string | undefined) {
  const logger = new Logger({ serviceName: 'd1-token-broker' });
  const metrics = new Metrics({
    namespace: METRICS_NAMESPACE,
    serviceName: 'd1-token-broker',
    defaultDimensions: stage ? { stage } : {},
  });

  function begin(context: Context): void {
    logger.addContext(context);
  }

  function round(report: RoundReport, sent: number): void {
    const isWell = report.pressing === 0 && report.silentHosts.length === 0 && report.left === 0;
    logger[isWell ? 'info' : 'warn'](`dispatch: ${sent} of ${report.issuers} issuers`, {
      action: 'dispatch',
      sent,
      issuers: report.issuers,
      pressing: report.pressing,
      least_seconds_left: report.leastSecondsLeft,
      lag_seconds: report.lagSeconds,
      failing: report.failing,
      silent_hosts: report.silentHosts,
      left: report.left,
      worst: report.worst,
    });
    metrics.addMetric('IssuersPressing', MetricUnit.Count, report.pressing);
    // Without an issuer nobody is without a token: infra/fleet/ has an alarm on this.
    if (report.issuers > 0) metrics.addMetric('LeastSecondsLeft', MetricUnit.Seconds, report.leastSecondsLeft);
    metrics.addMetric('DispatchLagSeconds', MetricUnit.Seconds, report.lagSeconds);
    metrics.addMetric('SilentHosts', MetricUnit.Count, report.silentHosts.length);
    metrics.publishStoredMetrics();
    for (const [code, issuers] of Object.entries(report.failing)) countFailing(code, issuers);
  }

  /** By code, of which there are some twenty. */
  function countFailing(code: string, issuers: number): void {
    const metric = metrics.singleMetric();
    metric.addDimension('error_code', code);
    metric.addMetric('IssuersFailing', MetricUnit.Count, issuers);
  }

  /** The index or the queue could not be used: nothing is known of any issuer. */
  function failed(thrown: unknown): void {
    const { name } = thrown instanceof Error ? thrown : asBrokerError(thrown);
    logger.error('dispatch: the index or the queue could not be used', { action: 'dispatch', error_name: name });
  }

  /**
   * What failed before, or beside, the app of an issuer, which tells of all else itself.
   *
   * @param error Knows its issuer, if there is one, and its correlation id.
   * @param triedAgain Who tries again.
   */
  function refused(action: string, error: BrokerError, triedAgain: string): void {
    logger.error(error.what, {
      action,
      outcome: 'failed',
      issuer_id: error.issuerId,
      correlation_id: error.correlationId,
      error_code: error.code,
      retryable: error.retryable,
      remedy: error.remedy,
      tried_again: triedAgain,
    });
  }

  return { begin, round, failed, refused };
}
