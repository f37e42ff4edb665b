import { randomInt } from 'node:crypto';
import type { Clock } from '../../src/shared/clock.ts';
import { AwsError } from './aws-error.ts';
import { Input } from './input.ts';
import type { Lambda } from './lambda.ts';
import { idleSleep, type Sleep } from './retries.ts';
import { listed } from './secrets-manager/listing.ts';
import { type RotationFunction, rotate, startPending, tryConfiguration } from './secrets-manager/rotation.ts';
import { isMeant, type Secret } from './secrets-manager/secret.ts';
import { updateStage } from './secrets-manager/stages.ts';
import { readValue, sameValue, secretName, versionToken } from './secrets-manager/values.ts';
import { type SecretValue, type Version, Versions } from './secrets-manager/versions.ts';
import { description, identity, versionEntry } from './secrets-manager/views.ts';

export interface SecretsManagerOptions {
  readonly region: string;
  /** Twelve digits. */
  readonly accountId: string;
  readonly clock: Pick<Clock, 'now'>;
  /** Versions that a secret can have; `none` never refuses. 100 unless told: AWS says "around 100" and no more. */
  readonly versionQuota?: number | 'none';
  /** How many GetSecretValue calls miss a pending value that has just been put. 0 unless told. */
  readonly pendingReadableAfterReads?: number;
  /** Stands for whatever function RotateSecret names. */
  readonly rotationFunction?: RotationFunction;
  /**
   * Where RotateSecret looks for the function that it names. Without this and `rotationFunction`, a rotation starts and
   * stays where it is: the steps are the caller's.
   */
  readonly lambda?: Pick<Lambda, 'find'>;
  /**
   * Milliseconds before each repetition of a rotation of which a step has failed. None unless told: AWS says "multiple
   * times", and not when.
   */
  readonly rotationRetryDelays?: readonly number[];
  readonly sleep?: Sleep;
  /**
   * Whether moving AWSCURRENT to the version that a rotation works on takes AWSPENDING off it in the same call. The User
   * Guide ("Lambda rotation functions", finishSecret) says so; recordings of AWS and its own rotation template say not.
   * `false` unless told, because it is the harder case for a rotation function.
   */
  readonly finishRemovesPending?: boolean;
}

type Output = Record<string, unknown>;

const dayMilliseconds = 24 * 60 * 60 * 1000;

/** The part of AWS Secrets Manager that keeps and rotates one secret ("AWS Secrets Manager API Reference"). */
export class SecretsManager {
  readonly #options: SecretsManagerOptions;
  readonly #secrets = new Set<Secret>();
  #rotation: Promise<'none' | 'succeeded' | 'failed'> = Promise.resolve('none');

  constructor(options: SecretsManagerOptions) {
    this.#options = options;
  }

  /** RotateSecret answers before the rotation is done; this resolves when the last one started is, and says how it went. */
  rotationSettled(): Promise<'none' | 'succeeded' | 'failed'> {
    return this.#rotation;
  }

