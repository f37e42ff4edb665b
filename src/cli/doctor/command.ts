import { buildCommand } from '@stricli/core';
import type { Context } from '../frame/context.ts';
import { placeFlags } from '../frame/flags.ts';
import type { DoctorFlags } from './doctor.ts';
import { PATIENCE_SECONDS } from './run-checks.ts';

export const doctorCommand = buildCommand<DoctorFlags, [], Context>({
  docs: {
    brief: 'Checks everything, from credentials to a live token, and names the cause',
    fullDescription: [
      'Checks everything, from credentials to a live token, in order. What depends on a failed check is not checked.',
      'The function makes a check of its own, from where it works. On production it gets no token unless --exchange is given.',
      'What does not answer in time is told as such; the rest is judged all the same.',
      '',
      'Examples:',
      '  d1-token doctor --stage staging',
      '  d1-token doctor --stage production --exchange',
      '  d1-token doctor --stage production --json',
    ].join('\n'),
  },
  parameters: {
    flags: {
      ...placeFlags,
      exchange: {
        kind: 'boolean',
        optional: true,
        brief: 'Whether the check gets a token from D1; on production it does not, unless told',
      },
      timeout: {
        kind: 'parsed',
        parse: seconds,
        optional: true,
        brief: `How long any check may take; else ${PATIENCE_SECONDS} s, and the function's own as long as the function may run`,
        placeholder: 'SECONDS',
      },
    },
  },
  loader: async () => (await import('./doctor.ts')).doctor,
});

function seconds(input: string): number {
  if (!/^[1-9]\d{0,2}$/.test(input)) throw new TypeError('a timeout is 1-999 seconds');
  return Number(input);
}
