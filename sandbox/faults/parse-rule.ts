import {
  type CallName,
  type CallRange,
  callNames,
  connectFaultKinds,
  type Fault,
  type FaultKind,
  type FaultRule,
  faultKinds,
  type When,
} from './rule.ts';

const DEFAULT_DELAY_MILLISECONDS = 1_000;

/** A rule that cannot be understood; the message says which one, why, and shows one that can. */
export class FaultRuleError extends Error {
  constructor(text: string, why: string) {
    super(`The fault rule "${text}" is wrong: ${why}. A right one: kms.Sign throttle nth=2`);
    this.name = 'FaultRuleError';
  }
}

/**
 * Reads a rule as it is written on a command line: `CALL FAULT [CONDITION...]`, for instance
 * `d1.oauth2/token throttle retry_after=5 probability=0.1 seed=7 from=30 until=90`. docs/reliability.md has the grammar.
 *
 * @throws FaultRuleError
 */
export function parseFaultRule(text: string): FaultRule {
  const wrong = (why: string) => new FaultRuleError(text, why);
  const [call = '', kind = '', ...settings] = text.trim().split(/\s+/);
  if (!isOneOf<CallName>(callNames, call)) throw wrong(`there is no call "${call}"; there are ${callNames.join(', ')}`);
  if (!isOneOf<FaultKind>(faultKinds, kind))
    throw wrong(`there is no fault "${kind}"; there are ${faultKinds.join(', ')}`);
  if (call === 'd1.connect' && !connectFaultKinds.has(kind)) {
    throw wrong(`a connection can only have ${[...connectFaultKinds].join(', ')}`);
  }
  if (kind === 'unauthorized' && !call.startsWith('d1.')) throw wrong('unauthorized belongs to D1');
  const given = new Map<string, string>();
  for (const setting of settings) {
    const [name = '', value = ''] = setting.split(/=(.*)/s);
    if (!isOneOf(settingNames, name))
      throw wrong(`there is no setting "${name}"; there are ${settingNames.join(', ')}`);
    if (value === '') throw wrong(`${name} has no value`);
    if (given.has(name)) throw wrong(`${name} is given twice`);
    given.set(name, value);
  }
  const number = (name: SettingName, minimum: number, maximum: number, whole = true): number | undefined => {
    const value = given.get(name);
    if (value === undefined) return undefined;
    const parsed = /^\d{1,12}(\.\d{1,9})?$/.test(value) ? Number(value) : Number.NaN;
    if (!(parsed >= minimum && parsed <= maximum) || (whole && !Number.isInteger(parsed))) {
      throw wrong(`${name} must be a ${whole ? 'whole number' : 'number'}, ${minimum}-${maximum}`);
    }
    return parsed;
  };
  if (given.has('ms') && kind !== 'delay') throw wrong('ms belongs to delay');
  if (given.has('retry_after') && !(kind === 'throttle' && call.startsWith('d1.'))) {
    throw wrong('retry_after belongs to throttle at D1');
  }
  if (given.has('seed') && !given.has('probability')) throw wrong('seed belongs to probability');
  if (given.has('secret') && !call.startsWith('secretsmanager.')) throw wrong('secret belongs to secretsmanager');
  const fault: Fault = {
    kind,
    ...(kind === 'delay' && { milliseconds: number('ms', 0, 3_600_000) ?? DEFAULT_DELAY_MILLISECONDS }),
    ...defined('retryAfterSeconds', number('retry_after', 0, 86_400)),
  };
  const when: When = {
    ...defined('nth', ranges(given.get('nth'), wrong)),
    ...defined('probability', number('probability', 0, 1, false)),
    ...defined('seed', number('seed', 0, 4_294_967_295)),
    ...defined('fromMilliseconds', thousand(number('from', 0, 31_536_000, false))),
    ...defined('untilMilliseconds', thousand(number('until', 0, 31_536_000, false))),
    ...defined('secretId', given.get('secret')),
  };
  if ((when.fromMilliseconds ?? 0) >= (when.untilMilliseconds ?? Number.POSITIVE_INFINITY)) {
    throw wrong('until must be later than from');
  }
  return { call, fault, when };
}

const settingNames = ['ms', 'retry_after', 'nth', 'probability', 'seed', 'from', 'until', 'secret'] as const;
type SettingName = (typeof settingNames)[number];

/** `2`, `1-3`, `4-` (and all later ones), or several of them with commas. */
function ranges(text: string | undefined, wrong: (why: string) => FaultRuleError): CallRange[] | undefined {
  return text?.split(',').map((part) => {
    const match = /^([1-9]\d{0,8})(-([1-9]\d{0,8})?)?$/.exec(part);
    if (!match) throw wrong('nth must be calls like 2 or 1-3 or 4- or 1,5-6, counted from 1');
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : match[3] === undefined ? Number.POSITIVE_INFINITY : Number(match[3]);
    if (last < first) throw wrong('nth has a range that ends before it begins');
    return { first, last };
  });
}

const thousand = (seconds: number | undefined) => (seconds === undefined ? undefined : seconds * 1000);

function defined<K extends string, V>(name: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { [key in K]?: V });
}

function isOneOf<T extends string>(list: readonly T[], text: string): text is T {
  return (list as readonly string[]).includes(text);
}
