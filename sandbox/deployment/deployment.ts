import type { Clock } from '../../src/shared/clock.ts';
import { AwsError } from '../aws/aws-error.ts';
import type { Kms } from '../aws/kms.ts';

/** The two places for a signing key. */
export type Place = 'current' | 'next';

export const STAGE = 'sandbox';

/** A message of a queue, as its body. */
type Messages = { readonly body: string; readonly sentAt: number }[];

export interface Alarm {
  readonly name: string;
  actionsEnabled: boolean;
  state: 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';
  readonly topic: 'CriticalTopicArn' | 'WarningTopicArn';
}

/** A change set that imports ("AWS CloudFormation API Reference", CreateChangeSet). */
export interface ChangeSet {
  readonly template: {
    readonly Resources: Readonly<Record<string, { readonly Type: string; readonly Properties: object }>>;
  };
  /** Physical ids by logical ones. */
  readonly imports: ReadonlyMap<string, string>;
}

export interface DeploymentOptions {
  readonly region: string;
  /** Twelve digits. */
  readonly accountId: string;
  readonly clock: Pick<Clock, 'now'>;
  /** `sandbox` unless told. */
  readonly stage?: string | undefined;
  readonly kms: Kms;
  /** What the function sees, but for what the stack's parameters say. */
  readonly environment: Readonly<Record<string, string>>;
  readonly functionName: string;
  /** ARNs by the names of the stack's outputs. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly fleet?: Deployment['fleet'];
  readonly signingKey: { readonly keyId: string; readonly arn: string; readonly alias: string };
}

/**
 * The stack that `npm run deploy` makes, as far as somebody sees it from outside: parameters, outputs, function, schedule,
 * alarms, topics, queues and log. A change of its parameters does what infra/ says: a place with a kid has a key.
 */
export class Deployment {
  readonly #options: DeploymentOptions;
  readonly #keys = new Map<Place, string>();
  readonly stackName: string;
  readonly parameters = new Map<string, string>();
  readonly alarms: Alarm[];
  /** Topic ARN to its confirmed subscriptions. */
  readonly topics = new Map<string, number>();
  readonly queues = new Map<string, Messages>();
  readonly log: { readonly at: number; readonly line: string }[] = [];
  drift: 'IN_SYNC' | 'DRIFTED' | 'NOT_CHECKED' = 'NOT_CHECKED';
  status = 'CREATE_COMPLETE';
  exists = true;
  schedule: { exists: boolean; state: 'ENABLED' | 'DISABLED' } = { exists: true, state: 'ENABLED' };
  /** Changes by hand, on top of what the stack says. */
  readonly changedByHand: Record<string, string> = {};
  functionState: 'Active' | 'Inactive' | 'Pending' | 'Failed' = 'Active';
  /** What an import has put into a stack that nothing was deployed to yet. */
  imported: ChangeSet | undefined;
  /** By name. */
  readonly changeSets = new Map<string, ChangeSet>();
  /** Why it is in no better state, as Lambda codes it. */
  functionStateReason: string | undefined;
  readonly missingOutputs = new Set<string>();
  /** Outputs that come with parameters of a landing zone. */
  readonly moreOutputs: Record<string, string> = {};
  /** The function's own policy; `undefined` while nobody but this account may invoke it. */
  functionPolicy: string | undefined;
  /** The ticks have the callers' function here, unless they get one of their own. */
  ticks: { readonly functionName: string; readonly changedByHand: Readonly<Record<string, string>> };
  /** Other subnets than the stack says, by hand. */
  subnetsByHand: readonly string[] | undefined;
  /** The stack for many issuers, where there is one. */
  readonly fleet: { readonly stackName: string; readonly outputs: Readonly<Record<string, string>> } | undefined;
  /** Hears the function's new environment after each change. */
  onChange: (environment: Readonly<Record<string, string>>) => void = () => {};

  constructor(options: DeploymentOptions) {
    this.#options = options;
    this.ticks = { functionName: options.functionName, changedByHand: {} };
    const { region, accountId, signingKey } = options;
    this.fleet = options.fleet;
    this.stackName = `d1-token-broker-${options.stage ?? STAGE}`;
    const topic = (name: string) => `arn:aws:sns:${region}:${accountId}:${name}`;
    this.#keys.set('current', signingKey.arn);
    const parameters = {
      Onboarded: 'true',
      CriticalTopicArn: topic('d1-critical'),
      WarningTopicArn: topic('d1-warning'),
      CompositeAlarm: 'false',
      CurrentKeyId: signingKey.keyId,
      NextKeyId: 'none',
      ActiveSigningKey: 'current',
      HasConsumers: 'false',
      SubnetIds: '',
      SecurityGroupIds: '',
      Fips: 'false',
      EgressProxy: 'none',
      NoProxy: '',
    };
    for (const [name, value] of Object.entries(parameters)) this.parameters.set(name, value);
    for (const name of ['d1-critical', 'd1-warning']) this.topics.set(topic(name), 1);
    for (const name of ['failed-invocations', 'undelivered-ticks']) this.queues.set(`${this.stackName}-${name}`, []);
    const alarm = (name: string, topic: Alarm['topic']): Alarm => ({
      name: `${this.stackName}-${name}`,
      actionsEnabled: true,
      state: 'OK',
      topic,
    });
    this.alarms = [
      alarm('token-expiring', 'CriticalTopicArn'),
      alarm('ticks-missing', 'CriticalTopicArn'),
      alarm('certificate-expires', 'CriticalTopicArn'),
      alarm('refresh-failing', 'WarningTopicArn'),
      alarm('certificate-expires-soon', 'WarningTopicArn'),
      alarm('failed-invocations', 'WarningTopicArn'),
    ];
  }

