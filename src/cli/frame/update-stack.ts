import { asCliFailure, failure } from './cli-failure.ts';
import type { StageSession } from './command.ts';
import { settled } from './settled.ts';
import { readStack, type Stack } from './stage.ts';

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
  const now = await settled(
    () => readStack(clients, flags.stage),
    // Cleaning up begins when everything new is there; to wait for its end keeps the next change from meeting it.
    ({ status }) => status === 'UPDATE_COMPLETE_CLEANUP_IN_PROGRESS' || status.startsWith('UPDATE_IN_PROGRESS'),
  );
  if (now.status === 'UPDATE_COMPLETE') return now;
  throw failure(
    'STACK_FAILED',
    `The change of the stack ended as ${now.status}.`,
    'It was taken back. Look at the events of the stack.',
  );
}
