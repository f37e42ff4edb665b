import { setTimeout as delay } from 'node:timers/promises';
import { asCliFailure, failure } from './cli-failure.ts';
import type { StageSession } from './command.ts';
import { readStack, type Stack } from './stage.ts';

const POLL_MILLISECONDS = 3_000;
/** Keys and a function's configuration are changed within a minute or two. */
const LONGEST_MILLISECONDS = 15 * 60_000;

/**
 * Changes parameters of the stack and waits until that is done. The template and all other parameters stay as they are.
 *
 * @returns The stack as it is then.
 * @throws CliFailure STACK_BUSY, STACK_FAILED, or what AWS said.
 */
export async function updateStack(
  { clients, flags, stack, progress }: Pick<StageSession, 'clients' | 'flags' | 'stack' | 'progress'>,
  changes: Readonly<Record<string, string>>,
): Promise<Stack> {
  if (stack.status.endsWith('_IN_PROGRESS')) {
    throw failure(
      'STACK_BUSY',
      `The stack ${stack.name} is being changed (${stack.status}).`,
      'Wait until it is done.',
    );
  }
  const cloudFormation = await clients.cloudFormation();
  await cloudFormation
    .updateStack({
      StackName: stack.name,
      UsePreviousTemplate: true,
      Capabilities: ['CAPABILITY_IAM', 'CAPABILITY_NAMED_IAM'],
      Parameters: [...stack.parameters.keys()].map((ParameterKey) => {
        const ParameterValue = changes[ParameterKey];
        return ParameterValue === undefined
          ? { ParameterKey, UsePreviousValue: true }
          : { ParameterKey, ParameterValue };
      }),
    })
    .catch((error: unknown) => {
      throw asCliFailure(error, 'cloudformation:UpdateStack');
    });
  const said = Object.entries(changes).map(([name, value]) => `${name}=${value}`);
  progress(`The stack ${stack.name} gets ${said.join(', ')}; this takes a minute or two.`);
  const began = performance.now();
  for (;;) {
    const now = await readStack(clients, flags.stage);
    if (now.status === 'UPDATE_COMPLETE') return now;
    // Cleaning up begins when everything new is there.
    if (now.status !== 'UPDATE_COMPLETE_CLEANUP_IN_PROGRESS' && !now.status.startsWith('UPDATE_IN_PROGRESS')) {
      throw failure(
        'STACK_FAILED',
        `The change of the stack ended as ${now.status}.`,
        'It was taken back. Look at the events of the stack.',
      );
    }
    if (performance.now() - began > LONGEST_MILLISECONDS) {
      throw failure(
        'STACK_BUSY',
        'The change of the stack goes on.',
        'Look at its events; the command can be given again.',
      );
    }
    await delay(POLL_MILLISECONDS);
  }
}
