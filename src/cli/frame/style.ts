/** Colours and widths of the terminal; none where there is no terminal or the person wants none (https://no-color.org). */
export interface Style {
  readonly isTerminal: boolean;
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

export function styleOf(
  stream: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): Style {
  const isTerminal = stream.isTTY === true;
  const isColoured = isTerminal && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';
  const paint = (code: number) => (text: string) => (isColoured ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { isTerminal, good: paint(32), bad: paint(31), warn: paint(33), dim: paint(2), bold: paint(1) };
}