  /** What else a secret is, to who describes it. @param kmsKeyId ARN; `undefined` for the key that AWS manages. */
  alter(name: string, as: Partial<Pick<Secret, 'kmsKeyId' | 'replicas' | 'primaryRegion'>>): void {
    for (const secret of this.#secrets) if (secret.name === name) Object.assign(secret, as);
  }

  /** As if nobody had set up its rotation. */
  forgetRotation(name: string): void {
    for (const secret of this.#secrets) if (secret.name === name) secret.rotation = undefined;
  }

  async handle(operation: string, fields: Record<string, unknown>): Promise<Output> {
    const input = new Input(fields, 'InvalidParameterException');
    switch (operation) {
      case 'CreateSecret':
        return this.#create(input);
      case 'GetSecretValue':
        return this.#getValue(input);
      case 'PutSecretValue':
        return this.#putValue(input);
      case 'DescribeSecret':
        return description(this.#find(input));
      case 'GetResourcePolicy':
        return this.#policy(input);
      case 'PutResourcePolicy':
        return this.#putPolicy(input);
      case 'ListSecrets':
        return listed(this.#all(), input);
      case 'ListSecretVersionIds':
        return this.#listVersions(input);
      case 'UpdateSecretVersionStage':
        return this.#updateStage(input);
      case 'DeleteSecret':
        return this.#delete(input);
      case 'RestoreSecret':
        return this.#restore(input);
      case 'RotateSecret':
        return this.#rotate(input);
      default:
        throw new AwsError('UnknownOperationException', `The sandbox's Secrets Manager has no operation ${operation}.`);
    }
  }

  #create(input: Input): Output {
    const name = secretName(input);
    const token = versionToken(input, 'InvalidRequestException');
    const value = readValue(input, 'optional');
    const existing = this.#all().find((secret) => secret.name === name);
    if (existing) return this.#createAgain(existing, token, value);
    const now = this.#options.clock.now();
    const secret: Secret = {
      name,
      arn: `arn:aws:secretsmanager:${this.#options.region}:${this.#options.accountId}:secret:${name}-${randomSuffix()}`,
      description: input.optionalString('Description', { max: 2048 }),
      kmsKeyId: input.optionalString('KmsKeyId', { max: 2048 }),
      policy: undefined,
      replicas: [],
      primaryRegion: undefined,
      createdAt: now,
      changedAt: now,
      versions: new Versions(this.#options.clock, this.#options.versionQuota ?? 100),
      deletion: undefined,
      rotation: undefined,
      lastRotatedAt: undefined,
      rotating: undefined,
    };
    this.#secrets.add(secret);
    if (!value) return identity(secret);
    secret.versions.attach('AWSCURRENT', secret.versions.add(token, value));
    return { ...identity(secret), VersionId: token };
  }

  /** CreateSecret is idempotent in its token, like PutSecretValue. */
  #createAgain(secret: Secret, token: string, value: SecretValue | undefined): Output {
    if (secret.deletion) {
      throw invalidRequest(
        "You can't create this secret because a secret with this name is already scheduled for deletion.",
      );
    }
    const version = secret.versions.get(token);
    if (!version || !value || !sameValue(version.value, value)) {
      throw new AwsError(
        'ResourceExistsException',
        `The operation failed because the secret ${secret.name} already exists.`,
      );
    }
    return { ...identity(secret), VersionId: token };
  }

  #getValue(input: Input): Output {
    const secret = this.#findUsable(input);
    const id = input.optionalString('VersionId', { min: 32, max: 64 });
    const label = input.optionalString('VersionStage', { min: 1, max: 256 });
    const { versions } = secret;
    const version = id === undefined ? versions.holder(label ?? 'AWSCURRENT') : versions.get(id);
    if (version && id !== undefined && label !== undefined && versions.holder(label) !== version) {
      throw invalidRequest('You provided a VersionStage that is not associated to the provided VersionId.');
    }
    const value = version && this.#readable(secret, version);
    if (!version || !value) {
      const what = id === undefined ? `staging label: ${label ?? 'AWSCURRENT'}` : `VersionId: ${id}`;
      throw notFound(`Secrets Manager can't find the specified secret value for ${what}`);
    }
    return { ...identity(secret), ...versionEntry(secret, version), ...value };
  }

  #readable(secret: Secret, version: Version): SecretValue | undefined {
    const labels = secret.versions.labelsOf(version);
    if (!version.value || !labels.includes('AWSPENDING') || labels.includes('AWSCURRENT')) return version.value;
    version.pendingReads += 1;
    return version.pendingReads > (this.#options.pendingReadableAfterReads ?? 0) ? version.value : undefined;
  }

  #putValue(input: Input): Output {
    const secret = this.#findUsable(input);
    const token = versionToken(input, 'InvalidRequestException');
    const value = readValue(input, 'required');
    const labels = input.optionalStrings('VersionStages', { max: 20 }, { min: 1, max: 256 }) ?? ['AWSCURRENT'];
    const { versions } = secret;
    const existing = versions.get(token);
    if (existing?.value && !sameValue(existing.value, value)) {
      throw new AwsError(
        'ResourceExistsException',
        `You can't use ClientRequestToken ${token} because that value is already in use for a version of secret ${secret.arn}.`,
      );
    }
    if (!existing?.value) {
      const isFirst = versions.size === 0;
      const version = existing ?? versions.add(token, value);
      version.value = value;
      for (const label of labels) versions.attach(label, version);
      if (isFirst) versions.attach('AWSCURRENT', version);
      secret.changedAt = this.#options.clock.now();
    }
    const version = versions.get(token);
    return { ...identity(secret), VersionId: token, VersionStages: version ? versions.labelsOf(version) : [] };
  }

  #policy(input: Input): Output {
    const secret = this.#find(input);
    return { ...identity(secret), ...(secret.policy !== undefined && { ResourcePolicy: secret.policy }) };
  }

