import { AwsError } from '../../sandbox/aws/aws-error.ts';
import { createApp } from '../../src/app.ts';
import { BrokerError } from '../../src/errors.ts';
import type { Candidate } from '../../src/fleet/dispatch-plan.ts';
import { createDispatcher } from '../../src/fleet/dispatcher.ts';
import { type Issuer, type IssuerFields, readIssuer } from '../../src/fleet/issuer.ts';
import { MOST_APPS } from '../../src/fleet/issuer-apps.ts';
import type { Entry, IssuerIndex } from '../../src/fleet/issuer-index.ts';
import { dueAt, type IssuerState, untried } from '../../src/fleet/issuer-state.ts';
import { lastUsed } from '../../src/fleet/last-used.ts';
import { pacedStore, type WriteSlot } from '../../src/fleet/paced-store.ts';
import { createWorker, type IssuerApp } from '../../src/fleet/worker.ts';
import { rejected, unreachable } from '../../src/token-endpoint/endpoint-error.ts';
import type { TokenEndpoint } from '../../src/token-endpoint/token-endpoint.ts';
import { toTokenRecord } from '../../src/token-endpoint/token-response.ts';
import { createTokenStore } from '../../src/token-store/token-store.ts';
import { createSimulatedClient, type SimulatedClient } from '../secrets-manager-client.ts';
import { SeededRandom } from '../seeded-random.ts';
import { SimulatedTime } from '../simulated-time.ts';
import { isWithin, type Window } from '../windows.ts';
import { FleetQueue } from './queue.ts';
import { FleetSecret } from './secret.ts';

export const FLEET_STARTS_AT = Date.UTC(2026, 10, 23);
const REFRESH_WINDOW_SECONDS = 300;
const TIMEOUT_MILLISECONDS = 90_000;
/** What Secrets Manager takes from an account. Source: AWS General Reference, Secrets Manager quotas. */
const MOST_WRITES_A_SECOND = 50;
/** Worker containers, whose memories are their own: which of them gets a message is chance. */
const CONTAINERS = 40;

/** What is wrong with one issuer for good. */
export type Ailment = 'refused' | 'certificate' | 'hanging';

export interface FleetOptions {
  readonly seed: number;
  readonly issuers: number;
  readonly hours: number;
  /** When D1 answers nobody; milliseconds from the start. */
  readonly outages: readonly Window[];
  /** When all issuers forget what the index knew and all containers are new; milliseconds from the start. */
  readonly coldStarts: readonly number[];
  /** Share of the issuers that are broken for good, 0-1, a third of them in each way. */
  readonly brokenShare: number;
  /** Share of the exchanges that fail for no lasting reason, 0-1. */
  readonly failureShare: number;
}

/** What became of one issuer. */
export interface IssuerFigures {
  readonly issuerId: string;
  readonly ailment: Ailment | undefined;
  /** Stretches without a live token in its secret, from its first one on. */
  readonly without: readonly Window[];
  readonly diesAt: number;
}

export interface FleetFigures {
  readonly issuers: readonly IssuerFigures[];
  readonly mostWritesInASecond: number;
  readonly throttled: number;
  readonly writes: number;
  readonly reads: number;
  readonly signatures: number;
  readonly indexWrites: number;
  readonly indexReads: number;
  readonly scans: number;
  readonly messages: number;
  readonly mostBusy: number;
  /** Milliseconds that each refresh of a healthy issuer came after it was due, where no outage was within 20 minutes. */
  readonly lateness: readonly number[];
  /** Most exchanges that were tried in one minute of an outage, from its second minute on. */
  readonly mostTriesInAnOutageMinute: number;
}

