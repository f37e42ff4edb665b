/** The part of a CloudFormation template that is looked at here. */
export interface CompiledTemplate {
  readonly Resources: Readonly<Record<string, { readonly Type: string; readonly Properties?: Properties }>>;
  readonly Outputs?: Readonly<Record<string, unknown>>;
  readonly Parameters?: Readonly<Record<string, unknown>>;
}
type Properties = Readonly<Record<string, unknown>>;

/** What osls makes for its own use: the bucket that it uploads to. */
const OF_OSLS = /^ServerlessDeploymentBucket/;

const codeParameters = {
  CodeBucket: {
    Type: 'String',
    Description: 'Bucket of your own, in this Region, that the zip of the functions is in',
  },
  CodeKey: {
    Type: 'String',
    Description: 'Key of that zip; another zip needs another key, or CloudFormation sees no change',
  },
};

/**
 * What osls has compiled, without the bucket that osls brings: where the zip is, is said by the parameters `CodeBucket` and
 * `CodeKey`. Nothing else is changed, so whoever deploys with other tools deploys the same.
 *
 * @throws Error when something is left that only osls can fill in.
 */
export function standaloneTemplate<T extends CompiledTemplate>(compiled: T): T {
  const without = (part: Readonly<Record<string, unknown>> = {}) =>
    Object.fromEntries(Object.entries(part).filter(([name]) => !OF_OSLS.test(name)));
  const resources = Object.entries(without(compiled.Resources) as CompiledTemplate['Resources']).map(
    ([id, resource]) =>
      resource.Type === 'AWS::Lambda::Function'
        ? [id, { ...resource, Properties: { ...resource.Properties, Code: codeInBucket } }]
        : [id, resource],
  );
  const template = {
    ...compiled,
    Description: `${stackName(compiled)}: keeps a fresh Thales D1 access token in Secrets Manager`,
    Parameters: { ...codeParameters, ...compiled.Parameters },
    Resources: Object.fromEntries(resources),
    Outputs: without(compiled.Outputs),
  };
  if (JSON.stringify(template).includes('ServerlessDeploymentBucket')) {
    throw new Error('The template uses the bucket of osls elsewhere than as the place of the code.');
  }
  return template;
}

const codeInBucket = { S3Bucket: { Ref: 'CodeBucket' }, S3Key: { Ref: 'CodeKey' } };

/** As `serverless.yml` names everything of a stage, the stack too: d1-token-broker-production. */
export function stackName({ Resources }: CompiledTemplate): string {
  const name = Resources['BrokerLambdaFunction']?.Properties?.['FunctionName'];
  if (typeof name !== 'string') throw new Error('The template has no function BrokerLambdaFunction with a name.');
  return name;
}
