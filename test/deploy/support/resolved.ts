import type { Resource, Template } from './package-service.ts';

type Values = Readonly<Record<string, unknown>>;

/** What AWS::AccountId and its like stand for in the tests. */
export const pseudoParameters: Values = {
  'AWS::AccountId': '111122223333',
  'AWS::Partition': 'aws',
  'AWS::Region': 'eu-west-1',
  'AWS::URLSuffix': 'amazonaws.com',
};

const NO_VALUE = Symbol('AWS::NoValue');

/**
 * What CloudFormation makes of a template: conditions decided, what a condition leaves out gone, and every parameter and
 * pseudo parameter in its place. References to resources stay.
 *
 * @param given Values of parameters, pseudo parameters and resources, by name, beside the template's defaults; of an
 *   attribute by `Resource.Attribute`.
 */
export function resolver({ Parameters = {}, Conditions = {} }: Template, given: Values = {}) {
  const values = new Map<string, unknown>(Object.entries(pseudoParameters));
  for (const [name, { Type, Default }] of Object.entries(
    Parameters as Record<string, { Type: string; Default: unknown }>,
  )) {
    values.set(name, Type === 'CommaDelimitedList' ? String(Default).split(',') : Default);
  }
  for (const [name, value] of Object.entries(given)) values.set(name, value);

  const isTrue = (condition: unknown): boolean => {
    if (typeof condition === 'string') return isTrue(Conditions[condition]);
    const [[operator, operands]] = Object.entries(condition as Record<string, unknown>) as [[string, unknown[]]];
    if (operator === 'Condition') return isTrue(operands);
    if (operator === 'Fn::And') return operands.every(isTrue);
    if (operator === 'Fn::Or') return operands.some(isTrue);
    if (operator === 'Fn::Not') return !isTrue(operands[0]);
    if (operator === 'Fn::Equals') return resolve(operands[0]) === resolve(operands[1]);
    throw new Error(`The condition ${operator} is not known here.`);
  };

  function resolve(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map(resolve).filter((one) => one !== NO_VALUE);
    const [[name = '', argument] = []] = Object.entries(value);
    if (name === 'Ref') return argument === 'AWS::NoValue' ? NO_VALUE : (values.get(argument) ?? value);
    if (name === 'Fn::GetAtt') return values.get(argument.join('.')) ?? value;
    if (name === 'Fn::If') return resolve(isTrue(argument[0]) ? argument[1] : argument[2]);
    if (name === 'Fn::Join') return (resolve(argument[1]) as string[]).join(argument[0]);
    if (name === 'Fn::Sub' && typeof argument === 'string') {
      return argument.replaceAll(/\$\{([\w:.]+)\}/g, (whole, inner: string) => String(values.get(inner) ?? whole));
    }
    const entries = Object.entries(value).map(([key, inner]) => [key, resolve(inner)] as const);
    return Object.fromEntries(entries.filter(([, inner]) => inner !== NO_VALUE));
  }
  return { resolve, isTrue };
}

/** The resources that CloudFormation makes of a template, resolved. */
export function resolvedResources(template: Template, given: Values = {}): Record<string, Resource> {
  const { resolve, isTrue } = resolver(template, given);
  return Object.fromEntries(
    Object.entries(template.Resources)
      .filter(([, { Condition }]) => Condition === undefined || isTrue(Condition))
      .map(([id, resource]) => [id, resolve(resource) as Resource]),
  );
}
