import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Suppression, suppressions } from '../../../infra/suppressions.ts';
import { ensureVenv, requirementsIn } from '../../support/python-server.ts';

const run = promisify(execFile);

export interface Found {
  readonly rule: string;
  readonly resource: string;
  readonly message: string;
}

/** @returns What no suppression is for, and the suppressions that are for nothing. */
export function judged(tool: Suppression['tool'], found: readonly Found[]) {
  const own = suppressions.filter((one) => one.tool === tool);
  const matches = (one: Suppression, { rule, resource }: Found) =>
    one.rule === rule && one.resources.includes(resource);
  return {
    findings: found.filter((finding) => !own.some((one) => matches(one, finding))),
    idle: own.filter((one) => !found.some((finding) => matches(one, finding))),
  };
}

/** @param regions Of which cfn-lint knows what they have. */
export async function lint(python: string, files: readonly string[], regions = ['eu-west-1']): Promise<Found[]> {
  const main = 'import sys; from cfnlint.runner import main; sys.exit(main())';
  const args = ['-c', main, '--format', 'json', '--regions', ...regions, '--template', ...files];
  // It ends with an error code when it has findings.
  const { stdout } = await run(python, args).catch((failed: { stdout: string }) => failed);
  const findings: { Rule: { Id: string }; Location: { Path: unknown[] }; Message: string }[] = JSON.parse(
    stdout || '[]',
  );
  return findings.map(({ Rule, Location, Message }) => ({
    rule: Rule.Id,
    resource: String(Location.Path[1]),
    message: `${Location.Path.join('/')}: ${Message}`,
  }));
}

/** With rules of our own. @returns What it found in each file. */
export async function checkov(files: readonly string[]): Promise<Map<string, Found[]>> {
  const requirements = requirementsIn(new URL('checkov.requirements.txt', import.meta.url));
  const venv = await ensureVenv('checkov', requirements);
  const rules = join(import.meta.dirname, '..', 'checkov');
  const args = [
    '-m',
    'checkov.main',
    '--skip-download',
    '--framework',
    'cloudformation',
    '--external-checks-dir',
    rules,
    '--quiet',
    '-o',
    'json',
  ];
  const options = { maxBuffer: 64 * 1024 * 1024, env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } };
  // It ends with an error code when it has findings.
  const { stdout } = await run(venv.python, [...args, ...files.flatMap((file) => ['-f', file])], options).catch(
    (failed: { stdout: string }) => failed,
  );
  const found = new Map<string, Found[]>();
  const { failed_checks }: { failed_checks: Failed[] } = JSON.parse(stdout).results;
  for (const { file_abs_path, check_id, resource, check_name } of failed_checks) {
    const finding = { rule: check_id, resource: resource.split('.')[1] ?? '', message: check_name };
    found.set(file_abs_path, [...(found.get(file_abs_path) ?? []), finding]);
  }
  return found;
}

interface Failed {
  readonly file_abs_path: string;
  readonly check_id: string;
  readonly check_name: string;
  readonly resource: string;
}
