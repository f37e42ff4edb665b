import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeStandalone, type Standalone } from '../../../infra/standalone/package.ts';

const run = promisify(execFile);
export const root = fileURLToPath(new URL('../../../', import.meta.url));
const osls = join(root, 'node_modules', '.bin', 'osls');

export interface Resource {
  readonly Type: string;
  readonly Condition?: string;
  readonly DependsOn?: string | readonly string[];
  readonly DeletionPolicy?: string;
  readonly Properties: Readonly<Record<string, unknown>>;
}

export interface Template {
  readonly Resources: Readonly<Record<string, Resource>>;
  readonly Conditions?: Readonly<Record<string, unknown>>;
  readonly Parameters?: Readonly<Record<string, unknown>>;
  readonly Outputs?: Readonly<Record<string, unknown>>;
}

/** What a stack tells, by name. */
export type Outputs = Readonly<Record<string, string>>;

/** What `npm run package` leaves behind: what osls makes, and what deploys without osls. */
export interface ServicePackage {
  /** Makes the bucket that the zip goes into; osls deploys it before everything else. Empty with a bucket of the bank's own. */
  readonly bucketTemplate: Template;
  readonly template: Template;
  /** Path of `template`. */
  readonly templateFile: string;
  readonly zipFile: string;
  readonly zip: Buffer;
  readonly zipSha256: string;
  /** Where in the bucket the template expects the zip. */
  readonly zipKey: string;
  readonly standalone: Standalone & { readonly template: Template };
  /** What osls wrote to standard error: what the packaging has to say besides. */
  readonly notices: string;
}

/** As an operator's shell has it, but without anything that could reach AWS or log in anywhere. */
export function environment(): NodeJS.ProcessEnv {
  const foreign = /^(AWS_|SERVERLESS_|SLS_|VITEST|NODE_ENV|NODE_OPTIONS)/;
  const kept = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  return {
    ...Object.fromEntries(kept),
    PATH: `${dirname(osls)}:${process.env['PATH']}`,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

/**
 * Runs `osls package` and what comes after it, as `npm run package` does (infra/standalone/package.ts).
 *
 * @param folder Where the package goes.
 * @throws Error whose `stderr` and `stdout` say why, when osls refuses.
 */
export async function packageService(
  folder: string,
  {
    stage,
    region,
    parameters = {},
  }: { stage?: string; region?: string; parameters?: Readonly<Record<string, string>> } = {},
): Promise<ServicePackage> {
  const args = ['package', '--package', folder];
  if (stage !== undefined) args.push('--stage', stage);
  if (region !== undefined) args.push('--region', region);
  for (const [name, value] of Object.entries(parameters)) args.push('--param', `${name}=${value}`);
  // serverless-esbuild leaves its temporary folder behind.
  const TMPDIR = `${folder}.tmp`;
  await mkdir(TMPDIR, { recursive: true });
  const { stderr: notices } = await run(osls, args, { cwd: root, env: { ...environment(), TMPDIR } });

  const templateFile = join(folder, 'cloudformation-template-update-stack.json');
  const zipFile = join(folder, 'd1-token-broker.zip');
  const template: Template = JSON.parse(await readFile(templateFile, 'utf8'));
  const bucketTemplateFile = join(folder, 'cloudformation-template-create-stack.json');
  const bucketTemplate: Template = existsSync(bucketTemplateFile)
    ? JSON.parse(await readFile(bucketTemplateFile, 'utf8'))
    : { Resources: {} };
  const zip = await readFile(zipFile);
  const standalone = await makeStandalone(folder, join(folder, 'dist'));
  const code = template.Resources['BrokerLambdaFunction']?.Properties['Code'] as { S3Key: string };
  return {
    bucketTemplate,
    template,
    templateFile,
    zipFile,
    zip,
    zipSha256: createHash('sha256').update(zip).digest('hex'),
    zipKey: code.S3Key,
    standalone: { ...standalone, template: JSON.parse(await readFile(standalone.templateFile, 'utf8')) },
    notices,
  };
}
