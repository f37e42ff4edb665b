import { common, svg } from '../simulation/svg.ts';
import type { ColdStartBench } from './cold-start.ts';
import type { RefreshLatencyBench } from './refresh-latency.ts';
import type { SizeBench } from './size.ts';

/** What each function needs from the start of its process to its first answer, in parts. */
export function plotColdStart({ cached, refresh }: ColdStartBench): Promise<string> {
  const events = { 'live token in the secret': cached, refresh };
  const parts = ['Node itself', 'import', 'first event'];
  const values = Object.entries(events).flatMap(([event, { variants }]) =>
    Object.values(variants).flatMap((one) => {
      const rest = one.total_milliseconds - one.import_milliseconds - one.event_milliseconds;
      const sizes = [rest, one.import_milliseconds, one.event_milliseconds];
      return parts.map((part, order) => ({ event, name: one.name, part, order, milliseconds: sizes[order] ?? 0 }));
    }),
  );
  const names = Object.values(cached.variants).map(({ name }) => name);
  return svg({
    ...common,
    title: 'Cold start: process start to first answer, medians',
    data: { values },
    facet: { field: 'event', type: 'nominal', title: null },
    columns: 1,
    spec: {
      width: 560,
      height: 170,
      mark: 'bar',
      encoding: {
        y: { field: 'name', type: 'nominal', sort: names, title: null, axis: { labelLimit: 260 } },
        x: { field: 'milliseconds', type: 'quantitative', title: 'milliseconds' },
        order: { field: 'order', type: 'quantitative' },
        color: {
          field: 'part',
          type: 'nominal',
          sort: parts,
          scale: { domain: parts, range: ['#999999', '#0072b2', '#e69f00'] },
          title: null,
        },
      },
    },
  });
}

/** A refresh with fixed latencies, beside what must come one after the other. */
export function plotRefresh({ warm, cold }: RefreshLatencyBench): Promise<string> {
  const values = Object.entries({ warm, cold }).flatMap(([connection, one]) => [
    { connection, what: 'network floor', milliseconds: one.floor_milliseconds },
    { connection, what: 'bare client, median', milliseconds: one.bare_client_milliseconds },
    { connection, what: 'broker, median', milliseconds: one.median_milliseconds },
  ]);
  const what = ['network floor', 'bare client, median', 'broker, median'];
  return svg({
    ...common,
    title: 'A refresh with fixed latencies',
    data: { values },
    width: 560,
    height: 110,
    mark: 'bar',
    encoding: {
      y: { field: 'connection', type: 'nominal', sort: ['warm', 'cold'], title: null },
      yOffset: { field: 'what', type: 'nominal', sort: what },
      x: { field: 'milliseconds', type: 'quantitative', title: 'milliseconds' },
      color: {
        field: 'what',
        type: 'nominal',
        scale: { domain: what, range: ['#999999', '#e69f00', '#0072b2'] },
        title: null,
      },
    },
  });
}

/** Who the bytes of the bundle belong to. */
export function plotSize({ packages }: SizeBench): Promise<string> {
  const values = Object.entries(packages).map(([name, bytes]) => ({ name, kilobytes: bytes / 1000 }));
  return svg({
    ...common,
    title: 'The bundle by package, minified',
    data: { values },
    width: 560,
    height: 320,
    mark: { type: 'bar', color: '#0072b2' },
    encoding: {
      y: { field: 'name', type: 'nominal', sort: '-x', title: null, axis: { labelLimit: 260 } },
      x: { field: 'kilobytes', type: 'quantitative', title: 'kilobytes' },
    },
  });
}