/** Runs the real dispatcher, worker and broker over a day, on a D1 and a Secrets Manager that are simulated. */
export async function simulateFleet(options: FleetOptions): Promise<FleetFigures> {
  const { seed, hours } = options;
  const time = new SimulatedTime(FLEET_STARTS_AT);
  const random = new SeededRandom(seed, 'fleet');
  const outages = options.outages.map(({ from, to }) => ({ from: from + FLEET_STARTS_AT, to: to + FLEET_STARTS_AT }));
  const isDown = isWithin(outages);
  const isNearOutage = isWithin(outages.map(({ from, to }) => ({ from, to: to + 1_200_000 })));
  const coldStarts = options.coldStarts.map((at) => at + FLEET_STARTS_AT);
  const isNearColdStart = isWithin([FLEET_STARTS_AT, ...coldStarts].map((at) => ({ from: at, to: at + 1_200_000 })));
  const counts = { throttled: 0, writes: 0, reads: 0, signatures: 0, indexWrites: 0, indexReads: 0, scans: 0 };
  const lateness: number[] = [];
  const triesInOutageMinutes = new Map<number, number>();
  const writesBySecond = new Map<number, number>();
  let mostWritesInASecond = 0;

  const worlds = new Map(
    Array.from({ length: options.issuers }, (_, index) => {
      const issuerId = `ISSUER${String(index).padStart(5, '0')}`;
      const broken = index < options.issuers * options.brokenShare;
      return [
        issuerId,
        new IssuerWorld(issuerId, broken ? ailments[index % ailments.length] : undefined, () => time.now()),
      ] as const;
    }),
  );

  const index: IssuerIndex = {
    candidates: async () => {
      await time.sleep(200);
      counts.scans += 1;
      return [...worlds.values()].map(({ candidate }) => candidate);
    },
    find: async (issuerId) => {
      await time.sleep(random.between(2, 10));
      counts.indexReads += 1;
      const world = worlds.get(issuerId);
      return world && { fields: world.fields, state: world.candidate.state };
    },
    keep: async ({ fields }: Entry, state: IssuerState) => {
      await time.sleep(random.between(2, 10));
      counts.indexWrites += 1;
      const world = worlds.get(fields['issuer_id'] ?? '');
      if (world) world.candidate = { ...world.candidate, state };
    },
  };

  let containers = newContainers();
  const queue = new FleetQueue({
    time,
    random,
    slots: 1_000,
    twiceShare: 0.001,
    run: (errand) => {
      const deadline = time.now() + TIMEOUT_MILLISECONDS;
      const worker = containers[Math.floor(random.fraction() * CONTAINERS)] ?? newWorker();
      return worker(errand, { getRemainingTimeInMillis: () => deadline - time.now() });
    },
  });
  let tick = newDispatcher();

  time.start(async () => {
    for (let minute = FLEET_STARTS_AT; ; minute += 60_000) {
      await time.sleep(minute - time.now() + random.between(0, 3_000));
      time.start(tick);
    }
  });
  for (const at of coldStarts) {
    time.start(async () => {
      await time.sleep(at - time.now());
      for (const world of worlds.values()) world.candidate = { ...world.candidate, state: untried };
      containers = newContainers();
      tick = newDispatcher();
    });
  }
  await time.runUntil(FLEET_STARTS_AT + hours * 3_600_000);

  return {
    issuers: [...worlds.values()].map(({ issuerId, ailment, without, diesAt }) => ({
      issuerId,
      ailment,
      without,
      diesAt,
    })),
    ...counts,
    mostWritesInASecond,
    messages: queue.sent,
    mostBusy: queue.mostBusy,
    lateness,
    mostTriesInAnOutageMinute: Math.max(0, ...triesInOutageMinutes.values()),
  };

  function newDispatcher() {
    return createDispatcher({
      index,
      send: queue.send,
      refreshWindowSeconds: REFRESH_WINDOW_SECONDS,
      clock: time,
      onRound: () => {},
    });
  }

  function newContainers() {
    return Array.from({ length: CONTAINERS }, newWorker);
  }

  function newWorker() {
    const read = (fields: IssuerFields) => readIssuer(fields, { D1_EXCHANGE_ATTEMPTS: '1' });
    return createWorker({ index, read, appOf: lastUsed(MOST_APPS, appOf), clock: time });
  }

  function appOf({ issuerId, config }: Issuer): IssuerApp {
    const world = worlds.get(issuerId);
    if (!world) throw new TypeError(`There is no ${issuerId}.`);
    const slot: WriteSlot = { notBefore: 0 };
    const run = createApp({
      config,
      sign: async () => {
        await time.sleep(random.between(5, 20));
        counts.signatures += 1;
        return Buffer.alloc(64);
      },
      tokenEndpoint: tokenEndpointOf(world),
      store: pacedStore(
        createTokenStore({ client: clientOf(world), secretId: config.tokenSecretId, issuerId }),
        slot,
        time,
      ),
      clock: time,
      random,
      telemetry: { started: () => {}, begin: () => {}, warn: () => {}, succeeded: () => {}, failed: () => {} },
    });
    return { run, slot };
  }

  function tokenEndpointOf(world: IssuerWorld): TokenEndpoint {
    return {
      exchange: async (createAssertion, call, _deadline, signal) => {
        await createAssertion(signal);
        const sentAt = time.now();
        const minute = Math.floor(sentAt / 60_000);
        if (isDown(sentAt) && isDown(sentAt - 60_000)) {
          triesInOutageMinutes.set(minute, (triesInOutageMinutes.get(minute) ?? 0) + 1);
        }
        if (world.ailment === 'certificate') throw certificateExpired();
        await time.sleep(world.ailment === 'hanging' ? 8_000 : random.between(100, 600), signal);
        if (world.ailment === 'hanging' || isDown(sentAt) || random.happens(options.failureShare)) {
          throw unreachable('did not answer');
        }
        if (world.ailment === 'refused') throw rejected('invalid_grant', 400);
        const response = { access_token: `token-${random.uuid()}`, token_type: 'Bearer' as const, expires_in: 900 };
        const { issuerId } = world;
        const { correlationId } = call;
        return toTokenRecord(response, { issuerId, keyId: 'key', defaultExpiresInSeconds: 600, correlationId, sentAt });
      },
    };
  }

  function clientOf(world: IssuerWorld): SimulatedClient {
    return createSimulatedClient({
      service: world.secret,
      time,
      random,
      beforeRequest: (operation) => {
        if (operation !== 'PutSecretValue') {
          counts.reads += 1;
          return undefined;
        }
        const second = Math.floor(time.now() / 1000);
        const inSecond = (writesBySecond.get(second) ?? 0) + 1;
        writesBySecond.set(second, inSecond);
        writesBySecond.delete(second - 5);
        mostWritesInASecond = Math.max(mostWritesInASecond, inSecond);
        if (inSecond <= MOST_WRITES_A_SECOND) return undefined;
        counts.throttled += 1;
        throw new AwsError('ThrottlingException', 'Rate exceeded', 400);
      },
      afterRequest: (operation, input) => {
        if (operation !== 'PutSecretValue') return;
        counts.writes += 1;
        const { expires_at } = JSON.parse(String(input['SecretString']));
        const now = time.now();
        if (world.diesAt > 0 && now > world.diesAt) world.without.push({ from: world.diesAt, to: now });
        if (world.diesAt > 0 && !isNearOutage(now) && !isNearColdStart(now)) lateness.push(now - world.wasDueAt);
        world.diesAt = expires_at * 1000;
        const fresh = { expiresAt: expires_at, triedAt: now, failures: 0 };
        world.wasDueAt = dueAt(world.issuerId, fresh, REFRESH_WINDOW_SECONDS);
      },
    });
  }
}

