import { basename, join, resolve } from 'node:path';
import { Stack, type StackProps, Validations } from 'aws-cdk-lib';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';
import type { Construct } from 'constructs';

const SERVICE = 'd1-token-broker';

/** The name of the stack is that of the folder: the operator's commands look for it. */
export interface D1TokenBrokerProps extends Omit<StackProps, 'stackName' | 'description'> {
  /** The folder that `npm run package` made, like `dist/d1-token-broker-staging`. */
  readonly packaged: string;
}

/**
 * The broker of one stage, in a stack of its own: the template that `npm run package` made, and the zip beside it as an
 * asset. What is in the template is said in infra/ and nowhere else; `cdk diff` shows what a new package changes.
 *
 * @example
 * const broker = new D1TokenBroker(app, 'D1TokenBroker', { packaged: 'dist/d1-token-broker-staging' });
 * role.addManagedPolicy(ManagedPolicy.fromManagedPolicyArn(scope, 'ReadsToken', broker.tokenReaderPolicyArn));
 */
export class D1TokenBroker extends Stack {
  /** Policy for roles that read the token secret. */
  readonly tokenReaderPolicyArn: string;
  /** Policy for roles that invoke the function for a token. */
  readonly tokenInvokerPolicyArn: string;

  constructor(scope: Construct, id: string, { packaged, ...props }: D1TokenBrokerProps) {
    const stackName = basename(resolve(packaged));
    const tags = { service: SERVICE, stage: stackName.replace(`${SERVICE}-`, ''), ...props.tags };
    super(scope, id, { ...props, stackName, tags });
    const code = new Asset(this, 'Code', { path: join(packaged, 'd1-token-broker.zip') });
    const template = new CfnInclude(this, 'Template', {
      templateFile: join(packaged, 'template.json'),
      parameters: { CodeBucket: code.s3BucketName, CodeKey: code.s3ObjectKey },
    });
    Validations.of(this).acknowledge(...answered);
    this.tokenReaderPolicyArn = template.getResource('TokenReaderPolicy').ref;
    this.tokenInvokerPolicyArn = template.getResource('TokenInvokerPolicy').ref;
  }
}

/** What the CDK's own check of templates says of this one, and why it may be so. */
const answered = [
  {
    id: 'CloudFormation-Validate::W1001',
    reason: 'What may be missing is looked at under the condition that makes it.',
  },
  {
    id: 'CloudFormation-Validate::W1030',
    reason: 'The empty default is looked at only where a condition finds it filled.',
  },
  { id: 'CloudFormation-Validate::W2509', reason: 'ARNs of secrets and keys are no secrets.' },
];
