import {
  type CloudFormationClient,
  CreateStackCommand,
  DeleteStackCommand,
  DescribeStackEventsCommand,
  DescribeStackResourceCommand,
  DescribeStacksCommand,
  type Stack,
  UpdateStackCommand,
} from '@aws-sdk/client-cloudformation';
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { Outputs, Template } from './package-service.ts';

const PAUSE_MILLISECONDS = 250;
const PATIENCE_MILLISECONDS = 120_000;
const Capabilities = ['CAPABILITY_NAMED_IAM' as const];

/** A CloudFormation stack, with the calls that osls, Terraform and the CDK make. */
export class DeployedStack {
  readonly name: string;
  readonly #client: CloudFormationClient;
  readonly #s3: S3Client;
  #bucket: string;

  /** @param bucket Where templates go; without it, into the bucket that osls has the stack make first. */
  constructor(
    { cloudFormation, s3 }: { cloudFormation: CloudFormationClient; s3: S3Client },
    name: string,
    bucket = '',
  ) {
    this.#client = cloudFormation;
    this.#s3 = s3;
    this.#bucket = bucket;
    this.name = name;
  }

  async create(template: Template, parameters: StackParameters = {}): Promise<Outputs> {
    const source = await this.#source(template);
    const StackName = this.name;
    await this.#client.send(
      new CreateStackCommand({ StackName, ...source, Parameters: asList(parameters), Capabilities }),
    );
    const made = outputsOf(await this.#settle('CREATE_COMPLETE'));
    this.#bucket ||= made['ServerlessDeploymentBucketName'] ?? '';
    return made;
  }

  /** @returns `unchanged` when CloudFormation says that there is nothing to do. */
  async update(template: Template, parameters: StackParameters = {}): Promise<Outputs | 'unchanged'> {
    const source = await this.#source(template);
    const StackName = this.name;
    try {
      await this.#client.send(
        new UpdateStackCommand({ StackName, ...source, Parameters: asList(parameters), Capabilities }),
      );
    } catch (error) {
      if (error instanceof Error && /No updates are to be performed/.test(error.message)) return 'unchanged';
      throw error;
    }
    return outputsOf(await this.#settle('UPDATE_COMPLETE'));
  }

  /** CloudFormation takes 51,200 bytes of a template in a request, and 1 MB from S3. */
  async #source(template: Template): Promise<{ TemplateBody: string } | { TemplateURL: string }> {
    const TemplateBody = JSON.stringify(template);
    if (this.#bucket === '') return { TemplateBody };
    const file = { Bucket: this.#bucket, Key: `${this.name}-template.json` };
    await this.#s3.send(new PutObjectCommand({ ...file, Body: TemplateBody }));
    return { TemplateURL: `https://s3.amazonaws.com/${file.Bucket}/${file.Key}` };
  }

  /** After a deployment that failed: CloudFormation takes away what it has made. */
  async rolledBack(): Promise<void> {
    await this.#settle('UPDATE_ROLLBACK_COMPLETE', undefined, (status) => status.endsWith('_IN_PROGRESS'));
  }

  async remove(): Promise<void> {
    const StackName = (await this.describe()).StackId ?? this.name;
    await this.#client.send(new DeleteStackCommand({ StackName }));
    await this.#settle('DELETE_COMPLETE', StackName);
  }

  async describe(StackName = this.name): Promise<Stack> {
    const { Stacks } = await this.#client.send(new DescribeStacksCommand({ StackName }));
    if (!Stacks?.[0]) throw new Error(`There is no stack ${StackName}.`);
    return Stacks[0];
  }

  resource(LogicalResourceId: string) {
    return this.#client.send(new DescribeStackResourceCommand({ StackName: this.name, LogicalResourceId }));
  }

  async #settle(
    expected: string,
    id?: string,
    isBusy = (status: string) => status.endsWith('_IN_PROGRESS') && !status.includes('ROLLBACK'),
  ): Promise<Stack> {
    const until = Date.now() + PATIENCE_MILLISECONDS;
    for (;;) {
      const stack = await this.describe(id);
      if (stack.StackStatus === expected) return stack;
      if (!isBusy(stack.StackStatus ?? '') || Date.now() > until)
        throw new Error(`Stack ${this.name}: ${await this.#why(id)}`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS));
    }
  }

  async #why(StackName = this.name): Promise<string> {
    const { StackEvents = [] } = await this.#client.send(new DescribeStackEventsCommand({ StackName }));
    return StackEvents.filter((event) => event.ResourceStatus?.includes('FAILED') || event.ResourceStatusReason)
      .map((event) => `${event.LogicalResourceId} ${event.ResourceStatus}: ${event.ResourceStatusReason}`)
      .join('\n');
  }
}

export type StackParameters = Readonly<Record<string, string>>;

const asList = (parameters: StackParameters) =>
  Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({ ParameterKey, ParameterValue }));

export const outputsOf = (stack: Stack): Outputs =>
  Object.fromEntries((stack.Outputs ?? []).map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]));
