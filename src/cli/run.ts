import { run } from '@stricli/core';
import type { Context, Output } from './frame/context.ts';
import type { Document } from './frame/document.ts';
import { exitCodeOf } from './frame/exit-code.ts';
import { application } from './program.ts';

/** Runs the program. What the library says about a wrong command line is said in the document, too, where --json asks for it. */
export async function main(inputs: readonly string[]): Promise<void> {
  const wantsJson = inputs.includes('--json');
  const complaints: string[] = [];
  // The library writes to the standard error only what is wrong with the command line.
  const stderr: Output = wantsJson ? { write: (text) => void complaints.push(text) } : process.stderr;
  const own: Context['process'] = { stdout: process.stdout, stderr, env: process.env };
  await run(application, inputs, { process: own });
  process.exitCode = Number(own.exitCode ?? 0);
  // Negative codes are the library's: no such command, a flag that is missing or wrong.
  if (process.exitCode >= 0) return;
  process.exitCode = exitCodeOf('usage');
  if (!wantsJson) return;
  const document: Document = {
    schema_version: 1,
    command: inputs
      .filter((input) => /^[a-z]+$/.test(input))
      .slice(0, 3)
      .join(' '),
    outcome: 'usage',
    exit_code: exitCodeOf('usage'),
    stage: null,
    account: null,
    region: null,
    issuer_id: null,
    dry_run: false,
    facts: {},
    checks: [],
    next: [],
    error: {
      code: 'USAGE',
      what: complaints.join(' ').replace(/\s+/g, ' ').trim().slice(0, 500),
      remedy: 'd1-token --help shows the commands, and d1-token COMMAND --help their flags.',
    },
  };
  process.stdout.write(`${JSON.stringify(document)}\n`);
}
