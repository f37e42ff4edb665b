import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

/** What all plots of the project look like. */
export const common = { background: 'white', config: { font: 'sans-serif', view: { stroke: '#ddd' } } } as const;

/** Vega without a browser; what it draws depends on the specification alone. */
export async function svg(spec: TopLevelSpec): Promise<string> {
  const view = new View(parse(compile(spec).spec), { renderer: 'none' });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}
