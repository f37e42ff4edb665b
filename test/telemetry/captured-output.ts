import { vi } from 'vitest';

/** A log line of AWS Powertools. */
export type LogLine = Readonly<Record<string, unknown>>;

/** One metric as CloudWatch reads it: the value of one name, under one set of dimensions. */
export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly value: unknown;
  readonly namespace: string;
  readonly dimensions: Readonly<Record<string, unknown>>;
}

export interface CapturedOutput {
  /** Everything that went to standard output and standard error since the capture began, or since `clear`. */
  text(): string;
  /** @throws SyntaxError when there was a line that is not JSON. */
  logs(): LogLine[];
  /** @throws Error when a metric names a dimension or a value that it does not carry. */
  metrics(): Metric[];
  clear(): void;
}

/** Keeps what this process writes, instead of showing it. `vi.restoreAllMocks` ends it. */
export function captureOutput(): CapturedOutput {
  const chunks: string[] = [];
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((chunk) => {
      chunks.push(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
      return true;
    });
  }
  const records = () =>
    chunks
      .join('')
      .split('\n')
      .filter(Boolean)
      .map((line): Record<string, unknown> => JSON.parse(line));
  return {
    text: () => chunks.join(''),
    logs: () => records().filter((record) => 'level' in record),
    metrics: () =>
      records()
        .filter((record) => '_aws' in record)
        .flatMap(parseEmbeddedMetrics),
    clear: () => {
      chunks.length = 0;
    },
  };
}

/** Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide. */
function parseEmbeddedMetrics(record: Record<string, unknown>): Metric[] {
  const { CloudWatchMetrics: directives } = record['_aws'] as {
    CloudWatchMetrics: { Namespace: string; Dimensions: string[][]; Metrics: { Name: string; Unit: string }[] }[];
  };
  const carried = (name: string): unknown => {
    if (!(name in record)) throw new Error(`${name} is named by the metric and not in its record`);
    return record[name];
  };
  return directives.flatMap(({ Namespace: namespace, Dimensions: sets, Metrics: definitions }) => {
    const dimensions = Object.fromEntries(sets.flat().map((name) => [name, carried(name)]));
    return definitions.map(({ Name, Unit }) => ({
      name: Name,
      unit: Unit,
      value: carried(Name),
      namespace,
      dimensions,
    }));
  });
}
