import { AwsError } from '../aws/aws-error.ts';
import type { Deployment } from './deployment.ts';
import { changeSetOperation } from './import.ts';

type Fields = Readonly<Record<string, unknown>>;

/** DescribeStacks, an import by change set, and UpdateStack with the previous template ("AWS CloudFormation API Reference"). It is done at once. */
export async function cloudFormation(deployment: Deployment, operation: string, fields: Fields) {
  const { stackName } = deployment;
  const id = `arn:aws:cloudformation:eu-west-1:000000000000:stack/${stackName}/00000000-0000-4000-8000-000000000000`;
  const name = String(fields['StackName']);
  const answer = changeSetOperation(deployment, operation, fields, id);
  if (answer) return answer;
  const { fleet } = deployment;
  if (operation === 'DescribeStacks' && name === fleet?.stackName) {
    const Outputs = Object.entries(fleet.outputs).map(([OutputKey, OutputValue]) => ({ OutputKey, OutputValue }));
    const stack = {
      StackName: name,
      CreationTime: '2026-01-01T00:00:00.000Z',
      StackStatus: 'CREATE_COMPLETE',
      Outputs,
    };
    return { Stacks: [stack] };
  }
  if (!deployment.exists || (name !== stackName && name !== id)) {
    throw new AwsError('ValidationError', `Stack with id ${name} does not exist`);
  }
  const isBare = deployment.imported !== undefined || deployment.status === 'REVIEW_IN_PROGRESS';
  switch (operation) {
    case 'DescribeStacks':
      return {
        Stacks: [
          {
            StackName: stackName,
            StackId: id,
            CreationTime: '2026-01-01T00:00:00.000Z',
            StackStatus: deployment.status,
            DriftInformation: { StackDriftStatus: deployment.drift },
            ...(isBare && { Parameters: [], Outputs: [] }),
            ...(!isBare && {
              Parameters: [...deployment.parameters].map(([ParameterKey, ParameterValue]) => ({
                ParameterKey,
                ParameterValue,
              })),
              Outputs: Object.entries(deployment.outputs).map(([OutputKey, OutputValue]) => ({
                OutputKey,
                OutputValue,
              })),
            }),
          },
        ],
      };
    case 'UpdateStack': {
      if (fields['UsePreviousTemplate'] !== 'true') {
        throw new AwsError('ValidationError', "The sandbox's stack has one template.");
      }
      const changes = new Map<string, string>();
      for (let index = 1; ; index += 1) {
        const key = fields[`Parameters.member.${index}.ParameterKey`];
        if (key === undefined) break;
        if (fields[`Parameters.member.${index}.UsePreviousValue`] === 'true') continue;
        changes.set(String(key), String(fields[`Parameters.member.${index}.ParameterValue`]));
      }
      await deployment.update(changes);
      return { StackId: id };
    }
    default:
      throw new AwsError('InvalidAction', `The sandbox's CloudFormation has no operation ${operation}.`);
  }
}
