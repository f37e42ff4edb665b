import { awsFailure } from '../../shared/aws-failure.ts';
import { output, type Stack } from '../frame/stage.ts';
import { type Found, failed, need, ok } from './found.ts';
import { type ForeignCall, type Verdict, verdictOf } from './policy.ts';
import type { Check, Finding } from './run-checks.ts';

const PAGE = 'docs/landing-zone.md, "Consumers in other accounts"';
const hasConsumers = ({ stack }: Found) => stack?.parameters.get('HasConsumers') === 'true';

/** Whom the three policies let in that reach across accounts; the other side's own policies can't be seen from here. */
export const consumerChecks: readonly Check<Found>[] = [
  {
    id: 'consumers.secret',
    title: "The token secret's policy lets in the consumers of other accounts",
    needs: ['stack'],
    wanted: hasConsumers,
    action: 'secretsmanager:GetResourcePolicy',
    async run(found) {
      const stack = need(found, 'stack');
      const SecretId = output(stack, 'TokenSecretArn');
      const { ResourcePolicy } = await (await found.clients.secretsManager()).getResourcePolicy({ SecretId });
      return judge(stack, ResourcePolicy, 'secretsmanager:GetSecretValue', {
        of: 'The policy of the token secret',
        statement: 'ConsumersReadToken',
        existing: ['ExistingTokenSecretArn', 'existingTokenSecretArn'],
      });
    },
  },
  {
    id: 'consumers.key',
    title: "The secrets' key lets in the consumers of other accounts",
    needs: ['stack'],
    wanted: hasConsumers,
    action: 'kms:GetKeyPolicy',
    async run(found) {
      const stack = need(found, 'stack');
      const [KeyId, SecretId] = [output(stack, 'SecretsKeyArn'), output(stack, 'TokenSecretArn')];
      const [kms, secretsManager] = await Promise.all([found.clients.kms(), found.clients.secretsManager()]);
      const [{ KeyMetadata }, { Policy }, { KmsKeyId }] = await Promise.all([
        kms.describeKey({ KeyId }),
        kms.getKeyPolicy({ KeyId, PolicyName: 'default' }),
        secretsManager.describeSecret({ SecretId }),
      ]);
      // A secret that names no key has the one that AWS manages.
      if (KeyMetadata?.KeyManager === 'AWS' || KmsKeyId === undefined) {
        return failed(
          'KEY_NOT_SHAREABLE',
          'A key that AWS manages encrypts the token secret, and no other account can use that.',
          'Have a key of your own encrypt it, and name it in existingSecretsKeyArn.',
        );
      }
      const context = [
        ['kms:viaservice', output(stack, 'SecretsKeyViaService')],
        ['kms:encryptioncontext:secretarn', SecretId],
      ] as const;
      return judge(stack, Policy, 'kms:Decrypt', {
        of: "The policy of the secrets' key",
        statement: 'ConsumersDecryptToken',
        existing: ['ExistingSecretsKeyArn', 'existingSecretsKeyArn'],
        context: new Map(context),
      });
    },
  },
  {
    id: 'consumers.function',
    title: "The function's policy lets in the consumers of other accounts",
    needs: ['stack'],
    wanted: hasConsumers,
    action: 'lambda:GetPolicy',
    async run(found) {
      const stack = need(found, 'stack');
      const lambda = await found.clients.lambda();
      const { Policy } = await lambda
        .getPolicy({ FunctionName: output(stack, 'FunctionName') })
        .catch((error: unknown): { Policy?: string } => {
          // So Lambda says that there is none.
          if (awsFailure(error).name !== 'ResourceNotFoundException') throw error;
          return {};
        });
      return judge(stack, Policy, 'lambda:InvokeFunction', {
        of: 'The policy of the function',
        statement: 'a permission for each',
      });
    },
  },
];

/** What of the policy, in words, and the parameter that says that it is not the stack's. */
interface Judged {
  readonly of: string;
  readonly statement: string;
  readonly existing?: readonly [stackParameter: string, parameter: string];
  readonly context?: ForeignCall['context'];
}

function judge(
  stack: Stack,
  policy: string | undefined,
  action: string,
  { of, statement, existing, context = new Map() }: Judged,
): Finding {
  const principals = output(stack, 'ConsumerPrincipals').split(',');
  const id = output(stack, 'ConsumerOrganizationId');
  const organization = id === 'none' ? undefined : id;
  const verdicts = new Map(
    principals.map((principal) => [principal, verdictOf(policy, { principal, action, organization, context })]),
  );
  const those = (verdict: Verdict) => principals.filter((one) => verdicts.get(one) === verdict);
  const isOwned = existing !== undefined && (stack.parameters.get(existing[0]) ?? '') !== '';
  const remedy = isOwned
    ? `Correct ${statement} in the policy of ${existing[1]}: ${PAGE}.`
    : `Deploy again: consumerPrincipals makes ${statement}. A role that was deleted and made again needs that too.`;
  const shutOut = [...those('not_allowed'), ...those('refused')];
  if (shutOut.length > 0) {
    return failed(
      'CONSUMER_SHUT_OUT',
      `${of} does not let in ${shutOut.join(', ')}${organization ? ` of ${organization}` : ''}${
        those('refused').length > 0 ? ', and refuses other accounts' : ''
      }.`,
      remedy,
    );
  }
  if (those('unbound').length > 0) {
    return failed(
      'CONSUMER_UNBOUND',
      `${of} lets in ${those('unbound').join(', ')} without asking for organizationId ${organization}.`,
      remedy,
    );
  }
  return ok({ consumers: principals.length, organization: organization ?? null });
}
