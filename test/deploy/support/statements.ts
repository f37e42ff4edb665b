import type { Template } from './package-service.ts';

/** One statement of one policy in a template. */
export interface Statement {
  /** Logical id of the resource that the policy is in. */
  readonly resource: string;
  /** Empty when the statement has none. */
  readonly sid: string;
  readonly effect: string;
  readonly actions: readonly string[];
  /** Text, or an intrinsic function. Empty in a trust policy. */
  readonly resources: readonly unknown[];
  readonly principal: unknown;
  readonly condition: unknown;
}

/** Every policy statement in the template, wherever it is: whatever has an Effect and an Action is one. */
export function statementsOf(template: Template): Statement[] {
  return Object.entries(template.Resources).flatMap(([resource, { Properties }]) => find(resource, Properties));
}

function find(resource: string, value: unknown): Statement[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('Effect' in value && 'Action' in value) return [toStatement(resource, value as Record<string, unknown>)];
  return Object.values(value).flatMap((inner) => find(resource, inner));
}

const toStatement = (resource: string, statement: Record<string, unknown>): Statement => ({
  resource,
  sid: String(statement['Sid'] ?? ''),
  effect: String(statement['Effect']),
  actions: list(statement['Action']).map(String),
  resources: list(statement['Resource']),
  principal: statement['Principal'],
  condition: statement['Condition'],
});

const list = (value: unknown): unknown[] => (value === undefined ? [] : Array.isArray(value) ? value : [value]);
