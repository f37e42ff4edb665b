/** The one table of exit codes. */
export const exitCodes = {
  good: { code: 0, means: 'all is well, or there was nothing to do' },
  failed: { code: 1, means: 'a check failed, or a command could not do what it was asked' },
  usage: { code: 2, means: 'the command line is wrong, or a question was not answered' },
  attention: { code: 3, means: 'all works, and somebody has to do something soon: a renewal, a rollover to finish' },
  no_access: { code: 4, means: 'no credentials, or no permission' },
  unknown: { code: 5, means: 'cannot tell: AWS or the function did not answer' },
} as const;

export type Outcome = keyof typeof exitCodes;

export const exitCodeOf = (outcome: Outcome): number => exitCodes[outcome].code;
