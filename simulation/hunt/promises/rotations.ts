import type { PromiseRule } from '../watch.ts';

export const rotations: readonly PromiseRule[] = [
  {
    name: 'done is done',
    sentence:
      'When the last step of a rotation has succeeded, AWSPENDING is off its version, or the next rotation could not start.',
    holds: () => true,
    check: (_watch, broken) => ({
      finished: (labels) => {
        if (labels.includes('AWSPENDING')) broken('a rotation has succeeded, and AWSPENDING is left behind');
      },
    }),
  },
];
