import { createHash } from 'node:crypto';

/** What the template needs to know of consumers in other accounts; infra/consumers.yml uses it. */
export interface Consumers {
  readonly principals: readonly (string | object)[];
  /** The same as one text, with commas: CloudFormation joins no empty list. */
  readonly names: string | object;
  readonly certificatePrincipals: readonly string[];
  /** Whose principals the secrets' policies do not refuse: this account, and those of the principals. */
  readonly tokenAccounts: object | readonly unknown[];
  readonly certificateAccounts: object | readonly unknown[];
  readonly organization: string | object;
  /** A condition: an empty one is refused. */
  readonly onlyInOrganization: object;
  readonly permissions: object;
}

const noValue = { Ref: 'AWS::NoValue' };
const ownAccount = { Ref: 'AWS::AccountId' };
const accountOf = (principal: string): string => /\d{12}/.exec(principal)?.[0] ?? '';

/**
 * @param principals Accounts, and ARNs of roles: `consumerPrincipals`.
 * @param certificateReaders Those of them whose account is one of `principals` are in another account; the template can't tell
 *   otherwise, because it is packaged without knowing its own.
 * @param organizationId `none` when the principals may be of any organisation.
 */
export function consumers(
  principals: readonly string[],
  certificateReaders: readonly unknown[],
  organizationId: string,
): Consumers {
  const accounts = [...new Set(principals.map(accountOf))];
  const foreign = certificateReaders.filter(
    (reader): reader is string => typeof reader === 'string' && accounts.includes(accountOf(reader)),
  );
  const withOwn = (others: readonly string[]) => (others.length > 0 ? [ownAccount, ...others] : ownAccount);
  const isBound = organizationId !== 'none';
  return {
    principals: principals.map(arnOfPrincipal),
    names: principals.length > 0 ? { 'Fn::Join': [',', principals.map(arnOfPrincipal)] } : 'none',
    certificatePrincipals: foreign,
    tokenAccounts: withOwn(accounts),
    certificateAccounts: withOwn([...new Set(foreign.map(accountOf))]),
    organization: isBound ? organizationId : noValue,
    onlyInOrganization: isBound ? { StringEquals: { 'aws:PrincipalOrgID': organizationId } } : noValue,
    permissions: {
      Resources: Object.fromEntries(principals.map((principal) => [logicalId(principal), permission(principal)])),
    },
  };

  /** A permission names one principal, so there is one for each. */
  function permission(principal: string): object {
    return {
      Type: 'AWS::Lambda::Permission',
      Properties: {
        FunctionName: { 'Fn::GetAtt': ['BrokerLambdaFunction', 'Arn'] },
        Action: 'lambda:InvokeFunction',
        Principal: principal,
        ...(isBound && { PrincipalOrgID: organizationId }),
      },
    };
  }
}

const arnOfPrincipal = (principal: string) =>
  principal.startsWith('arn:') ? principal : { 'Fn::Sub': `arn:\${AWS::Partition}:iam::${principal}:root` };

/** The same for the same principal wherever it stands in the list: a permission that changes its id is made before it is removed, and refused. */
const logicalId = (principal: string): string =>
  `Consumer${accountOf(principal)}${createHash('sha256').update(principal).digest('hex').slice(0, 8)}`;