  get active(): Place {
    return this.parameters.get('ActiveSigningKey') === 'next' ? 'next' : 'current';
  }

  /** As `environment` in serverless.yml. */
  get environment(): Readonly<Record<string, string>> {
    const other = this.active === 'current' ? 'next' : 'current';
    const key = this.#keys.get(other);
    return {
      ...this.#options.environment,
      D1_STAGE: this.#options.stage ?? STAGE,
      D1_KEY_ID: this.#kid(this.active),
      D1_SIGNING_KEY_ID: this.#keys.get(this.active) ?? '',
      ...this.#network,
      ...(key && { D1_NEXT_KEY_ID: this.#kid(other), D1_NEXT_SIGNING_KEY_ID: key }),
      ...this.changedByHand,
    };
  }

  get outputs(): Readonly<Record<string, string>> {
    const [current, next] = [this.#keys.get('current'), this.#keys.get('next')];
    const outputs = {
      ...this.#options.outputs,
      ...this.moreOutputs,
      FunctionName: this.#options.functionName,
      TicksFunctionName: this.ticks.functionName,
      SigningKeyArn: this.#keys.get(this.active) ?? '',
      SigningKeyId: this.#kid(this.active),
      ...(current && { CurrentSigningKeyArn: current, CurrentSigningKeyAlias: this.#alias('current') }),
      ...(next && { NextSigningKeyArn: next, NextSigningKeyAlias: this.#alias('next') }),
    };
    return Object.fromEntries(Object.entries(outputs).filter(([name]) => !this.missingOutputs.has(name)));
  }

  /** Every parameter that is given takes its new value; keys, aliases and the function follow. */
  async update(changes: ReadonlyMap<string, string>): Promise<void> {
    const changed = [...changes].filter(([name, value]) => this.parameters.get(name) !== value);
    if (changed.length === 0) throw new AwsError('ValidationError', 'No updates are to be performed.');
    for (const [name, value] of changed) this.parameters.set(name, value);
    const { kms } = this.#options;
    for (const place of ['current', 'next'] as const) {
      const wanted = this.active === place || this.#kid(place) !== 'none';
      if (wanted && !this.#keys.has(place)) {
        const { KeyMetadata } = await kms.handle('CreateKey', {
          KeySpec: 'ECC_NIST_P256',
          KeyUsage: 'SIGN_VERIFY',
          MultiRegion: true,
          Tags: Object.entries({ service: 'd1-token-broker', stage: this.#options.stage ?? STAGE }).map(
            ([TagKey, TagValue]) => ({ TagKey, TagValue }),
          ),
        });
        const { KeyId, Arn } = KeyMetadata as { KeyId: string; Arn: string };
        await kms.handle('CreateAlias', { AliasName: this.#alias(place), TargetKeyId: KeyId });
        this.#keys.set(place, Arn);
      } else if (!wanted && this.#keys.delete(place)) {
        await kms.handle('DeleteAlias', { AliasName: this.#alias(place) });
      }
    }
    this.status = 'UPDATE_COMPLETE';
    this.onChange(this.environment);
  }

  /** The deployment that follows an import: what was brought in is the stack's, and the function gets it. */
  deployImported(): void {
    for (const place of ['current', 'next'] as const) {
      const id = this.imported?.imports.get(place === 'current' ? 'CurrentSigningKey' : 'NextSigningKey');
      if (id !== undefined)
        this.#keys.set(place, `arn:aws:kms:${this.#options.region}:${this.#options.accountId}:key/${id}`);
    }
    this.imported = undefined;
    this.status = 'UPDATE_COMPLETE';
    this.onChange(this.environment);
  }

  /** A key of another kind in a place, as if the stack had made it. */
  useKey(place: Place, arn: string): void {
    this.#keys.set(place, arn);
    this.onChange(this.environment);
  }

  write(line: string): void {
    this.log.push({ at: this.#options.clock.now(), line });
  }

  /** As infra/network.yml. */
  get #network(): Record<string, string> {
    const { EgressProxy = 'none', NoProxy = '', Fips } = Object.fromEntries(this.parameters);
    return {
      ...(Fips === 'true' && { AWS_USE_FIPS_ENDPOINT: 'true' }),
      ...(EgressProxy !== 'none' && { HTTPS_PROXY: EgressProxy }),
      ...(NoProxy !== '' && { NO_PROXY: NoProxy }),
    };
  }

  /** As infra/vpc.yml. */
  get vpc(): { readonly SubnetIds: readonly string[]; readonly SecurityGroupIds: readonly string[] } {
    const list = (name: string) => (this.parameters.get(name) ?? '').split(',').filter((one) => one !== '');
    return { SubnetIds: this.subnetsByHand ?? list('SubnetIds'), SecurityGroupIds: list('SecurityGroupIds') };
  }

  #kid(place: Place): string {
    return this.parameters.get(place === 'current' ? 'CurrentKeyId' : 'NextKeyId') ?? 'none';
  }

  #alias(place: Place): string {
    return place === 'current' ? this.#options.signingKey.alias : `${this.#options.signingKey.alias}-next`;
  }
}
