import { writeFile } from 'node:fs/promises';
import { usageFailure } from './cli-failure.ts';
import type { Fact } from './document.ts';
import { asYaml, PARAMS_FILE, parameterIn, readParams, withParameters } from './params-file.ts';
import type { Stack } from './stage.ts';

/** The parameters of a rollover: as the file spells them, and as the stack does. */
export const keyParameters = {
  activeSigningKey: 'ActiveSigningKey',
  keyId: 'CurrentKeyId',
  nextKeyId: 'NextKeyId',
} as const;

type Parameters = Stack['parameters'];

/** The file that the next deployment goes by, beside what the stack has. */
export type KeyParams =
  | { readonly kind: 'same' }
  /** It can be written. */
  | { readonly kind: 'differs'; readonly text: string; readonly diff: readonly string[] }
  /** A person must write it: there is no such file here, or it is written in a way that is not read. */
  | { readonly kind: 'unknown'; readonly why: string };

/** Looks and writes; nothing of it is asked of AWS. */
export interface KeyParamsFile {
  readonly file: string;
  compare(parameters: Parameters): KeyParams;
  /** @returns What the file was before. */
  write(parameters: Parameters): Promise<KeyParams>;
}

/** @throws CliFailure USAGE when a file was named that is not there. */
export async function openKeyParams(
  flags: { readonly file?: string; readonly stage: string },
  issuerId: string | undefined,
): Promise<KeyParamsFile> {
  const { file = PARAMS_FILE, stage } = flags;
  const text = await readParams(file);
  if (text === undefined && flags.file !== undefined) {
    throw usageFailure(`The file ${file} cannot be read.`, 'Give the file with the parameters of the stages.');
  }
  function compare(parameters: Parameters): KeyParams {
    if (text === undefined) return { kind: 'unknown', why: 'this is no checkout' };
    // Another bank's checkout may have a stage of the same name.
    const stated = parameterIn(text, stage, 'issuerId');
    if (stated !== issuerId) {
      return {
        kind: 'unknown',
        why:
          stated === undefined
            ? `it has no issuer for the stage ${stage}`
            : `there the stage ${stage} is issuer ${stated}`,
      };
    }
    const changed = withParameters(text, stage, new Map(wanted(parameters)));
    if ('why' in changed) return { kind: 'unknown', why: changed.why };
    return changed.diff.length === 0 ? { kind: 'same' } : { kind: 'differs', ...changed };
  }
  return {
    file,
    compare,
    async write(parameters) {
      const found = compare(parameters);
      if (found.kind === 'differs') await writeFile(file, found.text);
      return found;
    },
  };
}

/** The parameters by the file's names. */
const wanted = (parameters: Parameters): [string, string][] =>
  Object.entries(keyParameters).map(([name, stackName]) => [name, parameters.get(stackName) ?? 'none']);

/** What a person is told of the file: in text, in what comes next, and under `facts.params_file`. */
export interface ToldParams {
  readonly text: readonly string[];
  readonly next: readonly string[];
  readonly fact: Fact;
}

/** @param done What was done with the file, if it differed. */
export function toldParams(
  { file }: Pick<KeyParamsFile, 'file'>,
  found: KeyParams,
  parameters: Parameters,
  done: 'wrote' | 'would write' | 'looked',
): ToldParams {
  const isWritten = done === 'wrote' && found.kind === 'differs';
  const diff = found.kind === 'differs' ? found.diff : [];
  const why = found.kind === 'unknown' ? found.why : null;
  const fact = { file, state: found.kind, why, written: isWritten, diff };
  if (found.kind === 'same' || (done === 'would write' && found.kind === 'unknown'))
    return { text: [], next: [], fact };
  const lines = wanted(parameters)
    .map(([name, value]) => `${name}: ${asYaml(value)}`)
    .join(', ');
  const goesBack = 'the next deployment goes by that file';
  if (found.kind === 'unknown') {
    return {
      text: [],
      next: [`write ${lines} into the stage in ${file}, which was not touched because ${found.why}; ${goesBack}.`],
      fact,
    };
  }
  const first = {
    wrote: `Wrote ${file}:`,
    'would write': `Would write ${file}:`,
    looked: `${file} is not as the stack is:`,
  }[done];
  const next = {
    wrote: [`commit ${file}: ${goesBack}.`],
    'would write': [],
    looked: [`write ${lines} into the stage in ${file}; ${goesBack}.`],
  }[done];
  return { text: [first, ...diff.map((line) => `  ${line}`)], next, fact };
}
