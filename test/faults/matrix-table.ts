import { brokerEntries, type Cell, type Entry, readerEntries } from './cells.ts';

export interface Row extends Cell {
  readonly summary: string;
}

const tables: readonly { title: string; steps: readonly string[]; entries: readonly Entry[] }[] = [
  {
    title: 'A refresh',
    steps: ['read_secret', 'load_certificate', 'connect', 'sign', 'exchange', 'write_secret'],
    entries: ['tick', 'direct', 'forced', 'createSecret'],
  },
  {
    title: 'A rotation',
    steps: ['describe_secret', 'read_pending', 'move_label', 'remove_label'],
    entries: brokerEntries.slice(3),
  },
  { title: 'A reader', steps: ['reader_read'], entries: readerEntries },
];

/** What was seen, as Markdown; faults that came to the same share a row. */
export const renderMatrix = (seen: readonly Row[]): string =>
  tables
    .map(({ title, steps, entries }) => {
      const head = ['step', 'fault', 'calls', ...entries];
      const rows = steps.flatMap((step) =>
        ['once', 'always'].flatMap((frequency) => rowsOf(seen, step, frequency, entries)),
      );
      const lines = aligned([head, ...rows]);
      return `### ${title}\n\n${lines.join('\n')}`;
    })
    .join('\n\n');

function rowsOf(seen: readonly Row[], step: string, frequency: string, entries: readonly Entry[]): string[][] {
  const ofStep = seen.filter((row) => row.step === step && row.frequency === frequency);
  const byOutcome = new Map<string, { faults: string[]; columns: string[] }>();
  for (const fault of new Set(ofStep.map((row) => row.fault))) {
    const columns = entries.map(
      (entry) => ofStep.find((row) => row.fault === fault && row.entry === entry)?.summary ?? '',
    );
    const alike = byOutcome.get(columns.join('|'));
    if (alike) alike.faults.push(fault);
    else byOutcome.set(columns.join('|'), { faults: [fault], columns });
  }
  return [...byOutcome.values()].map(({ faults, columns }) => [step, faults.join(', '), frequency, ...columns]);
}

/** As the formatter leaves a Markdown table: every column as wide as its widest cell. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[], fill: string) =>
    `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width, fill)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head, ' '), line([], '-'), ...body.map((row) => line(row, ' '))];
}
