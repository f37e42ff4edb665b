import { logRetention, misplaced, onOrOff, type Rule, read, text, type Value } from './rules.ts';

const roleName = text(/^[\w+=,.@-]{1,64}$/, 'a role name: 1-64 of A-Z a-z 0-9 _ + = , . @ -');
/** The tags that every resource has anyway. */
const OWN_TAGS = ['service', 'stage'];
/** AWS takes 50 on a resource. */
const MOST_TAGS = 50 - OWN_TAGS.length;

/** Every key that a landing zone's file may have, but `tags`; infra/landing-zone.yml says what each is for. */
const rules: Readonly<Record<string, Rule>> = {
  permissionsBoundary: text(
    /^arn:aws[\w-]*:iam::(\d{12}|aws):policy\/[\w+=,.@/-]+$/,
    'the ARN of an IAM policy: arn:aws:iam::111122223333:policy/NAME',
  ),
  rolePath: text(/^(?=.{1,512}$)\/([\w+=,.@-]+\/)*$/, 'a path of IAM, which begins and ends with /'),
  brokerRoleName: roleName,
  schedulerRoleName: roleName,
  artifactBucket: text(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'the name of an S3 bucket: 3-63 of a-z 0-9 . -'),
  logRetentionDays: logRetention,
  terminationProtection: onOrOff(),
};

export interface LandingZone {
  /** Of the keys that the file has. */
  readonly values: Readonly<Record<string, Value>>;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * Checks the file of the bank's landing zone.
 *
 * @param file Its name, for the sentences.
 * @param content What is in it; `undefined` or `null` when there is no such file, or every line is a comment.
 * @returns What it has, and every fault at once, each a sentence without its full stop.
 */
export function landingZone(file: string, content: unknown, region: string): LandingZone & { faults: string[] } {
  const values: Record<string, Value> = {};
  const faults: string[] = [];
  if (content === undefined || content === null) return { values, tags: {}, faults };
  if (typeof content !== 'object' || Array.isArray(content)) {
    return { values, tags: {}, faults: [`${file} is no list of keys with values`] };
  }
  const { tags = {}, ...others } = content as Record<string, unknown>;
  for (const [key, given] of Object.entries(others)) {
    const rule = rules[key];
    if (rule === undefined) {
      faults.push(
        `${file} has the key ${key}, which is not known; it may have ${[...Object.keys(rules), 'tags'].join(', ')}`,
      );
      continue;
    }
    const result = read(rule, given ?? undefined);
    const fault = 'fault' in result ? result.fault : misplaced(result.value, region);
    if (fault !== undefined) faults.push(`${file}: ${key} ${fault}`);
    else if ('value' in result) values[key] = result.value;
  }
  const { brokerRoleName, schedulerRoleName } = values;
  if (brokerRoleName !== undefined && brokerRoleName === schedulerRoleName) {
    faults.push(
      `${file}: schedulerRoleName is "${brokerRoleName}", like brokerRoleName; each role must have a name of its own`,
    );
  }
  faults.push(...faultsOfTags(tags).map((fault) => `${file}: ${fault}`));
  return { values, tags: tags as Record<string, string>, faults };
}

/** AWS General Reference, "Tagging AWS resources". */
function faultsOfTags(tags: unknown): string[] {
  if (typeof tags !== 'object' || tags === null || Array.isArray(tags)) {
    return ['tags is no list of names with values'];
  }
  const faults: string[] = [];
  const isTag = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
  for (const [name, value] of Object.entries(tags)) {
    if (OWN_TAGS.includes(name)) faults.push(`the tag ${name} is the stack's own; choose another name`);
    else if (/^aws:/i.test(name) || name.length > 128 || !isTag.test(name)) {
      faults.push(
        `the tag ${name} has a name that AWS refuses; it must be 1-128 letters, digits, spaces and _ . : / = + - @, and not begin with aws:`,
      );
    } else if (typeof value !== 'string' || value.length > 256 || !isTag.test(value)) {
      faults.push(
        `the tag ${name} is ${JSON.stringify(value)}; it must be text in quotes: 0-256 letters, digits, spaces and _ . : / = + - @`,
      );
    }
  }
  if (Object.keys(tags).length > MOST_TAGS)
    faults.push(`tags has ${Object.keys(tags).length} tags; AWS takes ${MOST_TAGS} beside the stack's own`);
  return faults;
}
