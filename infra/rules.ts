/** What one value of infra/params.yml, or of a landing zone's file, may be. */
export interface Rule {
  /** Numbers and switches may also come as text, from a command line. A list may come as text with commas. */
  readonly kind: 'text' | 'number' | 'switch' | 'list';
  /** Of a list: each of its members. */
  readonly accepts: (value: string) => boolean;
  /** In words, for the sentence that stops the packaging. */
  readonly rule: string;
  /** Of a list: how many members AWS takes. */
  readonly atMost?: number;
  /** Of a list: whether a member may be `!Sub`. */
  readonly takesIntrinsics?: boolean;
}

export type Value = string | number | boolean | readonly unknown[] | object;

/** @returns The value as the template takes it, or what is wrong with it: the rest of a sentence that begins with its name. */
export function read(rule: Rule, value: unknown): { value: Value } | { fault: string } {
  if (value === undefined) return { fault: `is missing; it must be ${rule.rule}` };
  if (rule.kind === 'list') return readList(rule, value);
  if (typeof value === 'object') return { fault: `is ${show(value)}; it must be text: ${rule.rule}` };
  if (rule.kind === 'text' && typeof value !== 'string') {
    return { fault: `is the ${typeof value} ${value} for YAML, which may not be what was written; put it in quotes` };
  }
  if (!rule.accepts(String(value))) return { fault: `is "${show(value)}"; it must be ${rule.rule}` };
  // CloudFormation's parameters are texts; numbers stay numbers for the properties of the function.
  return { value: typeof value === 'number' ? value : String(value) };
}

function readList({ accepts, rule, atMost, takesIntrinsics }: Rule, value: unknown) {
  const members = typeof value === 'string' ? value.split(',').filter(Boolean) : value;
  if (!Array.isArray(members)) return { fault: `is "${show(value)}"; it must be a list of ${rule}` };
  const isRight = (member: unknown) =>
    (takesIntrinsics && isIntrinsic(member)) || (typeof member === 'string' && accepts(member));
  const wrong = members.find((member) => !isRight(member));
  if (wrong !== undefined) return { fault: `has "${show(wrong)}" in it; it must be a list of ${rule}` };
  if (atMost !== undefined && members.length > atMost) {
    return { fault: `has ${members.length} members; AWS Lambda takes ${atMost}` };
  }
  return { value: members };
}

/** The account's own ARN can't be written down for all stages; CloudFormation knows it. */
const isIntrinsic = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && Object.keys(value).join() === 'Fn::Sub';

/** For a sentence. A URL's credentials are left out. */
const show = (value: unknown): string =>
  typeof value === 'object' ? JSON.stringify(value) : String(value).replace(/\/\/[^/]*@/, '//…@');

export function text(pattern: RegExp, rule: string): Rule {
  return { kind: 'text', accepts: (value) => pattern.test(value), rule };
}

export function list(pattern: RegExp, rule: string, more: Pick<Rule, 'atMost' | 'takesIntrinsics'> = {}): Rule {
  return { ...text(pattern, rule), kind: 'list', ...more };
}

export function oneOf(...values: readonly string[]): Rule {
  return { kind: 'text', accepts: (value) => values.includes(value), rule: `one of ${values.join(', ')}` };
}

export function onOrOff(): Rule {
  return { ...oneOf('true', 'false'), kind: 'switch' };
}

export function wholeNumber(minimum: number, maximum: number): Rule {
  const accepts = (value: string) => /^\d{1,9}$/.test(value) && Number(value) >= minimum && Number(value) <= maximum;
  return { kind: 'number', accepts, rule: `a whole number, ${minimum}-${maximum}` };
}

export function orEmpty({ kind, accepts, rule }: Rule): Rule {
  return { kind, accepts: (value) => value === '' || accepts(value), rule: `${rule}, or empty` };
}

export function orNone({ kind, accepts, rule }: Rule): Rule {
  return { kind, accepts: (value) => value === 'none' || accepts(value), rule: `${rule}, or \`none\`` };
}

export function arnOf(service: string, resource: string, rule: string): Rule {
  return text(new RegExp(`^arn:aws[\\w-]*:${service}:[a-z0-9-]+:\\d{12}:${resource}$`), rule);
}

/** Amazon CloudWatch Logs API Reference, PutRetentionPolicy. */
export const logRetention: Rule = {
  ...oneOf(
    ...[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653].map(
      String,
    ),
  ),
  kind: 'number',
};

/**
 * Whether an ARN can be meant for a stack in this Region. AWS General Reference, "Amazon Resource Names".
 *
 * @param elsewhere The value names something in another Region of the same partition.
 * @returns The rest of a sentence that begins with the value's name; nothing when it can.
 */
export function misplaced(arn: unknown, region: string, { elsewhere = false } = {}): string | undefined {
  if (typeof arn !== 'string' || !arn.startsWith('arn:')) return undefined;
  const [, partition, , where] = arn.split(':');
  if (partition !== partitionOf(region)) {
    return `is of partition ${partition}; ${region} is in ${partitionOf(region)}`;
  }
  return where && where !== region && !elsewhere ? `is of Region ${where}; the stack is in ${region}` : undefined;
}

function partitionOf(region: string): string {
  const others = { 'cn-': 'aws-cn', 'us-gov-': 'aws-us-gov', 'us-iso-': 'aws-iso', 'us-isob-': 'aws-iso-b' };
  return Object.entries(others).find(([prefix]) => region.startsWith(prefix))?.[1] ?? 'aws';
}
