import { AwsError } from '../aws/aws-error.ts';
import type { ChangeSet, Deployment } from './deployment.ts';

type Fields = Readonly<Record<string, unknown>>;
type Template = ChangeSet['template'] & {
  readonly Outputs?: object;
  readonly Resources: Readonly<Record<string, { readonly Type: string; readonly DeletionPolicy?: string }>>;
};

/** "Resource type support", AWS CloudFormation User Guide, and the primary identifiers of the types' schemas. */
const identifiers: Readonly<Record<string, string>> = {
  'AWS::KMS::Key': 'KeyId',
  'AWS::SecretsManager::Secret': 'Id',
  'AWS::SecretsManager::ResourcePolicy': 'Id',
};

const invalid = (message: string) => new AwsError('ValidationError', message);

/**
 * Creates, describes and executes a change set that makes a stack of what is there already ("AWS CloudFormation User Guide",
 * "Import AWS resources into a CloudFormation stack"). Each is done at once.
 *
 * @returns `undefined` for another operation.
 */
export function changeSetOperation(deployment: Deployment, operation: string, fields: Fields, StackId: string) {
  const { changeSets } = deployment;
  const name = String(fields['ChangeSetName']);
  switch (operation) {
    case 'CreateChangeSet': {
      if (fields['StackName'] !== deployment.stackName || fields['ChangeSetType'] !== 'IMPORT') {
        throw invalid("The sandbox's change sets import, into the stage's stack.");
      }
      if (deployment.exists && deployment.status !== 'REVIEW_IN_PROGRESS') {
        throw invalid('The sandbox imports into a new stack only.');
      }
      changeSets.set(name, checked(JSON.parse(String(fields['TemplateBody'])), importsIn(fields)));
      Object.assign(deployment, { exists: true, status: 'REVIEW_IN_PROGRESS', imported: undefined });
      return { Id: `${StackId}/${name}`, StackId };
    }
    case 'DescribeChangeSet':
      if (!changeSets.has(name)) throw new AwsError('ChangeSetNotFound', `ChangeSet [${name}] does not exist`);
      return { ChangeSetName: name, StackId, Status: 'CREATE_COMPLETE', ExecutionStatus: 'AVAILABLE' };
    case 'ExecuteChangeSet': {
      const found = changeSets.get(name);
      if (!found) throw new AwsError('ChangeSetNotFound', `ChangeSet [${name}] does not exist`);
      changeSets.clear();
      Object.assign(deployment, { imported: found, status: 'IMPORT_COMPLETE' });
      return {};
    }
    default:
      return undefined;
  }
}

function importsIn(fields: Fields): Map<string, string> {
  const imports = new Map<string, string>();
  for (let index = 1; ; index += 1) {
    const prefix = `ResourcesToImport.member.${index}.`;
    const type = fields[`${prefix}ResourceType`];
    if (type === undefined) return imports;
    const logicalId = String(fields[`${prefix}LogicalResourceId`]);
    const key = fields[`${prefix}ResourceIdentifier.entry.1.key`];
    if (key !== identifiers[String(type)]) {
      throw invalid(`Invalid resource identifier for resource type ${type}. Expected [${identifiers[String(type)]}]`);
    }
    imports.set(logicalId, String(fields[`${prefix}ResourceIdentifier.entry.1.value`]));
  }
}

/** A new stack is made of what it imports, and of nothing else. */
function checked(template: Template, imports: ReadonlyMap<string, string>): ChangeSet {
  const resources = Object.entries(template.Resources);
  const missing = resources.filter(([id]) => !imports.has(id)).map(([id]) => id);
  if (missing.length > 0 || resources.length !== imports.size) {
    throw invalid(`Resources [${missing.join(', ')}] is missing from ResourceToImport list`);
  }
  if (template.Outputs) throw invalid('As part of the import operation, you cannot modify or add [Outputs]');
  const without = resources.filter(([, { DeletionPolicy }]) => DeletionPolicy === undefined).map(([id]) => id);
  if (without.length > 0) {
    throw invalid(
      `The following resources to import [${without.join(', ')}] must have DeletionPolicy attribute specified in the template.`,
    );
  }
  return { template, imports };
}
