import { awsFailure } from '../../shared/aws-failure.ts';
import { d1Hosts } from '../../shared/d1.ts';
import { asCliFailure, failure } from './cli-failure.ts';
import type { Clients } from './clients.ts';

export type KeyPlace = 'current' | 'next';

export const otherPlace = (place: KeyPlace): KeyPlace => (place === 'current' ? 'next' : 'current');

/** The stack of a stage, as CloudFormation tells it. */
export interface Stack {
  readonly name: string;
  readonly status: string;
  /** What the last drift detection found; `NOT_CHECKED` when there was none. */
  readonly drift: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly outputs: ReadonlyMap<string, string>;
}

/** A signing key of the stack. */
export interface StackKey {
  readonly place: KeyPlace;
  readonly kid: string;
  readonly arn: string;
  readonly alias: string;
}

/** The function as it is configured now. */
export interface FunctionConfiguration {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly lastUpdate: string;
  /** Why it is not active or was not updated, as Lambda codes it: `SubnetOutOfIPAddresses`. */
  readonly reason: string | undefined;
  /** After which Lambda cuts an invocation off; 3 is its own default. */
  readonly timeoutSeconds: number;
  readonly environment: Readonly<Record<string, string>>;
  /** Empty outside a VPC. */
  readonly subnets: readonly string[];
  readonly securityGroups: readonly string[];
}

export const stackNameOf = (stage: string) => `d1-token-broker-${stage}`;
/** The stack for many issuers, infra/fleet/. */
export const fleetStackNameOf = (stage: string) => `d1-token-fleet-${stage}`;
export const logGroupOf = (stage: string) => `/aws/lambda/${stackNameOf(stage)}`;
export const queueNamesOf = (stage: string) =>
  [`${stackNameOf(stage)}-failed-invocations`, `${stackNameOf(stage)}-undelivered-ticks`] as const;

export async function readIdentity(clients: Clients) {
  try {
    const sts = await clients.sts();
    const [{ Account, Arn }, region] = await Promise.all([sts.getCallerIdentity({}), sts.config.region()]);
    return { account: Account ?? '', arn: Arn ?? '', region };
  } catch (error) {
    if (error instanceof Error && error.message.includes('Region is missing')) {
      throw failure('REGION_MISSING', 'No AWS Region is known.', 'Give --region, or set AWS_REGION.');
    }
    throw asCliFailure(error, 'sts:GetCallerIdentity');
  }
}

export const readStack = (clients: Clients, stage: string): Promise<Stack> =>
  readStackNamed(clients, stackNameOf(stage), 'npm run deploy');

export const readFleetStack = (clients: Clients, stage: string): Promise<Stack> =>
  readStackNamed(clients, fleetStackNameOf(stage), 'infra/fleet/template.yml');

async function readStackNamed(clients: Clients, name: string, deployedBy: string): Promise<Stack> {
  try {
    const { Stacks = [] } = await (await clients.cloudFormation()).describeStacks({ StackName: name });
    const stack = Stacks[0];
    if (!stack) throw stackMissing(name, deployedBy);
    return {
      name,
      status: stack.StackStatus ?? 'unknown',
      drift: stack.DriftInformation?.StackDriftStatus ?? 'NOT_CHECKED',
      parameters: new Map((stack.Parameters ?? []).map((one) => [one.ParameterKey ?? '', one.ParameterValue ?? ''])),
      outputs: new Map((stack.Outputs ?? []).map((one) => [one.OutputKey ?? '', one.OutputValue ?? ''])),
    };
  } catch (error) {
    // CloudFormation has no exception of its own for it.
    if (awsFailure(error).name === 'ValidationError') throw stackMissing(name, deployedBy);
    throw asCliFailure(error, 'cloudformation:DescribeStacks');
  }
}

const stackMissing = (name: string, deployedBy: string) =>
  failure(
    'STACK_MISSING',
    `There is no stack ${name} in this account and Region.`,
    `Check --stage, --region and --profile, or deploy it: ${deployedBy}.`,
  );

export async function readFunction(
  clients: Clients,
  stack: Stack,
  which: 'FunctionName' | 'TicksFunctionName' = 'FunctionName',
): Promise<FunctionConfiguration> {
  const name = output(stack, which);
  try {
    const found = await (await clients.lambda()).getFunctionConfiguration({ FunctionName: name });
    return {
      name,
      role: found.Role ?? '',
      state: found.State ?? 'Active',
      lastUpdate: found.LastUpdateStatus ?? 'Successful',
      reason: found.StateReasonCode ?? found.LastUpdateStatusReasonCode,
      timeoutSeconds: found.Timeout ?? 3,
      environment: found.Environment?.Variables ?? {},
      subnets: found.VpcConfig?.SubnetIds ?? [],
      securityGroups: found.VpcConfig?.SecurityGroupIds ?? [],
    };
  } catch (error) {
    if (awsFailure(error).name === 'ResourceNotFoundException') {
      throw failure('FUNCTION_MISSING', `The function ${name} is not there.`, 'Somebody has deleted it: deploy again.');
    }
    throw asCliFailure(error, 'lambda:GetFunctionConfiguration');
  }
}

/** @throws CliFailure when the stack is older than these commands. */
export function output(stack: Stack, name: string): string {
  const value = stack.outputs.get(name);
  if (value === undefined || value === '') {
    throw failure('STACK_TOO_OLD', `The stack ${stack.name} has no output ${name}.`, 'Deploy this version first.');
  }
  return value;
}

export const activePlace = ({ parameters }: Stack): KeyPlace =>
  parameters.get('ActiveSigningKey') === 'next' ? 'next' : 'current';

/** @returns `undefined` when that place has no key. */
export function keyAt({ parameters, outputs }: Stack, place: KeyPlace): StackKey | undefined {
  const [kidName, prefix] = place === 'current' ? ['CurrentKeyId', 'Current'] : ['NextKeyId', 'Next'];
  const kid = parameters.get(kidName) ?? 'none';
  const arn = outputs.get(`${prefix}SigningKeyArn`);
  const alias = outputs.get(`${prefix}SigningKeyAlias`) ?? '';
  return arn === undefined || kid === 'none' ? undefined : { place, kid, arn, alias };
}

/** D1's production, by name or by its own base URL. */
export const isProduction = ({ environment }: Pick<FunctionConfiguration, 'environment'>): boolean => {
  const d1 = environment['D1_ENVIRONMENT'] ?? '';
  return d1 === 'production' || (URL.canParse(d1) && new URL(d1).hostname === d1Hosts.production);
};
