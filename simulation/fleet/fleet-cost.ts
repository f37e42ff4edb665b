import { assumptions, prices } from '../../infra/cost.ts';
import type { FleetFigures } from './world.ts';

/** What an item of the index takes; a scan pays for all of it. */
const ITEM_BYTES = 700;
const UNIT_BYTES = 4_096;
/** Of a dispatcher that has one round a minute, and of one try in a worker that runs several side by side. */
const ROUND_SECONDS = 1;
const DISPATCHER_GIGABYTES = 0.5;
const TRY_SECONDS = 1.3;
const LOG_BYTES_OF_TRY = 700;
/** Send, receive and delete; the two of the worker are made for several messages at once, and counted whole. */
const SQS_REQUESTS = 2.1;

/** From counted calls, for a month: with a signing key for each issuer, and with one for all. */
export function dayCost(figures: FleetFigures, issuers: number, hours: number): string {
  const months = hours / assumptions.hoursPerMonth;
  const monthly = (count: number) => count / months / issuers;
  const gigabyteSeconds =
    monthly(figures.messages) * TRY_SECONDS * assumptions.memoryGigabytes +
    monthly(figures.scans) * ROUND_SECONDS * DISPATCHER_GIGABYTES;
  const calls =
    monthly(figures.signatures) * prices.kmsSign +
    // A worker rarely has the certificate of the issuer that it gets: one read more for each try.
    (monthly(figures.reads) + monthly(figures.writes) + monthly(figures.signatures)) * prices.secretsManagerCall +
    (monthly(figures.reads) + monthly(figures.signatures) + 2 * monthly(figures.writes)) * prices.kmsSymmetric +
    monthly(figures.messages) * (SQS_REQUESTS * prices.sqsRequest + prices.lambdaRequest) +
    monthly(figures.indexWrites) * prices.dynamoDbWrite +
    monthly(figures.indexReads) * prices.dynamoDbRead +
    monthly(figures.scans) * Math.ceil((issuers * ITEM_BYTES) / UNIT_BYTES) * (prices.dynamoDbRead / 2) +
    gigabyteSeconds * prices.lambdaGigabyteSecondArm +
    (monthly(figures.messages) * LOG_BYTES_OF_TRY * prices.logGigabyte) / 1e9;
  // Five alarms, four metrics, and a key for the secrets of all.
  const shared = (5 * prices.alarmMonth + 4 * prices.metricMonth + prices.kmsKeyMonth) / issuers;
  const oneKey = 2 * prices.secretMonth + calls + shared + prices.kmsKeyMonth / issuers;
  const ownKeys = 2 * prices.secretMonth + calls + shared + prices.kmsKeyMonth;
  return `${ownKeys.toFixed(2)}, ${oneKey.toFixed(2)}`;
}
