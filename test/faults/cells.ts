import { parseFaultRule } from '../../sandbox/faults/parse-rule.ts';
import type { FaultKind, FaultRule } from '../../sandbox/faults/rule.ts';
import { CLIENT_CERTIFICATE_SECRET, TOKEN_SECRET } from '../../sandbox/sandbox.ts';

/** How an invocation begins. Each finds a token in the secret that is good for 200 s more, and asks for a newer one. */
export const brokerEntries = ['tick', 'direct', 'forced', 'createSecret', 'testSecret', 'finishSecret'] as const;
/** A reader that holds no token yet; one that holds it, and wants a longer-lived one; one that can ask the broker for it. */
export const readerEntries = ['cold reader', 'warm reader', 'reader and broker'] as const;
export type BrokerEntry = (typeof brokerEntries)[number];
export const entries = [...brokerEntries, ...readerEntries] as const;
export type Entry = (typeof entries)[number];

/** `once`: the first call alone. `always`: every call, as in an outage. */
export const frequencies = ['once', 'always'] as const;
export type Frequency = (typeof frequencies)[number];

/** Not a rule's: D1's server certificate, and the client's, are not what the other end trusts. */
type TrustFault = 'impostor' | 'distrusted';
/** No failure: D1 gives the token that it gave before, with what is left of it. */
type Habit = 'repeat';

export interface Cell {
  readonly step: string;
  readonly fault: FaultKind | TrustFault | Habit;
  readonly frequency: Frequency;
  readonly entry: Entry;
}

export const nameOf = ({ step, fault, frequency, entry }: Cell) => `${step}, ${fault} ${frequency}: ${entry}`;

const onCall: readonly FaultKind[] = ['delay', 'throttle', 'refuse', 'unavailable', 'reset', 'garbage', 'lost', 'hang'];
const onConnect: readonly FaultKind[] = ['delay', 'refuse', 'reset', 'garbage', 'hang'];
const obtaining: readonly Entry[] = ['tick', 'direct', 'forced', 'createSecret'];

interface StepPlan {
  readonly step: string;
  /** The call, and which ones of that name, as a rule says it. */
  readonly rule: string;
  readonly conditions?: string;
  /** The step's first call is not the first of that name. */
  readonly callsBefore?: Partial<Record<Entry, number>>;
  readonly faults: readonly FaultKind[];
  readonly entries: readonly Entry[];
}

/** As `exchange`, at a D1 that repeats the token in the secret until its end. */
const REPEATED_TOKEN = 'repeated_token';

const token = `secret=${TOKEN_SECRET}`;

const plans: readonly StepPlan[] = [
  {
    step: 'read_secret',
    rule: 'secretsmanager.GetSecretValue',
    conditions: token,
    faults: onCall,
    entries: ['tick', 'direct', 'forced'],
  },
  {
    step: 'reader_read',
    rule: 'secretsmanager.GetSecretValue',
    conditions: token,
    faults: onCall,
    entries: readerEntries,
  },
  {
    step: 'load_certificate',
    rule: 'secretsmanager.GetSecretValue',
    conditions: `secret=${CLIENT_CERTIFICATE_SECRET}`,
    faults: onCall,
    entries: obtaining,
  },
  { step: 'connect', rule: 'd1.connect', faults: onConnect, entries: obtaining },
  { step: 'sign', rule: 'kms.Sign', faults: onCall, entries: obtaining },
  { step: 'exchange', rule: 'd1.oauth2/token', faults: onCall, entries: obtaining },
  { step: REPEATED_TOKEN, rule: 'd1.oauth2/token', faults: onCall, entries: obtaining },
  { step: 'write_secret', rule: 'secretsmanager.PutSecretValue', faults: onCall, entries: obtaining },
  {
    step: 'describe_secret',
    rule: 'secretsmanager.DescribeSecret',
    faults: onCall,
    entries: ['createSecret', 'testSecret', 'finishSecret'],
  },
  {
    step: 'read_pending',
    rule: 'secretsmanager.GetSecretValue',
    conditions: token,
    faults: onCall,
    entries: ['createSecret', 'testSecret', 'finishSecret'],
  },
  {
    step: 'move_label',
    rule: 'secretsmanager.UpdateSecretVersionStage',
    faults: onCall,
    entries: ['finishSecret'],
  },
  {
    step: 'remove_label',
    rule: 'secretsmanager.UpdateSecretVersionStage',
    callsBefore: { finishSecret: 1 },
    faults: onCall,
    entries: ['finishSecret'],
  },
];

/** Every step x every fault x every way in that takes the step. */
export const cells: readonly Cell[] = [
  ...plans.flatMap(({ step, faults, entries }) =>
    faults.flatMap((fault) =>
      // A delay is no failure: the second call of a step that took its time does not come.
      frequencies
        .filter((frequency) => !(fault === 'delay' && frequency === 'always'))
        .flatMap((frequency) => entries.map((entry) => ({ step, fault, frequency, entry }))),
    ),
  ),
  ...(['impostor', 'distrusted'] as const).flatMap((fault) =>
    obtaining.map((entry) => ({ step: 'connect', fault, frequency: 'always' as const, entry })),
  ),
  ...obtaining.map((entry) => ({
    step: REPEATED_TOKEN,
    fault: 'repeat' as const,
    frequency: 'always' as const,
    entry,
  })),
];

/** Whether D1 goes on giving the token that the secret holds, until it has died. */
export const repeatsToken = ({ step }: Cell): boolean => step === REPEATED_TOKEN;

/** Whether the cell waits for the SDK's timeouts, which are real time. */
export const waits = (cell: Cell): boolean =>
  cell.fault === 'hang' && rulesFor(cell).some(({ call }) => !call.startsWith('d1.'));

/** The rule that makes the cell; none where trust is what is broken. */
export function rulesFor({ step, fault, frequency, entry }: Cell): readonly FaultRule[] {
  if (fault === 'impostor' || fault === 'distrusted' || fault === 'repeat') return [];
  const plan = plans.find((candidate) => candidate.step === step);
  if (!plan) throw new Error(`There is no step ${step}.`);
  const first = (plan.callsBefore?.[entry] ?? 0) + 1;
  const details = { delay: ' ms=3000', throttle: plan.rule.startsWith('d1.') ? ' retry_after=5' : '' };
  const text = `${plan.rule} ${fault}${fault in details ? details[fault as keyof typeof details] : ''}`;
  return [parseFaultRule(`${text} nth=${first}${frequency === 'always' ? '-' : ''} ${plan.conditions ?? ''}`.trim())];
}
