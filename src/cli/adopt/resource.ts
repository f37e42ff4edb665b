/** Something that a removed stack has left, as a resource of the new one. */
export interface Retained {
  readonly logicalId: string;
  readonly type: 'AWS::KMS::Key' | 'AWS::SecretsManager::Secret' | 'AWS::SecretsManager::ResourcePolicy';
  /** The type's primary identifier ("Resource type support", AWS CloudFormation User Guide). */
  readonly identifier: { readonly name: 'KeyId' | 'Id'; readonly value: string };
  /** As it is now, so that a deployment that fails goes back to it. */
  readonly properties: Readonly<Record<string, unknown>>;
}