const ailments: readonly Ailment[] = ['refused', 'certificate', 'hanging'];

const certificateExpired = () =>
  new BrokerError({
    code: 'CLIENT_CERTIFICATE_INVALID',
    what: 'The client certificate has expired.',
    remedy: 'Renew it.',
    retryable: false,
  });

class IssuerWorld {
  readonly issuerId: string;
  readonly ailment: Ailment | undefined;
  readonly fields: IssuerFields;
  readonly secret: FleetSecret;
  readonly without: Window[] = [];
  candidate: Candidate;
  /** Milliseconds since 1970 UTC; 0 before the first token. */
  diesAt = 0;
  /** Likewise: when the token that is stored now comes due. */
  wasDueAt = 0;

  constructor(issuerId: string, ailment: Ailment | undefined, now: () => number) {
    this.issuerId = issuerId;
    this.ailment = ailment;
    this.secret = new FleetSecret(now);
    this.fields = {
      issuer_id: issuerId,
      key_id: 'key',
      environment: 'production',
      signing_key_id: 'alias/fleet',
      token_secret_id: `d1/${issuerId}/access-token`,
      client_certificate_secret_id: `d1/${issuerId}/client-certificate`,
    };
    this.candidate = { issuerId, owner: issuerId, host: 'production', fingerprint: '', state: untried };
  }
}
