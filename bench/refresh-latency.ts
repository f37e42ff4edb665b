import { join } from 'node:path';
import { bundleHandler } from '../sandbox/bundle.ts';
import { type Container, startContainer } from '../sandbox/lambda/container.ts';
import { schedulerTick } from '../sandbox/scheduler-tick.ts';
import { openBenchBank } from './bank.ts';
import { startRelay } from './relay.ts';
import { median } from './statistics.ts';
import { until } from './until.ts';

const RUNS = 31;
const WARM_UP_RUNS = 4;
/** How long the container gets to notice that its connection was closed. */
const NOTICE_MILLISECONDS = 30;

export const latencies = {
  kms: 15,
  secretsManager: 10,
  tcp: 40,
  tls: 40,
  tokenEndpoint: 40,
} as const;

const { kms, secretsManager, tcp, tls, tokenEndpoint } = latencies;
/** What has to come one after the other: read the secret; connect while KMS signs; exchange; write the secret. */
export const floors = {
  warm: secretsManager + kms + tokenEndpoint + secretsManager,
  cold: secretsManager + Math.max(kms, tcp + tls) + tokenEndpoint + secretsManager,
} as const;

export interface Latency {
  readonly floor_milliseconds: number;
  readonly median_milliseconds: number;
  readonly ratio_to_network_floor: number;
  /** The same calls by node:http and node:https alone, in the same run: what this machine needs for the round trips. */
  readonly bare_client_milliseconds: number;
  readonly ratio_to_bare_client: number;
  /** Medians of what the function's own log line says, whole milliseconds. */
  readonly step_milliseconds: Readonly<Record<string, number>>;
}

export interface RefreshLatencyBench {
  /** The larger of warm and cold. */
  readonly ratio_to_network_floor: number;
  /** A container that has refreshed before, with its connection to D1 open. */
  readonly warm: Latency;
  /** The same container; D1 has closed the connection. */
  readonly cold: Latency;
}

interface Sample {
  readonly milliseconds: number;
  readonly bareMilliseconds: number;
  readonly steps: Readonly<Record<string, number>>;
}

/** A tick that finds a dead token, with fixed latencies everywhere; about ten seconds. */
export async function benchRefreshLatency(runs = RUNS): Promise<RefreshLatencyBench> {
  const { file } = await bundleHandler();
  const bank = await openBenchBank({
    awsIntercept: async ({ service }, next) => {
      const due = performance.now() + (service === 'kms' ? kms : secretsManager);
      const answer = await next();
      await until(due);
      return answer;
    },
    d1Intercept: async (_request, next) => {
      const due = performance.now() + tokenEndpoint;
      const answer = await next();
      await until(due);
      return answer;
    },
  });
  const d1 = new URL(bank.d1.baseUrl);
  const relay = await startRelay(Number(d1.port), { handshakeRoundTripMilliseconds: tcp });
  d1.port = String(relay.port);
  // Without the TLS before AWS, whose handshake is long over in a container that has refreshed before.
  const environment = { ...bank.environment, AWS_ENDPOINT_URL: bank.plainAwsUrl, D1_ENVIRONMENT: d1.href };
  const broker = await startContainer(file, environment);
  const bare = await startContainer(join(import.meta.dirname, 'bare-refresh.mjs'), environment);
  const time = async (container: Container): Promise<number> => {
    await bank.store('expired');
    const began = performance.now();
    await container.invoke(schedulerTick);
    return performance.now() - began;
  };
  const tick = async (): Promise<Sample> => {
    const milliseconds = await time(broker);
    // The log line comes over a pipe of its own.
    while (!broker.output.at(-1)?.includes('_aws')) await until(performance.now() + 1);
    const line = broker.output.findLast((text) => text.includes('"step_milliseconds"')) ?? '{}';
    return { milliseconds, bareMilliseconds: await time(bare), steps: JSON.parse(line).step_milliseconds };
  };
  try {
    const samples = { warm: [] as Sample[], cold: [] as Sample[] };
    for (let run = -WARM_UP_RUNS; run < runs; run += 1) {
      const warm = await tick();
      relay.hangUp();
      await until(performance.now() + NOTICE_MILLISECONDS);
      const cold = await tick();
      if (run < 0) continue;
      samples.warm.push(warm);
      samples.cold.push(cold);
    }
    const warm = latency(floors.warm, samples.warm);
    const cold = latency(floors.cold, samples.cold);
    const ratio = Math.max(warm.ratio_to_network_floor, cold.ratio_to_network_floor);
    return { ratio_to_network_floor: ratio, warm, cold };
  } finally {
    await Promise.all([broker.kill(), bare.kill()]);
    await relay.close();
    await bank.close();
  }
}

function latency(floor: number, samples: readonly Sample[]): Latency {
  const middle = median(samples.map(({ milliseconds }) => milliseconds));
  const bare = median(samples.map(({ bareMilliseconds }) => bareMilliseconds));
  const steps = Object.keys(samples[0]?.steps ?? {});
  return {
    floor_milliseconds: floor,
    median_milliseconds: middle,
    ratio_to_network_floor: middle / floor,
    bare_client_milliseconds: bare,
    ratio_to_bare_client: middle / bare,
    step_milliseconds: Object.fromEntries(
      steps.map((step) => [step, median(samples.map((sample) => sample.steps[step] ?? 0))]),
    ),
  };
}
