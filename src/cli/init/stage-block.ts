import { linesOf } from '../frame/params-file.ts';

/** What a stage of infra/params.yml may be given here, in the order in which it is asked for. */
export interface Question {
  readonly name: string;
  /** For a person. */
  readonly question: string;
  /** Written above the parameter. */
  readonly comment: string;
  /** Taken when nothing is answered. */
  readonly fallback?: string;
}

export const questions: readonly Question[] = [
  {
    name: 'environment',
    question: 'D1 environment (production, staging, develop, or a base URL)',
    comment: "Thales calls staging pre-production: its certificates are PPR, production's PRD.",
  },
  {
    name: 'issuerId',
    question: 'Issuer id (in the aggregator model: the aggregator id)',
    comment: 'As Thales gave it.',
  },
  {
    name: 'keyId',
    question: 'kid of the signing key, agreed with Thales',
    comment: 'Selects the public key at D1.',
  },
  {
    name: 'criticalTopicArn',
    question: 'SNS topic of what wakes somebody (ARN, or none for now)',
    comment: 'Wanted from onboarded: true on.',
    fallback: 'none',
  },
  {
    name: 'warningTopicArn',
    question: 'SNS topic of what can wait until morning (ARN, or none for now)',
    comment: 'Likewise.',
    fallback: 'none',
  },
  {
    name: 'runbookUrl',
    question: 'Where the alarms say the runbook is',
    comment: 'Told by every alarm.',
    fallback: 'docs/runbook.md',
  },
];

/** The stage as YAML; every value in quotes, because YAML takes 00012345 for a number. */
export function stageBlock(stage: string, answers: ReadonlyMap<string, string>): string {
  const lines = questions.flatMap(({ name, comment }) => {
    const value = answers.get(name);
    return value === undefined ? [] : [`  # ${comment}`, `  ${name}: ${JSON.stringify(value)}`];
  });
  return [`${stage}:`, ...lines, ''].join('\n');
}

/**
 * A file of parameters with the stage in it: in the place that it had, or at the end. All other lines stay.
 *
 * @returns `undefined` when the stage is there as it should be.
 */
export function withStage(text: string, stage: string, block: string): string | undefined {
  const lines = text.split('\n');
  const range = linesOf(lines, stage);
  if (!range) return `${text.trimEnd()}\n\n${block}`;
  const [begin, end] = range;
  lines.splice(begin, end - begin, block.trimEnd());
  const changed = lines.join('\n');
  return changed === text ? undefined : changed;
}

/** Whether the stage has parameters of its own already: commented lines are none. */
export function hasParameters(text: string, stage: string): boolean {
  const lines = text.split('\n');
  const range = linesOf(lines, stage);
  return range !== undefined && lines.slice(...range).some((line) => /^ +(issuerId|keyId):/.test(line));
}
