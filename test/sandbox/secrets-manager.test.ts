import { randomUUID } from 'node:crypto';
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  type Filter,
  GetSecretValueCommand,
  ListSecretsCommand,
  type ListSecretsCommandInput,
  ListSecretVersionIdsCommand,
  PutSecretValueCommand,
  paginateListSecrets,
  RestoreSecretCommand,
  RotateSecretCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { afterEach, describe, expect, it } from 'vitest';
import { Kms } from '../../sandbox/aws/kms.ts';
import { Lambda, type LambdaFunction } from '../../sandbox/aws/lambda.ts';
import type { RotationEvent, RotationFunction } from '../../sandbox/aws/secrets-manager/rotation.ts';
import { SecretsManager, type SecretsManagerOptions } from '../../sandbox/aws/secrets-manager.ts';
import { startAwsServer } from '../../sandbox/aws/server.ts';
import { CallLog } from '../../sandbox/calls.ts';

const day = 24 * 60 * 60 * 1000;
const name = 'bank/d1/access-token';
const lambdaArn = 'arn:aws:lambda:eu-central-1:111122223333:function:broker';

const clock = { time: 0, now: () => clock.time };
const running: { close(): Promise<void> }[] = [];
let service: SecretsManager;
let client: SecretsManagerClient;

async function start(options: Partial<SecretsManagerOptions> = {}) {
  clock.time = Date.UTC(2026, 0, 15);
  const account = { region: 'eu-central-1', accountId: '111122223333', clock };
  service = new SecretsManager({ ...account, ...options });
  const server = await startAwsServer({ kms: new Kms(account), secretsManager: service, calls: new CallLog(), clock });
  running.push(server);
  client = new SecretsManagerClient({
    endpoint: server.url,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
    maxAttempts: 1,
  });
}

afterEach(async () => {
  client.destroy();
  for (const server of running.splice(0)) await server.close();
});

/** Starts a server on which the secret exists, with `first` as its value; gives the ARN and the first version's id. */
async function startWithSecret(options: Partial<SecretsManagerOptions> = {}) {
  await start(options);
  const { ARN, VersionId } = await client.send(new CreateSecretCommand({ Name: name, SecretString: 'first' }));
  return { arn: String(ARN), first: String(VersionId) };
}

const put = async (SecretString: string, more: { ClientRequestToken?: string; VersionStages?: string[] } = {}) =>
  String((await client.send(new PutSecretValueCommand({ SecretId: name, SecretString, ...more }))).VersionId);
const get = (more: { SecretId?: string; VersionId?: string; VersionStage?: string } = {}) =>
  client.send(new GetSecretValueCommand({ SecretId: name, ...more }));
const labels = async () => (await client.send(new DescribeSecretCommand({ SecretId: name }))).VersionIdsToStages;
const move = (VersionStage: string, more: { RemoveFromVersionId?: string; MoveToVersionId?: string }) =>
  client.send(new UpdateSecretVersionStageCommand({ SecretId: name, VersionStage, ...more }));

const refused = (type: string, message: string | RegExp = /./) => ({
  name: type,
  message: expect.stringMatching(message),
});

describe('Creating a secret', () => {
  it('gives it an ARN with six random characters and a first version that is AWSCURRENT', async () => {
    const { arn, first } = await startWithSecret();
    expect(arn).toMatch(
      /^arn:aws:secretsmanager:eu-central-1:111122223333:secret:bank\/d1\/access-token-[A-Za-z0-9]{6}$/,
    );
    expect(await get()).toMatchObject({
      ARN: arn,
      Name: name,
      SecretString: 'first',
      VersionId: first,
      VersionStages: ['AWSCURRENT'],
      CreatedDate: new Date(clock.time),
    });
  });

  it('without a value leaves it without versions, and nothing to read', async () => {
    await start();
    const { VersionId } = await client.send(new CreateSecretCommand({ Name: name }));
    expect(VersionId).toBeUndefined();
    expect(await labels()).toEqual({});
    await expect(get()).rejects.toMatchObject(
      refused(
        'ResourceNotFoundException',
        /^Secrets Manager can't find the specified secret value for staging label: AWSCURRENT$/,
      ),
    );
  });

  it('twice is refused, unless it is the same request again', async () => {
    await start();
    const request = { Name: name, SecretString: 'first', ClientRequestToken: randomUUID() };
    const create = (more: object) => client.send(new CreateSecretCommand({ ...request, ...more }));
    const once = await create({});
    expect(await create({})).toMatchObject({ ARN: once.ARN, VersionId: once.VersionId });
    await expect(create({ SecretString: 'other' })).rejects.toMatchObject(refused('ResourceExistsException'));
    await expect(create({ ClientRequestToken: randomUUID() })).rejects.toMatchObject(
      refused('ResourceExistsException'),
    );
  });

  it('under a name with other characters is refused', async () => {
    await start();
    const create = client.send(new CreateSecretCommand({ Name: 'd1 token', SecretString: 'first' }));
    await expect(create).rejects.toMatchObject(refused('ValidationException', /^Invalid name/));
  });
});

