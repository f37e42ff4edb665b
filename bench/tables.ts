import type { CodecBench } from './codec.ts';
import type { ColdStartBench, ColdStartOf } from './cold-start.ts';
import type { CommandsBench } from './commands.ts';
import type { DependencyCost } from './dependencies.ts';
import type { ReaderBench } from './reader.ts';
import type { Latency, RefreshLatencyBench } from './refresh-latency.ts';
import type { RuntimeBench } from './runtime.ts';
import type { SizeBench } from './size.ts';

// Markdown, because what is printed also goes into docs/performance.md.

type Row = readonly (string | number)[];

/** The first column is text, the others are numbers. */
export function table(head: Row, rows: readonly Row[]): string {
  const cells = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(4, ...cells.map((row) => row[column]?.length ?? 0)));
  const pad = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  const [first = '', ...rest] = cells.map((row) => `| ${row.map(pad).join(' | ')} |`);
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [first, rule, ...rest].join('\n');
}

const whole = (value: number) => Math.round(value).toLocaleString('en');
const tenth = (value: number) => value.toFixed(1);
const hundredth = (value: number) => value.toFixed(2);

/** A ratio, and whether it is what issue 6 asks for. */
const judged = (ratio: number, limit: number) => `${hundredth(ratio)} (${ratio <= limit ? 'met' : 'not met'})`;

export function commandsTable(bench: CommandsBench): string {
  return table(
    ["the operator's commands", 'figure'],
    [
      ['bundle, in gzip, without the SDK, bytes', whole(bench.bundle_gzip_bytes)],
      ['bare Node, ms', tenth(bench.bare_node_milliseconds)],
      ['`--help`, ms', tenth(bench.help_milliseconds)],
      ['`--help` to bare Node, goal 2.0', judged(bench.help_ratio, 2)],
      ['`doctor` on the sandbox, ms, goal 5,000', whole(bench.doctor_milliseconds)],
    ],
  );
}

export function coldStartTable({ variants }: ColdStartOf): string {
  return table(
    ['function', 'total ms', 'import ms', 'first event ms', 'processor ms'],
    Object.values(variants).map((one) => [
      one.name,
      tenth(one.total_milliseconds),
      tenth(one.import_milliseconds),
      tenth(one.event_milliseconds),
      tenth(one.cpu_milliseconds),
    ]),
  );
}

export function coldStartRatios({ cached, refresh }: ColdStartBench): string {
  const row = (name: string, of: (event: ColdStartOf) => [number, number], goals?: [number, number]): Row[] => {
    const both = [of(cached), of(refresh)];
    return [
      [name, ...both.map(([total], index) => (goals ? judged(total, goals[index] ?? 1) : hundredth(total)))],
      [`${name}, processor time`, ...both.map(([, cpu]) => hundredth(cpu))],
    ];
  };
  return table(
    ['broker to …', 'cached', 'refresh'],
    [
      ...row('SDK floor', (e) => [e.ratio_to_sdk_floor, e.cpu_ratio_to_sdk_floor], [0.9, 1.1]),
      ...row('same calls', (e) => [e.ratio_to_same_calls, e.cpu_ratio_to_same_calls]),
      ...row('hand-written', (e) => [e.ratio_to_usual, e.cpu_ratio_to_usual]),
    ],
  );
}

export function refreshTable(bench: RefreshLatencyBench): string {
  const row = (name: string, one: Latency): Row => [
    name,
    one.floor_milliseconds,
    tenth(one.median_milliseconds),
    judged(one.ratio_to_network_floor, 1.1),
    tenth(one.bare_client_milliseconds),
    hundredth(one.ratio_to_bare_client),
    ...['read_secret', 'load_certificate', 'sign', 'exchange', 'write_secret'].map((step) =>
      Math.round(one.step_milliseconds[step] ?? 0),
    ),
  ];
  return table(
    [
      'connection',
      'floor ms',
      'median ms',
      'ratio',
      'bare client ms',
      'ratio to it',
      'read',
      'certificate',
      'sign',
      'exchange',
      'write',
    ],
    [row('warm', bench.warm), row('cold', bench.cold)],
  );
}

export function readerTable(bench: ReaderBench & { readonly heap_bytes_per_reader: number }): string {
  return table(
    ['', 'd1-token-reader', 'powertools getSecret'],
    [
      ['nanoseconds per hit', whole(bench.hit_nanoseconds), whole(bench.powertools_hit_nanoseconds)],
      ['ratio to powertools', judged(bench.ratio_to_powertools, 0.26), '1.00'],
      [
        'requests by 1,000 concurrent cold calls',
        bench.requests_by_1000_concurrent_cold_calls,
        bench.powertools_requests_by_1000_concurrent_cold_calls,
      ],
      ['heap per reader, bytes', whole(bench.heap_bytes_per_reader), ''],
      ['packages installed, the SDK client aside', bench.install.packages, ''],
      ['megabytes installed, the SDK client aside', hundredth(bench.install.megabytes), ''],
    ],
  );
}

export function codecTable({ implementations, malformed_signatures: of }: CodecBench): string {
  return table(
    ['implementation', 'conversions per second', `of ${of} malformed let through`, 'kinds'],
    Object.entries(implementations).map(([name, one]) => [
      name,
      whole(one.conversions_per_second),
      one.malformed_let_through,
      one.kinds_let_through.length,
    ]),
  );
}

export function sizeTable({ packages, bytes }: SizeBench): string {
  return table(
    ['package', 'bytes', '%'],
    Object.entries(packages).map(([name, size]) => [name, whole(size), tenth((size / bytes) * 100)]),
  );
}

export function dependencyTable(costs: readonly DependencyCost[]): string {
  return table(
    ['dependency', 'bytes in the bundle', 'added cold start (ms)'],
    costs.map(({ name, bytes, milliseconds }) => [name, whole(bytes), tenth(milliseconds)]),
  );
}

export function runtimeTable(bench: RuntimeBench): string {
  return table(
    [`aws-lambda-ric ${bench.version}`, 'ms'],
    [
      ['init: from the start of the process to its first request for an event', tenth(bench.init_milliseconds)],
      ['first invocation, live token in the secret', tenth(bench.first_cached_milliseconds)],
      ['first invocation, refresh', tenth(bench.first_refresh_milliseconds)],
      ['warm invocation, token in memory', tenth(bench.warm_milliseconds)],
    ],
  );
}
