import { writeFile } from 'node:fs/promises';
import { rules } from '../../../infra/check-parameters.ts';
import { failure, usageFailure } from '../frame/cli-failure.ts';
import { runCommand, type Session } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { PlaceFlags } from '../frame/flags.ts';
import { PARAMS_FILE, readParams } from '../frame/params-file.ts';
import { hasParameters, questions, stageBlock, withStage } from './stage-block.ts';

export interface InitFlags extends PlaceFlags {
  readonly file?: string;
  readonly replace: boolean;
  readonly dryRun: boolean;
  readonly environment?: string;
  readonly issuerId?: string;
  readonly keyId?: string;
  readonly criticalTopicArn?: string;
  readonly warningTopicArn?: string;
  readonly runbookUrl?: string;
}

export async function init(this: Context, flags: InitFlags): Promise<void> {
  await runCommand(this, 'init', flags, async (session) => {
    const { file = PARAMS_FILE, stage, replace, dryRun } = flags;
    const text = await readParams(file);
    if (text === undefined) {
      throw usageFailure(`The file ${file} cannot be read.`, 'Run the command in a checkout, or give --file.');
    }
    if (stage === 'default')
      throw usageFailure('default is no stage.', 'It holds for every stage that does not say otherwise.');
    if (hasParameters(text, stage) && !replace) {
      throw failure(
        'STAGE_EXISTS',
        `${file} has a stage ${stage} already.`,
        'Edit it there; --replace writes it anew.',
      );
    }
    const answers = await answered(flags, session);
    const changed = withStage(text, stage, stageBlock(stage, answers));
    if (!dryRun && changed !== undefined) await writeFile(file, changed);
    const doing = changed === undefined ? 'Nothing to do' : dryRun ? 'Dry run, nothing was changed' : `Wrote ${file}`;
    return {
      dryRun,
      facts: { file, parameters: Object.fromEntries(answers), changed: changed !== undefined && !dryRun },
      text: [`${doing}:`, '', stageBlock(stage, answers)],
      next: [
        `npm run package -- --stage ${stage} (a first look, without AWS), then npm run deploy -- --stage ${stage}`,
        `d1-token key export --stage ${stage}, and d1-token certificate request --stage ${stage}, for Thales`,
      ],
    };
  });
}

/** From the flags; what is missing is asked for, where somebody is there to ask. @throws CliFailure USAGE */
async function answered(flags: InitFlags, { ask }: Session): Promise<Map<string, string>> {
  const answers = new Map<string, string>();
  for (const { name, question, fallback } of questions) {
    const given = flags[name as keyof InitFlags] as string | undefined;
    const hint = fallback === undefined ? '' : ` [${fallback}]`;
    const value = given ?? ((await ask(`${question}${hint}: `)) || fallback);
    const rule = rules[name];
    if (value === undefined || value === '') {
      throw usageFailure(`Nobody says what ${name} is.`, `Give --${kebab(name)}: ${rule?.rule ?? question}.`);
    }
    if (rule && !rule.accepts(value)) {
      throw usageFailure(`The parameter ${name} is wrong.`, `It must be ${rule.rule}.`);
    }
    answers.set(name, value);
  }
  return answers;
}

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