describe('A secret is found', () => {
  it('by name, by ARN, and by ARN without the random suffix', async () => {
    const { arn } = await startWithSecret();
    for (const SecretId of [name, arn, arn.slice(0, -7)]) {
      expect(await get({ SecretId })).toMatchObject({ SecretString: 'first' });
    }
  });

  it('by nothing else', async () => {
    const { arn } = await startWithSecret();
    const wrongSuffix = `${arn.slice(0, -6)}AAAAAA`;
    for (const SecretId of [
      'access-token',
      name.toUpperCase(),
      wrongSuffix,
      arn.replace('eu-central-1', 'eu-west-1'),
    ]) {
      await expect(get({ SecretId })).rejects.toMatchObject(
        refused('ResourceNotFoundException', "Secrets Manager can't find the specified secret."),
      );
    }
  });
});

it('An ARN without its suffix does not find a secret whose name ends as a suffix does', async () => {
  await start();
  const { ARN } = await client.send(new CreateSecretCommand({ Name: 'token-abc123', SecretString: 'first' }));
  const SecretId = String(ARN).slice(0, -7);
  await expect(get({ SecretId })).rejects.toMatchObject(refused('ResourceNotFoundException'));
  expect(await get({ SecretId: 'token-abc123' })).toMatchObject({ SecretString: 'first' });
});

