import { type Application, type CommandContext, generateHelpTextForAllCommands } from '@stricli/core';
import { checks } from '../../src/cli/doctor/checks.ts';
import { exitCodes } from '../../src/cli/frame/exit-code.ts';
import { application } from '../../src/cli/program.ts';
import { faultRows } from './doctor-faults.ts';
import { missingPieces } from './doctor-landing-zone.ts';
import { harmless, refused, wrongParameters } from './doctor-parameters.ts';
import { breaks } from './doctor-table.ts';

const table = (head: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

const harmlessFaults = faultRows.filter(({ first }) => !first);
const list = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ');

/** docs/cli.md: made from the definitions that --help uses, and from the tables that the tests run. */
export function page(): string {
  // No command is run, so it does not matter what a command wants of its process.
  const commands = generateHelpTextForAllCommands(application as unknown as Application<CommandContext>);
  return `# d1-token: the operator's commands

\`npm run d1-token -- COMMAND\` in a checkout; \`npm run build:cli\` makes the package's \`bin\`. [onboarding.md](onboarding.md)
walks from an empty account to a stored token with it. This page is written by \`npm run docs:cli\`, and a test holds it.

Every command takes \`--stage\`, and \`--region\` and \`--profile\` as the AWS CLI has them. What changes something says account,
Region and issuer first, has \`--dry-run\`, and on production wants the issuer id: typed, or by \`--confirm\`. It asks only when
input and output are terminals. Colour is for a terminal, and \`NO_COLOR\` ends it. No token and no private key is ever printed.

With \`--json\` a command prints one document, whose keys are always the same
([schema](../src/cli/d1-token.schema.json)); \`facts\` is the command's own, and an error's \`code\` is one of the
[runbook](runbook.md)'s or of the command.

## Exit codes

${table(
  ['code', 'means'],
  Object.values(exitCodes).map(({ code, means }) => [code, means]),
)}

## What the doctor checks

In this order, each as soon as those are good that it needs. What depends on a failed check is not checked.
Those with a star are told only in a stage that has the parameters they are about
([landing-zone.md](landing-zone.md)).

${table(
  ['check', 'title', 'needs', 'not made when these fail'],
  checks.map(({ id, title, needs, unless = [], wanted }) => [
    `\`${id}\`${wanted ? ' *' : ''}`,
    title,
    needs.join(', '),
    unless.join(', '),
  ]),
)}

### Causes

What is wrong, and the check that names it first (\`test/cli/doctor.test.ts\`):

${table(
  ['what is wrong', 'check', 'code'],
  breaks.map(([check, code, what]) => [what, `\`${check}\``, code]),
)}

The same for each fault of the sandbox (\`npm run sandbox -- --help\` has their grammar), by
\`test/cli/doctor-faults.test.ts\`:

${table(
  ['call', 'faults', 'check', 'code'],
  faultRows
    .filter(({ first }) => first)
    .map(({ call, kinds, when, first }) => [
      `\`${[call, when].filter(Boolean).join(' ')}\``,
      kinds.join(', '),
      `\`${first?.check}\``,
      first?.code ?? '',
    ]),
)}

These leave the doctor with nothing to say:

${table(
  ['call', 'faults', 'because'],
  [...Map.groupBy(harmlessFaults, ({ because }) => because)].map(([because, rows]) => [
    list(rows.map(({ call }) => call)),
    [...new Set(rows.flatMap(({ kinds }) => kinds))].join(', '),
    because ?? '',
  ]),
)}

### Parameters

What can be wrong with a parameter, and what says so first (\`test/cli/doctor-parameters.test.ts\`). What
breaks a parameter's rule is refused by \`npm run package\`, by its name, whichever it is: ${list([...new Set(refused.map(({ name }) => name))])}.

Whatever the packaging takes works for ${list(harmless)}. The rest shows at AWS and D1 only:

${table(
  ['parameter', 'what is wrong', 'check', 'code'],
  wrongParameters.map(({ names, what, first }) => [list(names), what, `\`${first.check}\``, first.code]),
)}

And what is missing of what a parameter of a landing zone needs (\`test/cli/doctor-landing-zone.test.ts\`):

${table(
  ['parameter', 'what is missing or wrong', 'check', 'code'],
  missingPieces.map(({ names, what, first }) => [list(names), what, `\`${first.check}\``, first.code]),
)}

## Commands

${commands.map(([route, help]) => `### ${route}\n\n\`\`\`text\n${help.trim()}\n\`\`\`\n`).join('\n')}`;
}
