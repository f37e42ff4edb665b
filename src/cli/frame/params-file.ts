import { readFile } from 'node:fs/promises';

/** Where the parameters of the stages are, in a checkout. */
export const PARAMS_FILE = 'infra/params.yml';

export const paramsFileFlag = {
  kind: 'parsed',
  parse: String,
  optional: true,
  brief: `Where the parameters are; else ${PARAMS_FILE}`,
  placeholder: 'FILE',
} as const;

/** @returns The file's text; `undefined` where there is none, as outside a checkout. */
export async function readParams(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined);
}

/**
 * The lines of a stage: from that of its name to the last one that is indented, before the next stage.
 *
 * @returns Indices, the second one exclusive; `undefined` when the file has no such stage.
 */
export function linesOf(lines: readonly string[], stage: string): readonly [number, number] | undefined {
  const begin = lines.findIndex(
    (line) => line.startsWith(`${stage}:`) && /^:[ \t]*(#.*)?\r?$/.test(line.slice(stage.length)),
  );
  if (begin === -1) return undefined;
  let end = begin + 1;
  for (let index = begin + 1; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    if (/^[^\s#]/.test(line)) break;
    if (/^[ \t]+\S/.test(line)) end = index + 1;
  }
  return [begin, end];
}

/** A line with a parameter whose value is a piece of text on that line, and what the line has around the value. */
interface Line {
  readonly index: number;
  readonly before: string;
  readonly value: string;
  readonly after: string;
}

const scalar =
  /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'#{}[\]&*!|>%@`,?-](?:[^#]|(?<=\S)#)*?)([ \t]*(?:[ \t]#.*)?\r?)$/;

/** @returns Why a person must look: a parameter is written in a way that is not read here. */
function parameterLine(
  lines: readonly string[],
  [begin, end]: readonly [number, number],
  name: string,
): Line | undefined | { why: string } {
  const indent = indentOf(lines, [begin, end]);
  const named = new RegExp(`^${indent}(["']?)${name}\\1[ \\t]*:`);
  const found: Line[] = [];
  for (let index = begin + 1; index < end; index += 1) {
    const line = lines[index] ?? '';
    const before = named.exec(line)?.[0];
    if (before === undefined) continue;
    const [, space = '', rest = ''] = /^([ \t]*)(.*)$/s.exec(line.slice(before.length)) ?? [];
    const [, value, after = ''] = scalar.exec(rest) ?? [];
    // What is indented further goes on with the value.
    const goesOn = new RegExp(`^${indent}[ \\t]+[^\\s#]`).test(lines[index + 1] ?? '');
    if (value === undefined || value.includes('${') || goesOn) return { why: `${name} is not a plain value` };
    found.push({ index, before: before + space, value: plain(value), after });
  }
  return found.length > 1 ? { why: `${name} is there twice` } : found[0];
}

function indentOf(lines: readonly string[], [begin, end]: readonly [number, number]): string {
  const first = lines.slice(begin + 1, end).find((line) => /^[ \t]+[^\s#]/.test(line));
  return /^[ \t]+/.exec(first ?? '')?.[0] ?? '  ';
}

const plain = (value: string): string => {
  if (value.startsWith("'")) return value.slice(1, -1).replaceAll("''", "'");
  if (!value.startsWith('"')) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    return value;
  }
};

/** A parameter of a stage as the file has it: its own, or that of `default`. @returns `undefined` when it has none, or none that can be read here. */
export function parameterIn(text: string, stage: string, name: string): string | undefined {
  const lines = text.split('\n');
  for (const one of [stage, 'default']) {
    const range = linesOf(lines, one);
    const line = range && parameterLine(lines, range, name);
    if (line) return 'why' in line ? undefined : line.value;
  }
  return undefined;
}

/** Words of our own need no quotes; a kid may look like a number. */
export const asYaml = (value: string): string => (/^(current|next|none)$/.test(value) ? value : JSON.stringify(value));

export interface ChangedParams {
  readonly text: string;
  /** What goes and what comes, line by line, as `diff` has it; empty when all is as it should be. */
  readonly diff: readonly string[];
}

/**
 * The file with other parameters in a stage. Every other byte stays.
 *
 * @param wanted Parameters that are text on one line. What `default` says is left there, and said anew in the stage.
 * @returns Why a person must do it, when the file is written in a way that is not read here.
 */
export function withParameters(
  text: string,
  stage: string,
  wanted: ReadonlyMap<string, string>,
): ChangedParams | { readonly why: string } {
  const lines = text.split('\n');
  const diff: string[] = [];
  for (const [name, value] of wanted) {
    const range = linesOf(lines, stage);
    if (!range) return { why: `it has no stage ${stage}` };
    const line = parameterLine(lines, range, name);
    if (line && 'why' in line) return line;
    if (line ? line.value === value : parameterIn(text, stage, name) === value) continue;
    const written = asYaml(value);
    if (line) {
      const changed = `${line.before}${written}${line.after}`;
      diff.push(`-${trimmed(lines[line.index])}`, `+${trimmed(changed)}`);
      lines[line.index] = changed;
    } else {
      const [begin, end] = range;
      const ending = lines[begin]?.endsWith('\r') ? '\r' : '';
      const added = `${indentOf(lines, range)}${name}: ${written}`;
      diff.push(`+${added}`);
      lines.splice(end, 0, added + ending);
    }
  }
  return { text: lines.join('\n'), diff };
}

const trimmed = (line = '') => line.replace(/\r$/, '');