describe('Putting a value', () => {
  it('moves AWSCURRENT to the new version, AWSPREVIOUS to the former, and leaves the one before without a label', async () => {
    const { first } = await startWithSecret();
    const second = await put('second');
    const third = await put('third');
    expect(await labels()).toEqual({ [second]: ['AWSPREVIOUS'], [third]: ['AWSCURRENT'] });
    expect(await get({ VersionStage: 'AWSPREVIOUS' })).toMatchObject({ SecretString: 'second' });
    expect(await get({ VersionId: first })).toMatchObject({ SecretString: 'first' });
  });

  it('names the version after the ClientRequestToken; the same put again does nothing', async () => {
    await startWithSecret();
    const ClientRequestToken = randomUUID();
    expect(await put('second', { ClientRequestToken })).toBe(ClientRequestToken);
    const third = await put('third');
    expect(await put('second', { ClientRequestToken })).toBe(ClientRequestToken);
    expect(await get()).toMatchObject({ SecretString: 'third', VersionId: third });
  });

  it('with a used token and another value is refused, and the value stays: one version has one value', async () => {
    await startWithSecret();
    const ClientRequestToken = randomUUID();
    await put('second', { ClientRequestToken });
    await expect(put('other', { ClientRequestToken })).rejects.toMatchObject(refused('ResourceExistsException'));
    expect(await get()).toMatchObject({ SecretString: 'second' });
  });

  it('gives exactly one of two writers that name the same version the win', async () => {
    await startWithSecret();
    const ClientRequestToken = randomUUID();
    const writes = ['one', 'two'].map((value) => put(value, { ClientRequestToken }));
    const outcomes = (await Promise.allSettled(writes)).map(({ status }) => status);
    expect(outcomes.sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('with other labels moves only those; AWSCURRENT stays', async () => {
    const { first } = await startWithSecret();
    const pending = await put('second', { VersionStages: ['AWSPENDING', 'AUDITED'] });
    expect(await labels()).toEqual({ [first]: ['AWSCURRENT'], [pending]: ['AUDITED', 'AWSPENDING'] });
    const next = await put('third', { VersionStages: ['AUDITED'] });
    expect(await labels()).toMatchObject({ [pending]: ['AWSPENDING'], [next]: ['AUDITED'] });
  });

  it('as the first version gets AWSCURRENT whatever labels were asked for', async () => {
    await start();
    await client.send(new CreateSecretCommand({ Name: name }));
    const first = await put('first', { VersionStages: ['AWSPENDING'] });
    expect(await labels()).toEqual({ [first]: ['AWSCURRENT', 'AWSPENDING'] });
  });

  it.each([31, 65])('under a token of %i characters is refused', async (length) => {
    await startWithSecret();
    const write = put('second', { ClientRequestToken: 'x'.repeat(length) });
    await expect(write).rejects.toMatchObject(refused('InvalidParameterException', /ClientRequestToken/));
  });

  it('takes 65,536 bytes, counted in UTF-8, and not one more', async () => {
    await startWithSecret();
    await put('é'.repeat(32_768));
    await expect(put(`${'é'.repeat(32_768)}x`)).rejects.toMatchObject(refused('InvalidParameterException', /65536/));
    expect((await get()).SecretString).toHaveLength(32_768);
  });

  it('takes a string or bytes, not both and not neither', async () => {
    await startWithSecret();
    const write = (fields: object) => client.send(new PutSecretValueCommand({ SecretId: name, ...fields }));
    const SecretBinary = new Uint8Array([0, 255, 1]);
    await write({ SecretBinary });
    expect(await get()).toMatchObject({ SecretBinary });
    await expect(write({})).rejects.toMatchObject(refused('InvalidRequestException'));
    const both = write({ SecretBinary, SecretString: 'second' });
    await expect(both).rejects.toMatchObject(refused('InvalidParameterException'));
  });

  it('never puts the value into the error', async () => {
    await startWithSecret();
    const secret = 'not-for-the-log'.repeat(5_000);
    const error = await put(secret).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'InvalidParameterException' });
    expect(JSON.stringify(error) + String(error)).not.toContain('not-for-the-log');
  });
});

describe('Reading a value', () => {
  it('of a label that no version has, or of an unknown version, is refused', async () => {
    await startWithSecret();
    await expect(get({ VersionStage: 'AWSPREVIOUS' })).rejects.toMatchObject(
      refused('ResourceNotFoundException', /for staging label: AWSPREVIOUS$/),
    );
    const VersionId = randomUUID();
    await expect(get({ VersionId })).rejects.toMatchObject(
      refused('ResourceNotFoundException', new RegExp(`for VersionId: ${VersionId}$`)),
    );
  });

  it('by version and label needs the two to belong together', async () => {
    const { first } = await startWithSecret();
    const second = await put('second');
    expect(await get({ VersionId: second, VersionStage: 'AWSCURRENT' })).toMatchObject({ SecretString: 'second' });
    const mismatch = get({ VersionId: first, VersionStage: 'AWSCURRENT' });
    await expect(mismatch).rejects.toMatchObject(refused('InvalidRequestException', /not associated/));
  });

  it('that is pending can fail for a while after it was put, when the sandbox is told so', async () => {
    await startWithSecret({ pendingReadableAfterReads: 2 });
    const VersionId = await put('second', { VersionStages: ['AWSPENDING'] });
    await expect(get({ VersionStage: 'AWSPENDING' })).rejects.toMatchObject(refused('ResourceNotFoundException'));
    await expect(get({ VersionId })).rejects.toMatchObject(refused('ResourceNotFoundException'));
    expect(await get({ VersionId, VersionStage: 'AWSPENDING' })).toMatchObject({ SecretString: 'second' });
    expect(await get()).toMatchObject({ SecretString: 'first' });
  });
});

describe('Moving a label', () => {
  it('needs the name of the version that has it: two who move AWSCURRENT at once cannot both win', async () => {
    const { first } = await startWithSecret();
    const second = await put('second', { VersionStages: ['ONE'] });
    const third = await put('third', { VersionStages: ['TWO'] });
    await move('AWSCURRENT', { RemoveFromVersionId: first, MoveToVersionId: second });
    const late = move('AWSCURRENT', { RemoveFromVersionId: first, MoveToVersionId: third });
    await expect(late).rejects.toMatchObject(refused('InvalidParameterException'));
    await expect(move('AWSCURRENT', { MoveToVersionId: third })).rejects.toMatchObject(
      refused('InvalidParameterException', `Staging label AWSCURRENT is currently attached to version ${second}`),
    );
    expect(await labels()).toMatchObject({ [first]: ['AWSPREVIOUS'], [second]: ['AWSCURRENT', 'ONE'] });
  });

  it('back is a rollback: AWSPREVIOUS goes to the version that was current', async () => {
    const { first } = await startWithSecret();
    const second = await put('second');
    await move('AWSCURRENT', { RemoveFromVersionId: second, MoveToVersionId: first });
    expect(await labels()).toEqual({ [first]: ['AWSCURRENT'], [second]: ['AWSPREVIOUS'] });
    expect(await get()).toMatchObject({ SecretString: 'first' });
  });

  it('AWSCURRENT to the pending version leaves AWSPENDING there too, as recorded against AWS', async () => {
    const { first } = await startWithSecret();
    const second = await put('second', { VersionStages: ['AWSPENDING'] });
    await move('AWSCURRENT', { RemoveFromVersionId: first, MoveToVersionId: second });
    expect(await labels()).toEqual({ [first]: ['AWSPREVIOUS'], [second]: ['AWSCURRENT', 'AWSPENDING'] });
    const third = await put('third');
    expect(await labels()).toEqual({ [second]: ['AWSPREVIOUS'], [third]: ['AWSCURRENT'] });
  });

  it('off a version takes it away; only AWSCURRENT cannot be taken away', async () => {
    const { first } = await startWithSecret();
    const second = await put('second', { VersionStages: ['AWSPENDING'] });
    await move('AWSPENDING', { RemoveFromVersionId: second });
    expect(await labels()).toEqual({ [first]: ['AWSCURRENT'] });
    const again = move('AWSPENDING', { RemoveFromVersionId: second });
    await expect(again).rejects.toMatchObject(refused('InvalidParameterException'));
    const current = move('AWSCURRENT', { RemoveFromVersionId: first });
    await expect(current).rejects.toMatchObject(refused('InvalidParameterException'));
  });

  it('that is free needs no RemoveFromVersionId, and a version that does not exist gets none', async () => {
    const { first } = await startWithSecret();
    await move('AUDITED', { MoveToVersionId: first });
    expect(await labels()).toEqual({ [first]: ['AUDITED', 'AWSCURRENT'] });
    const nowhere = move('AUDITED', { MoveToVersionId: randomUUID(), RemoveFromVersionId: first });
    await expect(nowhere).rejects.toMatchObject(refused('ResourceNotFoundException'));
    await expect(move('AUDITED', {})).rejects.toMatchObject(refused('InvalidParameterException'));
  });
});

describe('The versions of a secret', () => {
  const listed = async (IncludeDeprecated: boolean) => {
    const list = new ListSecretVersionIdsCommand({ SecretId: name, IncludeDeprecated });
    return (await client.send(list)).Versions ?? [];
  };

  it('are listed with their labels; those without only on request', async () => {
    const { first } = await startWithSecret();
    const second = await put('second');
    const third = await put('third');
    const ids = async (deprecated: boolean) => (await listed(deprecated)).map(({ VersionId }) => VersionId);
    expect(await ids(false)).toEqual([second, third]);
    expect(await ids(true)).toEqual([first, second, third]);
    expect((await listed(true))[0]?.VersionStages).toBeUndefined();
  });

  it('fill the quota within a day: the next put fails, and an idempotent repeat does not', async () => {
    await startWithSecret({ versionQuota: 3 });
    await put('second');
    const ClientRequestToken = randomUUID();
    await put('third', { ClientRequestToken });
    clock.time += day;
    await expect(put('fourth')).rejects.toMatchObject(refused('LimitExceededException'));
    await expect(put('third', { ClientRequestToken })).resolves.toBe(ClientRequestToken);
    expect(await get()).toMatchObject({ SecretString: 'third' });
  });

  it('make room when they are older than 24 hours and have no label', async () => {
    const { first } = await startWithSecret({ versionQuota: 3 });
    const second = await put('second');
    const third = await put('third');
    clock.time += day + 1;
    const fourth = await put('fourth');
    expect((await listed(true)).map(({ VersionId }) => VersionId)).toEqual([second, third, fourth]);
    await expect(get({ VersionId: first })).rejects.toMatchObject(refused('ResourceNotFoundException'));
  });

  it('stay however old they are while they have a label', async () => {
    const { first } = await startWithSecret({ versionQuota: 3 });
    await move('AUDITED', { MoveToVersionId: first });
    await put('second');
    await put('third');
    clock.time += 2 * day;
    await expect(put('fourth')).rejects.toMatchObject(refused('LimitExceededException'));
    expect(await get({ VersionStage: 'AUDITED' })).toMatchObject({ SecretString: 'first' });
  });

  it('have no quota when the sandbox is told so, but old ones beyond 100 go all the same', async () => {
    await startWithSecret({ versionQuota: 'none' });
    for (let count = 1; count < 120; count += 1) await put(`value ${count}`);
    expect(await listed(true)).toHaveLength(120);
    clock.time += day + 1;
    await put('the day after');
    expect(await listed(true)).toHaveLength(100);
  });
});

describe('Deleting a secret', () => {
  const remove = (more: object = {}) => client.send(new DeleteSecretCommand({ SecretId: name, ...more }));
  const describeSecret = () => client.send(new DescribeSecretCommand({ SecretId: name }));
  const marked = refused('InvalidRequestException', /because it was marked for deletion\.$/);

  it('closes it at once, and RestoreSecret opens it again', async () => {
    await startWithSecret();
    const { DeletionDate } = await remove({ RecoveryWindowInDays: 7 });
    expect(DeletionDate).toEqual(new Date(clock.time + 7 * day));
    await expect(get()).rejects.toMatchObject(marked);
    await expect(put('second')).rejects.toMatchObject(marked);
    await expect(remove()).rejects.toMatchObject(marked);
    const rotate = new RotateSecretCommand({ SecretId: name, RotationLambdaARN: lambdaArn });
    await expect(client.send(rotate)).rejects.toMatchObject(marked);
    const again = client.send(new CreateSecretCommand({ Name: name, SecretString: 'first' }));
    await expect(again).rejects.toMatchObject(refused('InvalidRequestException', /already scheduled for deletion/));
    expect((await describeSecret()).DeletedDate).toEqual(new Date(clock.time));
    await client.send(new RestoreSecretCommand({ SecretId: name }));
    expect(await get()).toMatchObject({ SecretString: 'first' });
    expect((await describeSecret()).DeletedDate).toBeUndefined();
  });

  it('is final when the recovery window is over: 30 days unless told', async () => {
    await startWithSecret();
    await remove();
    clock.time += 30 * day - 1;
    await expect(describeSecret()).resolves.toMatchObject({ Name: name });
    clock.time += 1;
    await expect(describeSecret()).rejects.toMatchObject(refused('ResourceNotFoundException'));
  });

  it('by force is final at once, and is no error when there is nothing to delete', async () => {
    const { arn } = await startWithSecret();
    await remove({ ForceDeleteWithoutRecovery: true });
    await expect(get()).rejects.toMatchObject(refused('ResourceNotFoundException'));
    await expect(remove({ ForceDeleteWithoutRecovery: true })).resolves.toMatchObject({ Name: name });
    const { ARN } = await client.send(new CreateSecretCommand({ Name: name, SecretString: 'first' }));
    expect(ARN).not.toBe(arn);
  });

  it.each([
    { RecoveryWindowInDays: 6 },
    { RecoveryWindowInDays: 31 },
    { RecoveryWindowInDays: 7, ForceDeleteWithoutRecovery: true },
  ])('with %o is refused', async (more) => {
    await startWithSecret();
    await expect(remove(more)).rejects.toMatchObject(refused('InvalidParameterException'));
  });
});

describe('Rotation', () => {
  const rotate = (more: object = {}) =>
    client.send(new RotateSecretCommand({ SecretId: name, RotationLambdaARN: lambdaArn, ...more }));

  /** A rotation function like the AWS template's: the new value under AWSPENDING, then AWSCURRENT to it. */
  const rotateTo =
    (value: string, seen: string[] = []): RotationFunction =>
    async ({ Step, SecretId, ClientRequestToken }) => {
      seen.push(Step);
      if (Step === 'createSecret') {
        await client.send(
          new PutSecretValueCommand({
            SecretId,
            ClientRequestToken,
            SecretString: value,
            VersionStages: ['AWSPENDING'],
          }),
        );
      }
      if (Step === 'finishSecret') {
        const { VersionId } = await get();
        const RemoveFromVersionId = String(VersionId);
        await move('AWSCURRENT', { RemoveFromVersionId, MoveToVersionId: ClientRequestToken });
        seen.push(...((await labels())?.[ClientRequestToken] ?? []));
      }
    };

  it('first names the new version, which has AWSPENDING and no value, and then has it filled', async () => {
    const { first } = await startWithSecret();
    const ClientRequestToken = randomUUID();
    expect(await rotate({ ClientRequestToken })).toMatchObject({ VersionId: ClientRequestToken });
    expect(await labels()).toEqual({ [first]: ['AWSCURRENT'], [ClientRequestToken]: ['AWSPENDING'] });
    const read = () => get({ VersionId: ClientRequestToken, VersionStage: 'AWSPENDING' });
    await expect(read()).rejects.toMatchObject(refused('ResourceNotFoundException'));
    await put('second', { ClientRequestToken, VersionStages: ['AWSPENDING'] });
    expect(await read()).toMatchObject({ SecretString: 'second' });
    const other = put('third', { ClientRequestToken, VersionStages: ['AWSPENDING'] });
    await expect(other).rejects.toMatchObject(refused('ResourceExistsException'));
  });

  it('shows in DescribeSecret only once it was set up', async () => {
    await startWithSecret();
    const describeSecret = () => client.send(new DescribeSecretCommand({ SecretId: name }));
    expect((await describeSecret()).RotationEnabled).toBeUndefined();
    await rotate({ RotationRules: { AutomaticallyAfterDays: 1 } });
    expect(await describeSecret()).toMatchObject({
      RotationEnabled: true,
      RotationLambdaARN: lambdaArn,
      RotationRules: { AutomaticallyAfterDays: 1 },
    });
  });

  it('runs four steps, and the service clears AWSPENDING when they are done', async () => {
    const seen: string[] = [];
    const { first } = await startWithSecret({ rotationFunction: rotateTo('second', seen) });
    const second = String((await rotate()).VersionId);
    expect(await service.rotationSettled()).toBe('succeeded');
    const steps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'];
    expect(seen).toEqual([...steps, 'AWSCURRENT', 'AWSPENDING']);
    expect(await labels()).toEqual({ [first]: ['AWSPREVIOUS'], [second]: ['AWSCURRENT'] });
    expect((await client.send(new DescribeSecretCommand({ SecretId: name }))).LastRotatedDate).toBeDefined();
  });

  it('can take AWSPENDING away in the call that moves AWSCURRENT, as the User Guide has it', async () => {
    const seen: string[] = [];
    await startWithSecret({ rotationFunction: rotateTo('second', seen), finishRemovesPending: true });
    await rotate();
    expect(await service.rotationSettled()).toBe('succeeded');
    expect(seen.slice(4)).toEqual(['AWSCURRENT']);
  });

  it('that failed leaves AWSPENDING behind: the next one is refused, the same one is taken up again', async () => {
    let isBroken = true;
    const succeed = rotateTo('second');
    const rotationFunction: RotationFunction = async (event) => {
      if (isBroken && event.Step === 'testSecret') throw new Error('the new token is refused');
      await succeed(event);
    };
    const { first } = await startWithSecret({ rotationFunction });
    const ClientRequestToken = randomUUID();
    await rotate({ ClientRequestToken });
    expect(await service.rotationSettled()).toBe('failed');
    expect(await labels()).toEqual({ [first]: ['AWSCURRENT'], [ClientRequestToken]: ['AWSPENDING'] });
    await expect(rotate()).rejects.toMatchObject(
      refused('InvalidRequestException', /^A previous rotation isn't complete/),
    );
    isBroken = false;
    await rotate({ ClientRequestToken });
    expect(await service.rotationSettled()).toBe('succeeded');
    expect(await get()).toMatchObject({ SecretString: 'second', VersionId: ClientRequestToken });
  });

  it('that failed is done again from its first step, after a while, until it succeeds', async () => {
    const seen: string[] = [];
    const waits: number[] = [];
    let failures = 2;
    const succeed = rotateTo('second', seen);
    await startWithSecret({
      rotationRetryDelays: [10, 20, 40],
      sleep: async (milliseconds) => void waits.push(milliseconds),
      rotationFunction: async (event) => {
        if (event.Step === 'createSecret') seen.push('|');
        if (event.Step === 'setSecret' && failures > 0) {
          failures -= 1;
          throw new Error('not now');
        }
        await succeed(event);
      },
    });
    const { VersionId } = await rotate();
    expect(await service.rotationSettled()).toBe('succeeded');
    expect(waits).toEqual([10, 20]);
    expect(seen.join(' ')).toMatch(
      /^\| createSecret \| createSecret \| createSecret setSecret testSecret finishSecret/,
    );
    expect(await get()).toMatchObject({ SecretString: 'second', VersionId });
  });

  it('that goes on failing is given up in the end', async () => {
    let tries = 0;
    await startWithSecret({
      rotationRetryDelays: [10, 20],
      sleep: async () => {},
      rotationFunction: async () => {
        tries += 1;
        throw new Error('never');
      },
    });
    await rotate();
    expect(await service.rotationSettled()).toBe('failed');
    expect(tries).toBe(3);
  });

  it('calls the function that it names, and refuses one that there is not', async () => {
    const seen: string[] = [];
    const rotateSecret: LambdaFunction = async (event) => rotateTo('second', seen)(event as RotationEvent);
    const place = { region: 'eu-central-1', accountId: '111122223333' };
    const { first } = await startWithSecret({ lambda: new Lambda({ ...place, functions: { broker: rotateSecret } }) });
    await expect(rotate({ RotationLambdaARN: `${lambdaArn}-other` })).rejects.toMatchObject(
      refused('AccessDeniedException', /^Secrets Manager cannot invoke the specified Lambda function/),
    );
    expect(await labels()).toEqual({ [first]: ['AWSCURRENT'] });
    await rotate();
    expect(await service.rotationSettled()).toBe('succeeded');
    expect(seen).toContain('finishSecret');
  });

  it('that never moved AWSCURRENT has failed', async () => {
    await startWithSecret({ rotationFunction: async () => undefined });
    await rotate();
    expect(await service.rotationSettled()).toBe('failed');
  });

  it('set up without rotating runs testSecret alone, on a pending version without a value', async () => {
    const seen: unknown[] = [];
    const rotationFunction: RotationFunction = async ({ Step, ClientRequestToken }) => {
      const value = get({ VersionId: ClientRequestToken });
      await expect(value).rejects.toMatchObject(refused('ResourceNotFoundException'));
      seen.push(Step, (await labels())?.[ClientRequestToken]);
    };
    const { first } = await startWithSecret({ rotationFunction });
    expect((await rotate({ RotateImmediately: false })).VersionId).toBeUndefined();
    expect(await service.rotationSettled()).toBe('succeeded');
    expect(seen).toEqual(['testSecret', ['AWSPENDING']]);
    expect(await labels()).toEqual({ [first]: ['AWSCURRENT'] });
  });

  it('without a function to call is refused', async () => {
    await startWithSecret();
    const rotation = client.send(new RotateSecretCommand({ SecretId: name }));
    await expect(rotation).rejects.toMatchObject(
      refused('InvalidRequestException', 'No Lambda rotation function ARN is associated with this secret.'),
    );
  });
});

describe('ListSecrets', () => {
  const list = (input: ListSecretsCommandInput = {}) => client.send(new ListSecretsCommand(input));
  const names = async (input: ListSecretsCommandInput = {}) => (await list(input)).SecretList?.map(({ Name }) => Name);

  /** Three secrets, a second apart; all with a value. */
  async function startWithThree() {
    await start();
    const texts = { 'd1/access-token': 'The token of D1', 'd1/clientCertificate': 'Mutual TLS', other: undefined };
    for (const [Name, Description] of Object.entries(texts)) {
      clock.time += 1_000;
      await client.send(new CreateSecretCommand({ Name, SecretString: 'value', ...(Description && { Description }) }));
    }
  }

  it('tells what DescribeSecret tells, and no value', async () => {
    const { arn, first } = await startWithSecret();
    const { SecretList, NextToken } = await list();
    expect(SecretList).toEqual([
      {
        ARN: arn,
        Name: name,
        CreatedDate: new Date(clock.time),
        LastChangedDate: new Date(clock.time),
        SecretVersionsToStages: { [first]: ['AWSCURRENT'] },
      },
    ]);
    expect(NextToken).toBeUndefined();
  });

  it('gives a page at a time, and a token for the next one while there is one', async () => {
    await startWithThree();
    const first = await list({ MaxResults: 2 });
    const second = await list({ MaxResults: 2, NextToken: first.NextToken });
    expect([first, second].map(({ SecretList }) => SecretList?.map(({ Name }) => Name))).toEqual([
      ['d1/access-token', 'd1/clientCertificate'],
      ['other'],
    ]);
    expect(second.NextToken).toBeUndefined();
    const sizes: (number | undefined)[] = [];
    for await (const page of paginateListSecrets({ client, pageSize: 1 }, {})) sizes.push(page.SecretList?.length);
    expect(sizes).toEqual([1, 1, 1]);
  });

  it.each(['nonsense', Buffer.from('position:99').toString('base64'), ''])(
    'refuses the token "%s"',
    async (NextToken) => {
      await startWithThree();
      const type = NextToken === '' ? 'InvalidParameterException' : 'InvalidNextTokenException';
      await expect(list({ NextToken })).rejects.toMatchObject(refused(type));
    },
  );

  it.each<[Filter[], string[]]>([
    [[{ Key: 'name', Values: ['d1/'] }], ['d1/access-token', 'd1/clientCertificate']],
    [[{ Key: 'name', Values: ['D1/'] }], []],
    [[{ Key: 'name', Values: ['!d1/'] }], ['other']],
    [[{ Key: 'name', Values: ['other', 'd1/a'] }], ['d1/access-token', 'other']],
    [[{ Key: 'description', Values: ['mutual'] }], ['d1/clientCertificate']],
    [[{ Key: 'all', Values: ['certificate'] }], ['d1/clientCertificate']],
    [[{ Key: 'all', Values: ['My_Token'] }], ['d1/access-token']],
    [[{ Key: 'tag-key', Values: ['team'] }], []],
    [
      [
        { Key: 'name', Values: ['d1/'] },
        { Key: 'all', Values: ['tls'] },
      ],
      ['d1/clientCertificate'],
    ],
  ])('with the filters %j gives %j', async (Filters, expected) => {
    await startWithThree();
    expect(await names({ Filters })).toEqual(expected);
  });

  it('sorts by creation, change or name', async () => {
    await startWithThree();
    await client.send(new PutSecretValueCommand({ SecretId: 'd1/access-token', SecretString: 'later' }));
    expect(await names({ SortOrder: 'desc' })).toEqual(['other', 'd1/clientCertificate', 'd1/access-token']);
    clock.time += 1_000;
    await client.send(new PutSecretValueCommand({ SecretId: 'd1/clientCertificate', SecretString: 'later' }));
    expect((await names({ SortBy: 'last-changed-date', SortOrder: 'desc' }))?.[0]).toBe('d1/clientCertificate');
    expect((await names({ SortBy: 'name', SortOrder: 'desc' }))?.[0]).toBe('other');
  });

  it('leaves out what is marked for deletion, unless it is asked for', async () => {
    await startWithThree();
    await client.send(new DeleteSecretCommand({ SecretId: 'other' }));
    expect(await names()).toEqual(['d1/access-token', 'd1/clientCertificate']);
    const { SecretList } = await list({ IncludePlannedDeletion: true, Filters: [{ Key: 'name', Values: ['other'] }] });
    expect(SecretList?.[0]?.DeletedDate).toEqual(new Date(clock.time));
  });

  it('refuses a filter without a key, and more than 100 a page', async () => {
    await startWithThree();
    await expect(list({ Filters: [{ Values: ['x'] }] })).rejects.toMatchObject(refused('InvalidParameterException'));
    await expect(list({ MaxResults: 101 })).rejects.toMatchObject(refused('InvalidParameterException'));
  });
});
