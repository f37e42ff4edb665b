import { parseJson } from '../../shared/json.ts';

interface Statement {
  readonly Principal?: unknown;
}

/**
 * A policy without those who are gone: in the place of a role that was deleted AWS shows its id, and takes that back from
 * nobody ("IAM identifiers", AWS IAM User Guide).
 */
export function livingPolicy(text: string): unknown {
  const policy = parseJson(text) as { readonly Statement?: readonly Statement[] } | undefined;
  if (!policy?.Statement) return policy;
  const isGone = (one: unknown) => /^A(ROA|IDA)\w{12,}$/.test(String(one));
  const statements = policy.Statement.flatMap((statement) => {
    const { AWS, ...others } = (statement.Principal ?? {}) as { readonly AWS?: string | readonly string[] };
    const all = [AWS ?? []].flat();
    const living = all.filter((one) => !isGone(one));
    if (typeof statement.Principal !== 'object' || living.length === all.length) return [statement];
    if (living.length === 0 && Object.keys(others).length === 0) return [];
    return [{ ...statement, Principal: { ...others, ...(living.length > 0 && { AWS: living }) } }];
  });
  return { ...policy, Statement: statements };
}
