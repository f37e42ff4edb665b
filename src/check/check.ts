import { signingInput } from '../assertion/assertion.ts';
import type { Broker } from '../broker/broker.ts';
import { createObtain } from '../broker/obtain.ts';
import type { Config } from '../config.ts';
import { BrokerError } from '../errors.ts';
import { type Call, Journal } from '../invocation.ts';
import { CHECK_PACE_SECONDS, type CheckReport, type Which, type WhichCertificate } from '../shared/check-report.ts';
import { daysLeft } from '../shared/client-certificate.ts';
import { type Clock, nowSeconds } from '../shared/clock.ts';
import type { Random } from '../shared/random.ts';
import { secondsLeft } from '../shared/token-record.ts';
import type { TokenStore } from '../token-store/token-store.ts';
import type { NamedKey, Trial } from '../trial/trial.ts';
import { replicaFacts, whatIsIn } from './replica-facts.ts';
import { notWanted, runStep } from './steps.ts';

const NO_WISH = { minRemainingSeconds: 0, force: false, newerThan: undefined, refused: undefined } as const;

export interface CheckRequest {
  readonly certificate: WhichCertificate;
  readonly signingKey: Which;
  /** Without it the check ends after TLS and signature, and D1 gives no token. */
  readonly exchange: boolean;
}

/**
 * Everything that a refresh does, from the place where refreshes are made, told step by step. The token of a check is an
 * obtained token like any other: D1 may have ended the one before when it gave this one.
 *
 * @returns A function that makes one check; its report tells failures, it throws only what kept it from being made.
 * @throws BrokerError CHECK_TOO_SOON, or EVENT_INVALID when there is no next signing key.
 */
export function createCheck({
  config,
  trial,
  broker,
  store,
  readPrimary,
  clock,
  random,
}: {
  config: Config;
  trial: Trial;
  broker: Broker;
  store: TokenStore;
  readPrimary?: TokenStore['read'] | undefined;
  clock: Clock;
  random: Random;
}) {
  let exchangedAt: number | undefined;

  return async ({ certificate: which, signingKey, exchange }: CheckRequest, call: Call): Promise<CheckReport> => {
    const key = keyOf(signingKey);
    if (exchange) keepPace();
    const { correlationId, deadline } = call;
    const limit = <T>(doing: string, work: (signal: AbortSignal) => Promise<T>) => deadline.limit(doing, work);

    const tokenSecret = runStep('token_secret', [], clock, (know) =>
      limit('reading the token secret', async (signal) => {
        const [snapshot, writes, replica] = await Promise.all([
          store.read(signal),
          trial.writesWithin24Hours(signal),
          readPrimary && replicaFacts(readPrimary, clock, signal),
        ]);
        const { record, versionId } = snapshot;
        call.journal.storedExpiresAt = record?.expires_at ?? 0;
        know({
          holds: whatIsIn(snapshot),
          ...(versionId !== undefined && { version_id: versionId }),
          ...(record && { seconds_left: secondsLeft(record, nowSeconds(clock)), stored_key_id: record.key_id }),
          ...(writes !== undefined && { writes_within_24_hours: writes }),
          ...replica,
        });
      }),
    );
    const clientCertificate = runStep('client_certificate', [], clock, (know) =>
      limit('reading the client certificate', async (signal) => {
        const certificate = await trial.certificate(which, { signal, until: deadline.at });
        call.journal.certificateDaysLeft = daysLeft(certificate, clock.now());
        know({ subject: certificate.subject, days_left: daysLeft(certificate, clock.now()) });
        return certificate;
      }),
    );
    const signature = runStep('signing_key', [], clock, (know) =>
      limit('signing', async (signal) => {
        const input = signingInput({ ...config, keyId: key.keyId }, nowSeconds(clock), random.uuid());
        know({ key_id: key.keyId });
        know(await trial.signingKey(key, input, signal));
      }),
    );
    const connection = runStep('connection', [clientCertificate], clock, (know) =>
      limit('connecting to D1', async (signal) => {
        const { value: certificate } = await clientCertificate;
        if (!certificate) return;
        const proxy = config.egressProxy?.addressTo(config.tokenEndpoint);
        know({ endpoint: config.tokenEndpoint, ...(proxy !== undefined && { proxy }) });
        const { tlsVersion, status, clockDifferenceSeconds } = await trial.connection(
          certificate,
          correlationId,
          signal,
        );
        know({
          tls_version: tlsVersion,
          http_status: status,
          ...(clockDifferenceSeconds !== undefined && { clock_difference_seconds: clockDifferenceSeconds }),
        });
      }),
    );
    const exchanged = exchange
      ? runStep('exchange', [connection, signature], clock, async (know) => {
          const { value: certificate } = await clientCertificate;
          if (!certificate) return undefined;
          exchangedAt = clock.now();
          const settings = { ...config, keyId: key.keyId };
          const obtain = createObtain({ config: settings, ...trial.exchange(certificate, key), clock, random });
          const { record, repeated } = await broker.take(obtain, call);
          know({ repeated, seconds_left: secondsLeft(record, nowSeconds(clock)) });
        })
      : notWanted('exchange');
    const stored = exchange
      ? runStep('store', [tokenSecret, exchanged], clock, async (know) => {
          let failure: BrokerError | undefined;
          const journal = new Journal(clock, (warning) => {
            failure = warning;
          });
          // As for any caller: what is held and not stored is stored, if pace or budget allow it.
          const { versionId } = await broker.token(NO_WISH, { ...call, journal });
          call.journal.storedExpiresAt = journal.storedExpiresAt ?? call.journal.storedExpiresAt;
          know({ stored: versionId !== undefined, ...(versionId !== undefined && { version_id: versionId }) });
          // Stored all the same: a foreign value was overwritten, for one.
          if (failure && versionId === undefined) throw failure;
        })
      : notWanted('store');

    const done = await Promise.all([tokenSecret, clientCertificate, signature, connection, exchanged, stored]);
    const steps = done.map(({ report }) => report);
    return {
      passed: steps.every(
        (step) => step.outcome === 'ok' || (step.outcome === 'not_checked' && step.because === 'not_wanted'),
      ),
      issuer_id: config.issuerId,
      key_id: key.keyId,
      ...(config.stage !== undefined && { stage: config.stage }),
      correlation_id: correlationId,
      checked_at: nowSeconds(clock),
      certificate: which,
      signing_key: signingKey,
      steps,
    };
  };

  function keyOf(which: Which): NamedKey {
    if (which === 'current') return config;
    const { nextKeyId, nextSigningKeyId } = config;
    if (nextKeyId !== undefined && nextSigningKeyId !== undefined) {
      return { keyId: nextKeyId, signingKeyId: nextSigningKeyId };
    }
    throw new BrokerError({
      code: 'EVENT_INVALID',
      what: 'The event cannot be obeyed: field signing_key is next, and this stack has one signing key.',
      remedy: 'Begin a rollover first: it gives the stack a second key.',
      retryable: false,
    });
  }

  function keepPace(): void {
    const wait = exchangedAt === undefined ? 0 : exchangedAt + CHECK_PACE_SECONDS * 1000 - clock.now();
    if (wait <= 0) return;
    throw new BrokerError({
      code: 'CHECK_TOO_SOON',
      what: `This container exchanged for a check less than ${CHECK_PACE_SECONDS} s ago.`,
      remedy: `Ask again after retry_after_seconds=${Math.ceil(wait / 1000)}.`,
      retryable: true,
    });
  }
}
