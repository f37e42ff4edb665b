import { onTestFinished, vi } from 'vitest';
import { checks } from '../../src/cli/doctor/checks.ts';
import { runChecks } from '../../src/cli/doctor/run-checks.ts';
import { createClients } from '../../src/cli/frame/clients.ts';
import type { CheckLine } from '../../src/cli/frame/document.ts';
import { awsEnvironment, type OperatedBank, STAGE } from './operated-bank.ts';

/**
 * The doctor's checks without the program around them: a process for each would take minutes of nothing but starting.
 * Whoever tries again does so at once.
 *
 * @param hanging The check that hangs; it and its like, which make the same call, are given half a second.
 */
export async function examine({ sandbox }: OperatedBank, hanging?: string): Promise<CheckLine[]> {
  const random = vi.spyOn(Math, 'random').mockReturnValue(0);
  for (const [name, value] of Object.entries(awsEnvironment(sandbox))) vi.stubEnv(name, value);
  onTestFinished(() => {
    random.mockRestore();
    vi.unstubAllEnvs();
  });
  const action = checks.find(({ id }) => id === hanging)?.action;
  const hurried = checks.map((check) =>
    action !== undefined && check.action === action ? { ...check, patience: () => 0.5 } : check,
  );
  const end = new AbortController();
  const lines = await runChecks(hurried, {
    clients: createClients({}, end.signal),
    stage: STAGE,
    exchange: undefined,
    progress: () => {},
    now: Date.now,
  });
  end.abort();
  return lines;
}

/** What a line names. */
export const named = (line: CheckLine | undefined) =>
  line && line.error_code !== null ? { check: line.check, code: line.error_code } : undefined;
