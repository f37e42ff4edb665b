import { buildCommand } from '@stricli/core';
import type { Context } from '../frame/context.ts';
import { onOff, optionalText, placeFlags } from '../frame/flags.ts';
import { paramsFileFlag } from '../frame/params-file.ts';
import type { InitFlags } from './init.ts';

export const initCommand = buildCommand<InitFlags, [], Context>({
  docs: {
    brief: "Asks the few questions that matter, and writes the stage's parameters",
    fullDescription: [
      'Writes a stage of infra/params.yml, with explanations. Every answer can be a flag; what is missing is asked for in a',
      'terminal. Nothing of AWS is touched.',
      '',
      'Examples:',
      '  d1-token init --stage staging',
      '  d1-token init --stage staging --environment staging --issuer-id ISSUER0001 --key-id bank-2026',
    ].join('\n'),
  },
  parameters: {
    flags: {
      ...placeFlags,
      file: paramsFileFlag,
      environment: optionalText('production, staging, develop, or a base URL', 'D1'),
      issuerId: optionalText('As Thales gave it', 'ISSUER'),
      keyId: optionalText('The kid of the signing key, agreed with Thales', 'KID'),
      criticalTopicArn: optionalText('SNS topic of what wakes somebody, or none', 'ARN'),
      warningTopicArn: optionalText('SNS topic of what can wait until morning, or none', 'ARN'),
      runbookUrl: optionalText('Where the alarms say the runbook is', 'URL'),
      replace: onOff('Write the stage anew, though it is there'),
      dryRun: onOff('Show what would be written, and write nothing'),
    },
  },
  loader: async () => (await import('./init.ts')).init,
});