  #putPolicy(input: Input): Output {
    const secret = this.#findUsable(input);
    secret.policy = input.string('ResourcePolicy', { min: 1, max: 20_480 });
    return identity(secret);
  }

  #listVersions(input: Input): Output {
    const secret = this.#find(input);
    const withDeprecated = input.optionalBoolean('IncludeDeprecated') ?? false;
    const entries = secret.versions.list().map((version) => versionEntry(secret, version));
    return { ...identity(secret), Versions: entries.filter((entry) => withDeprecated || 'VersionStages' in entry) };
  }

  #updateStage(input: Input): Output {
    const secret = this.#findUsable(input);
    const { label, target } = updateStage(secret.versions, input);
    const isFinish = label === 'AWSCURRENT' && target !== undefined && target.id === secret.rotating;
    if (isFinish && this.#options.finishRemovesPending) secret.versions.detach('AWSPENDING');
    secret.changedAt = this.#options.clock.now();
    return identity(secret);
  }

  #delete(input: Input): Output {
    const days = input.optionalInteger('RecoveryWindowInDays', { min: 7, max: 30 });
    const isForced = input.optionalBoolean('ForceDeleteWithoutRecovery') ?? false;
    if (isForced && days !== undefined) {
      throw input.error("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.");
    }
    const now = this.#options.clock.now();
    if (isForced) {
      const secretId = input.string('SecretId');
      const secret = this.#all().find((candidate) => isMeant(candidate, secretId));
      if (secret) this.#secrets.delete(secret);
      return { ...(secret ? identity(secret) : { Name: secretId }), DeletionDate: now / 1000 };
    }
    const secret = this.#findUsable(input);
    secret.deletion = { requestedAt: now, deletionAt: now + (days ?? 30) * dayMilliseconds };
    return { ...identity(secret), DeletionDate: secret.deletion.deletionAt / 1000 };
  }

  #restore(input: Input): Output {
    const secret = this.#find(input);
    secret.deletion = undefined;
    return identity(secret);
  }

  #rotate(input: Input): Output {
    const secret = this.#findUsable(input);
    const token = versionToken(input, 'InvalidParameterException');
    const lambdaArn = input.optionalString('RotationLambdaARN', { max: 2048 }) ?? secret.rotation?.lambdaArn;
    const rules = input.optionalObject('RotationRules') ?? secret.rotation?.rules;
    const isImmediate = input.optionalBoolean('RotateImmediately') ?? true;
    if (!lambdaArn) throw invalidRequest('No Lambda rotation function ARN is associated with this secret.');
    const run = this.#functionToRotate(lambdaArn);
    if (isImmediate) startPending(secret, token);
    secret.rotation = { lambdaArn, rules };
    if (run) {
      const settled = isImmediate
        ? rotate(secret, token, run, {
            now: () => this.#options.clock.now(),
            retryDelays: this.#options.rotationRetryDelays ?? [],
            sleep: this.#options.sleep ?? idleSleep,
          })
        : tryConfiguration(secret, token, run);
      this.#rotation = settled.then((succeeded) => (succeeded ? 'succeeded' : 'failed'));
    }
    return { ...identity(secret), ...(isImmediate && { VersionId: token }) };
  }

  /** Undefined when there are no functions at all. */
  #functionToRotate(lambdaArn: string): RotationFunction | undefined {
    const { rotationFunction, lambda } = this.#options;
    if (rotationFunction || !lambda) return rotationFunction;
    const found = lambda.find(lambdaArn);
    if (found) return found;
    throw new AwsError(
      'AccessDeniedException',
      'Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com.',
    );
  }

  #all(): readonly Secret[] {
    const now = this.#options.clock.now();
    for (const secret of this.#secrets) {
      if (secret.deletion && secret.deletion.deletionAt <= now) this.#secrets.delete(secret);
    }
    return [...this.#secrets];
  }

  #find(input: Input): Secret {
    const secretId = input.string('SecretId', { min: 1, max: 2048 });
    const secret = this.#all().find((candidate) => isMeant(candidate, secretId));
    if (!secret) throw notFound("Secrets Manager can't find the specified secret.");
    return secret;
  }

  #findUsable(input: Input): Secret {
    const secret = this.#find(input);
    if (secret.deletion) {
      throw invalidRequest("You can't perform this operation on the secret because it was marked for deletion.");
    }
    return secret;
  }
}

const suffixAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const randomSuffix = (): string =>
  Array.from({ length: 6 }, () => suffixAlphabet[randomInt(suffixAlphabet.length)]).join('');
const invalidRequest = (message: string): AwsError => new AwsError('InvalidRequestException', message);
const notFound = (message: string): AwsError => new AwsError('ResourceNotFoundException', message);
