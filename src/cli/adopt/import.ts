import { asCliFailure, failure } from '../frame/cli-failure.ts';
import type { Session } from '../frame/command.ts';
import { settled } from '../frame/settled.ts';
import { readStack, stackNameOf } from '../frame/stage.ts';
import type { Retained } from './resource.ts';

/** The stack as it is between the import and the deployment: what was there, and nothing else. */
const templateOf = (retained: readonly Retained[]): string =>
  JSON.stringify({
    AWSTemplateFormatVersion: '2010-09-09',
    Description: 'What a removed d1-token-broker has left; the next deployment makes the rest.',
    Resources: Object.fromEntries(
      retained.map(({ logicalId, type, properties }) => [
        logicalId,
        // An import wants it said, and nothing that was kept once goes with this stack.
        { Type: type, DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain', Properties: properties },
      ]),
    ),
  });

/**
 * Makes the stack of what is there. A laptop that is closed between the two calls leaves a change set that did nothing.
 *
 * @throws CliFailure IMPORT_REFUSED, STACK_FAILED, or what AWS said.
 */
export async function importStack(
  { clients, flags, progress }: Pick<Session, 'clients' | 'flags' | 'progress'>,
  retained: readonly Retained[],
  now: number,
): Promise<void> {
  const cloudFormation = await clients.cloudFormation();
  const names = { StackName: stackNameOf(flags.stage), ChangeSetName: `adopt-${now}` };
  const show = `aws cloudformation describe-change-set --stack-name ${names.StackName} --change-set-name ${names.ChangeSetName}`;
  await cloudFormation
    .createChangeSet({
      ...names,
      ChangeSetType: 'IMPORT',
      TemplateBody: templateOf(retained),
      ResourcesToImport: retained.map(({ logicalId, type, identifier }) => ({
        LogicalResourceId: logicalId,
        ResourceType: type,
        ResourceIdentifier: { [identifier.name]: identifier.value },
      })),
    })
    .catch((error: unknown) => {
      throw asCliFailure(error, 'cloudformation:CreateChangeSet');
    });
  progress('CloudFormation looks at what is to be imported.');
  const changeSet = await settled(
    async () => cloudFormation.describeChangeSet(names),
    ({ Status }) => Status === 'CREATE_PENDING' || Status === 'CREATE_IN_PROGRESS',
  ).catch((error: unknown) => {
    throw asCliFailure(error, 'cloudformation:DescribeChangeSet');
  });
  if (changeSet.Status !== 'CREATE_COMPLETE' || changeSet.ExecutionStatus !== 'AVAILABLE') {
    throw failure('IMPORT_REFUSED', 'CloudFormation refuses the import; nothing was changed.', `It says why: ${show}`);
  }
  await cloudFormation.executeChangeSet(names).catch((error: unknown) => {
    throw asCliFailure(error, 'cloudformation:ExecuteChangeSet');
  });
  progress(`The stack ${names.StackName} is made of ${retained.length} resources; this takes a minute.`);
  const { status, name } = await settled(
    () => readStack(clients, flags.stage),
    (stack) => stack.status === 'REVIEW_IN_PROGRESS' || stack.status === 'IMPORT_IN_PROGRESS',
  );
  if (status === 'IMPORT_COMPLETE') return;
  throw failure(
    'STACK_FAILED',
    `The import ended as ${status}; keys and secrets are as they were.`,
    `Look at its events, and then: aws cloudformation delete-stack --stack-name ${name}`,
  );
}
