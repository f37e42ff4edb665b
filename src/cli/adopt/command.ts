import { buildCommand } from '@stricli/core';
import type { Context } from '../frame/context.ts';
import { changeFlags, optionalText } from '../frame/flags.ts';
import { paramsFileFlag } from '../frame/params-file.ts';
import type { AdoptFlags } from './adopt.ts';

export const adoptCommand = buildCommand<AdoptFlags, [], Context>({
  docs: {
    brief: 'Brings the keys and secrets that a removed stack has left into a new one',
    fullDescription: [
      'A stack that is removed leaves its signing keys, its secrets and their key, and the next one of that name would find',
      'the names taken. This makes the stack of what is left, by an import of CloudFormation; the next deployment makes all the',
      'rest. Nothing is copied, and nothing of it changes. Without anything left it does nothing.',
      '',
      'The stage must be in infra/params.yml with the kid that D1 knows. Which key is whose is told by the tags of the stack;',
      'where there are several, say which.',
      '',
      'Examples:',
      '  d1-token adopt --stage staging --dry-run',
      '  d1-token adopt --stage production --confirm ISSUER0001',
      '  d1-token adopt --stage staging --current-key mrk-0123456789abcdef0123456789abcdef',
    ].join('\n'),
  },
  parameters: {
    flags: {
      ...changeFlags,
      file: paramsFileFlag,
      currentKey: optionalText('The signing key for the place current, by id or ARN', 'KEY'),
      nextKey: optionalText('The signing key for the place next', 'KEY'),
    },
  },
  loader: async () => (await import('./adopt.ts')).adopt,
});
