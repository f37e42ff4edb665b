import { parseJson } from '../../shared/json.ts';

/** A caller of another account, and what is known of its call. */
export interface ForeignCall {
  /** The ARN of a role, or of an account's root. */
  readonly principal: string;
  readonly action: string;
  /** The organisation to which the policy must bind it; `undefined` for any. */
  readonly organization: string | undefined;
  /** What the call has by condition keys, in lower case. */
  readonly context: ReadonlyMap<string, string>;
}

export type Verdict = 'allowed' | 'not_allowed' | 'refused' | 'unbound';

const ORGANIZATION = 'aws:principalorgid';
const ACCOUNT = 'aws:principalaccount';

/**
 * What a resource's policy says to a caller of another account, as far as this project's own policies go: IAM's full rules
 * are IAM's. A condition on a key that is not known here is taken to hold (AWS IAM User Guide, "Policy evaluation logic").
 *
 * @param text `undefined` when there is no policy.
 */
export function verdictOf(text: string | undefined, call: ForeignCall): Verdict {
  const statements = listOf((parseJson(text ?? '') as { Statement?: unknown } | undefined)?.Statement).filter(isObject);
  const concerned = statements.filter(
    (one) => concerns(listOf(one['Action']), call.action) && isFor(one['Principal'], call.principal),
  );
  const account = accountOf(call.principal);
  const refuses = conditionsOf(concerned.filter(({ Effect }) => Effect === 'Deny')).some(
    ({ operator, key, values }) => operator === 'stringnotequals' && key === ACCOUNT && !values.includes(account),
  );
  if (refuses) return 'refused';
  const allowing = concerned.filter((one) => one['Effect'] === 'Allow' && conditionsOf([one]).every(holds));
  if (allowing.length === 0) return 'not_allowed';
  const isBound = (one: Statement) => conditionsOf([one]).some(({ key }) => key === ORGANIZATION);
  return call.organization === undefined || allowing.every(isBound) ? 'allowed' : 'unbound';

  function holds({ operator, key, values }: Condition): boolean {
    const is = key === ORGANIZATION ? call.organization : call.context.get(key);
    if (is === undefined || !/^(string|arn)(equals|like)$/.test(operator)) return true;
    return values.some((value) => (operator === 'stringequals' ? value === is : matches(value, is)));
  }
}

export const accountOf = (principal: string) => /\d{12}/.exec(principal)?.[0] ?? '';

type Statement = Readonly<Record<string, unknown>>;

interface Condition {
  readonly operator: string;
  readonly key: string;
  readonly values: readonly string[];
}

const isObject = (value: unknown): value is Statement => typeof value === 'object' && value !== null;
const listOf = (value: unknown): readonly unknown[] => (value === undefined ? [] : [value].flat());

const conditionsOf = (statements: readonly Statement[]): Condition[] =>
  statements.flatMap(({ Condition: operators = {} }) =>
    Object.entries(operators as Readonly<Record<string, object>>).flatMap(([operator, keys]) =>
      Object.entries(keys).map(([key, values]) => ({
        operator: operator.toLowerCase(),
        key: key.toLowerCase(),
        values: listOf(values).map(String),
      })),
    ),
  );

const concerns = (actions: readonly unknown[], action: string) =>
  actions.some((one) => matches(String(one).toLowerCase(), action.toLowerCase()));

/** A role is let in with its account too: then the account's own policies say who. */
function isFor(principals: unknown, principal: string): boolean {
  const account = accountOf(principal);
  const meant = ['*', principal, account, principal.replace(/:\d{12}:.*$/, `:${account}:root`)];
  const named = isObject(principals) ? listOf(principals['AWS']) : [principals];
  return named.some((one) => meant.includes(String(one)));
}

/** `*` and `?` as IAM has them. */
function matches(pattern: string, text: string): boolean {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(text);
}
