import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { createPace } from '../../src/cli/issuer/pace.ts';
import { STAGE } from './operated-bank.ts';
import { type OperatedFleet, openOperatedFleet } from './operated-fleet.ts';

const schema = JSON.parse(readFileSync(new URL('../../src/cli/d1-token.schema.json', import.meta.url), 'utf8'));
const validate = new Ajv2020({ strict: false }).compile(schema);

const one = ({ sandbox }: OperatedFleet, issuerId = 'ISSUER1001') => ({
  issuer_id: issuerId,
  key_id: `kid-${issuerId}`,
  environment: sandbox.d1.baseUrl,
  audience: 'https://api.d1.thalescloud.io',
});

const many = (fleet: OperatedFleet, count: number) =>
  Array.from({ length: count }, (_, place) => one(fleet, `ISSUER${1001 + place}`));

const add = (fleet: OperatedFleet, list: unknown, ...more: string[]) =>
  fleet.json('issuer add', '--file', fleet.file(list), ...more);

/** What one new issuer costs in calls. */
const callsFor = (count: number) => ({
  'dynamodb.PutItem': count,
  'kms.CreateAlias': count,
  'kms.CreateKey': count,
  'lambda.CreateAlias': count,
  'secretsmanager.CreateSecret': 2 * count,
});

describe('d1-token issuer add', () => {
  it('makes what one issuer needs, its entry in the index last; given again it does nothing', async () => {
    const fleet = await openOperatedFleet();
    const inputs = ['issuer', 'add', '--stage', STAGE, '--issuer-id', 'ISSUER1001', '--key-id', 'bank-2026'];
    const { code, stdout, stderr } = await fleet.run([...inputs, '--environment', 'staging', '--owner', 'BANK']);
    expect([code, stdout]).toEqual([0, expect.stringContaining('1 added, 0 changed')]);
    expect(stderr).toContain(`Account 000000000000, Region eu-west-1, stage ${STAGE}, issuer ISSUER1001.`);
    expect((await fleet.index.find('ISSUER1001'))?.fields).toEqual({
      issuer_id: 'ISSUER1001',
      key_id: 'bank-2026',
      environment: 'staging',
      owner: 'BANK',
      signing_key_id: `alias/d1-token-fleet-${STAGE}/ISSUER1001`,
      token_secret_id: 'd1/ISSUER1001/access-token',
      client_certificate_secret_id: 'd1/ISSUER1001/client-certificate',
    });
    const made = fleet.sandbox.calls.all().filter(({ operation }) => /^(Create|Put)/.test(operation));
    expect(made.at(-1)).toMatchObject({ service: 'dynamodb', operation: 'PutItem' });
    expect(fleet.changes()).toEqual(callsFor(1));

    const again = await fleet.run([...inputs, '--environment', 'staging', '--owner', 'BANK']);
    expect([again.code, again.stdout]).toEqual([0, 'Nothing to do: 1 as wanted.\n']);
    expect(fleet.changes()).toEqual(callsFor(1));
  });

  it('in a dry run shows what would be made, and makes nothing', async () => {
    const fleet = await openOperatedFleet();
    const document = await add(fleet, many(fleet, 2), '--dry-run');
    expect(document).toMatchObject({ exit_code: 0, dry_run: true, facts: { added: 2 } });
    expect(document.facts['issuers']).toContainEqual({
      issuer_id: 'ISSUER1002',
      makes: ['signing_key', 'token_secret', 'client_certificate_secret', 'alias', 'index'],
      changes: [],
    });
    expect(fleet.changes()).toEqual({});
  });

  it('checks a list whole: with one that is wrong none is made, and each fault has its issuer and field', async () => {
    const fleet = await openOperatedFleet();
    const list = many(fleet, 12).map((fields, place) => (place === 5 ? { ...fields, environment: 'nowhere' } : fields));
    const document = await add(fleet, [...list, { ...one(fleet), kid: 'x' }, { ...one(fleet, 'LAST'), key_id: '' }]);
    expect(document).toMatchObject({ exit_code: 2, error: { code: 'CONFIG_INVALID' } });
    expect(document.error?.what).toMatch(/Issuer ISSUER1006: .*field environment is "nowhere"/);
    expect(document.error?.what).toMatch(/Issuer ISSUER1001: .*field kid is not a field of an issuer/);
    expect(document.error?.what).toMatch(/Issuer LAST: .*field key_id is missing/);
    expect(fleet.changes()).toEqual({});
  });

  it.each([
    ['no JSON', '[{'],
    ['no list', { issuer_id: 'ISSUER1001' }],
    ['an empty list', []],
    ['something else than an object', ['ISSUER1001']],
    ['a number for a text', [{ issuer_id: 'ISSUER1001', key_id: 1 }]],
  ])('refuses a file with %s', async (_what, content) => {
    const fleet = await openOperatedFleet();
    expect(await add(fleet, content)).toMatchObject({ exit_code: 2, error: { code: 'USAGE' } });
  });

  it('goes on where it broke off: nothing is made twice, and nothing was live before it was complete', async () => {
    const fleet = await openOperatedFleet();
    const list = many(fleet, 4);
    fleet.failFrom = { call: 'secretsmanager.CreateSecret', nth: 4 };
    const broken = await add(fleet, list);
    expect(broken).toMatchObject({ exit_code: 4, error: { code: 'NO_PERMISSION' } });
    expect(broken.error?.what).toMatch(/^Issuer ISSUER\d+: .* \d of 4 are done\.$/);
    expect(broken.error?.remedy).toMatch(/Then give the command again/);
    for (const { issuerId } of await fleet.index.candidates()) {
      expect((await fleet.json('issuer check', issuerId)).checks).toContainEqual(
        expect.objectContaining({ check: 'client_certificate_secret', outcome: 'ok' }),
      );
    }

    fleet.failFrom = undefined;
    expect(await add(fleet, list)).toMatchObject({ exit_code: 0 });
    expect(fleet.changes()).toEqual(callsFor(4));
    expect(await fleet.index.candidates()).toHaveLength(4);
    expect(await add(fleet, list)).toMatchObject({ exit_code: 0, facts: { unchanged: 4 } });
  });

  it('tells of a key that it could not give a name, and how the next run finds it', async () => {
    const fleet = await openOperatedFleet();
    fleet.failFrom = { call: 'kms.CreateAlias', nth: 1 };
    const broken = await add(fleet, [one(fleet)]);
    const [, AliasName, TargetKeyId] =
      /aws kms create-alias --alias-name (\S+) --target-key-id (\S+)/.exec(broken.error?.remedy ?? '') ?? [];
    expect(broken.exit_code).toBe(4);
    await fleet.sandbox.kms.handle('CreateAlias', { AliasName, TargetKeyId });
    fleet.failFrom = undefined;
    expect(await add(fleet, [one(fleet)])).toMatchObject({ exit_code: 0 });
    expect(fleet.changes()['kms.CreateKey']).toBe(1);
  });

  it('changes a field that differs, and what was known of its tries is forgotten', async () => {
    const fleet = await openOperatedFleet();
    await add(fleet, many(fleet, 2));
    await fleet.keep('ISSUER1001', { failures: 4, failedWith: 'TOKEN_ENDPOINT_REJECTED' });
    const changed = [{ ...one(fleet), key_id: 'kid-2027' }, one(fleet, 'ISSUER1002')];
    const dry = await add(fleet, changed, '--dry-run');
    expect(dry.facts['issuers']).toEqual([
      { issuer_id: 'ISSUER1001', makes: ['index'], changes: ['key_id: kid-ISSUER1001 → kid-2027'] },
    ]);
    expect((await fleet.index.find('ISSUER1001'))?.fields['key_id']).toBe('kid-ISSUER1001');
    expect(await add(fleet, changed)).toMatchObject({ exit_code: 0, facts: { added: 0, changed: 1, unchanged: 1 } });
    const entry = await fleet.index.find('ISSUER1001');
    expect(entry).toMatchObject({ fields: { key_id: 'kid-2027' }, state: { failures: 0, triedAt: 0 } });
    expect(fleet.changes()).toEqual({ ...callsFor(2), 'dynamodb.PutItem': 3, 'dynamodb.UpdateItem': 1 });
  });

  it('takes a key that many share, if the functions may sign with it', async () => {
    const fleet = await openOperatedFleet();
    const { KeyMetadata } = (await fleet.sandbox.kms.handle('CreateKey', {
      KeySpec: 'ECC_NIST_P256',
      KeyUsage: 'SIGN_VERIFY',
    })) as { KeyMetadata: { Arn: string } };
    const list = many(fleet, 2).map((fields) => ({ ...fields, signing_key_id: KeyMetadata.Arn }));
    const untagged = await add(fleet, list);
    expect(untagged).toMatchObject({ exit_code: 1, error: { code: 'ISSUER_UNSUITABLE' } });
    expect(untagged.error?.what).toContain(`has no tag d1-token-broker=${STAGE}`);
    expect(fleet.changes()).toEqual({});

    await fleet.sandbox.kms.handle('TagResource', {
      KeyId: KeyMetadata.Arn,
      Tags: [{ TagKey: 'd1-token-broker', TagValue: STAGE }],
    });
    expect(await add(fleet, list)).toMatchObject({ exit_code: 0 });
    expect(fleet.changes()).not.toHaveProperty('kms.CreateKey');
    expect((await fleet.index.find('ISSUER1002'))?.fields['signing_key_id']).toBe(KeyMetadata.Arn);
  });

  it.each([
    ['a key that is not there', { signing_key_id: 'alias/nobody' }, 1, 'ISSUER_UNSUITABLE'],
    ['a secret that the functions may not use', { token_secret_id: 'other/access-token' }, 2, 'CONFIG_INVALID'],
  ])('refuses %s', async (_what, wrong, exit_code, code) => {
    const fleet = await openOperatedFleet();
    expect(await add(fleet, [{ ...one(fleet), ...wrong }])).toMatchObject({ exit_code, error: { code } });
    expect(fleet.changes()).toEqual({});
  });

  it('on production wants to be confirmed: one by its id, several by the stage', async () => {
    const fleet = await openOperatedFleet();
    const list = many(fleet, 2).map((fields) => ({ ...fields, environment: 'production' }));
    expect(await add(fleet, list)).toMatchObject({ exit_code: 2, error: { code: 'USAGE' } });
    expect(await add(fleet, list, '--confirm', 'ISSUER1001')).toMatchObject({ exit_code: 2 });
    expect(await add(fleet, list.slice(0, 1), '--confirm', STAGE)).toMatchObject({ exit_code: 2 });
    expect(fleet.changes()).toEqual({});
    expect(await add(fleet, list.slice(0, 1), '--confirm', 'ISSUER1001')).toMatchObject({ exit_code: 0 });
    expect(await add(fleet, list, '--confirm', STAGE)).toMatchObject({ exit_code: 0 });
  });

  it('makes four keys a second, and no more: AWS makes five', async () => {
    let now = 0;
    const turns: number[] = [];
    const pace = createPace(4, {
      now: () => now,
      sleep: async (milliseconds) => {
        now += milliseconds;
      },
    });
    for (let turn = 0; turn < 1_000; turn += 1) {
      await pace();
      turns.push(now);
    }
    for (let turn = 4; turn < turns.length; turn += 1) {
      expect((turns[turn] ?? 0) - (turns[turn - 4] ?? 0)).toBeGreaterThanOrEqual(1_000);
    }
    expect(turns.at(-1)).toBeLessThanOrEqual(250_000);
  });
});

describe('d1-token issuer list and status', () => {
  it('show the worst first', async () => {
    const fleet = await openOperatedFleet();
    await add(fleet, many(fleet, 3));
    const now = Math.floor(Date.now() / 1000);
    await fleet.keep('ISSUER1001', { expiresAt: now + 800 });
    await fleet.keep('ISSUER1002', { expiresAt: now + 700, failures: 1, failedWith: 'TOKEN_ENDPOINT_REJECTED' });
    await fleet.keep('ISSUER1003', { expiresAt: now + 60, failures: 9, failedWith: 'SIGNING_FAILED' });
    const list = await fleet.json('issuer list', '--worst', '2');
    expect(list).toMatchObject({
      exit_code: 0,
      facts: {
        count: 3,
        issuers: [
          { issuer_id: 'ISSUER1003', owner: 'ISSUER1003', failures: 9, failed_with: 'SIGNING_FAILED' },
          { issuer_id: 'ISSUER1002', failures: 1 },
        ],
      },
    });
    const text = await fleet.run(['issuer', 'list', '--stage', STAGE]);
    expect(text.stdout).toMatch(/ISSUER1003 .*\n.*ISSUER1002 .*\n.*ISSUER1001 .*\n3, the worst first\./);

    expect(await fleet.json('status')).toMatchObject({
      exit_code: 1,
      facts: { issuers: 3, pressing: 1, failing: { SIGNING_FAILED: 1, TOKEN_ENDPOINT_REJECTED: 1 } },
    });
    await fleet.keep('ISSUER1003', { expiresAt: now + 800, failures: 0, failedWith: undefined });
    expect(await fleet.json('status')).toMatchObject({ exit_code: 3, facts: { pressing: 0 } });
    const { stdout } = await fleet.run(['status', '--stage', STAGE]);
    expect(stdout).toMatch(/3 issuers, stage sandbox[\s\S]*Failing {6}1 with TOKEN_ENDPOINT_REJECTED\n {2}ISSUER1002/);
  });

  it('say so where there is no stack', async () => {
    const fleet = await openOperatedFleet();
    const { stdout } = await fleet.run(['issuer', 'list', '--stage', 'elsewhere', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ exit_code: 1, error: { code: 'STACK_MISSING' } });
  });
});

describe('d1-token issuer check', () => {
  const found = async (fleet: OperatedFleet, issuerId = 'ISSUER1001') => {
    const document = await fleet.json('issuer check', issuerId);
    const bad = document.checks.filter(({ outcome }) => outcome !== 'ok' && outcome !== 'not_checked');
    return { code: document.exit_code, bad: bad.map(({ check, error_code }) => `${check} ${error_code}`) };
  };

  it('tells what is missing, until all is there', async () => {
    const fleet = await openOperatedFleet();
    expect((await found(fleet)).bad).toContain('index NO_SUCH_ISSUER');
    await add(fleet, [one(fleet)]);
    const empty = await found(fleet);
    expect(empty.code).toBe(1);
    expect(empty.bad).toContain('check.client_certificate CLIENT_CERTIFICATE_UNAVAILABLE');

    await fleet.onboard('ISSUER1001');
    expect(await found(fleet)).toEqual({ code: 3, bad: ['state NOT_TRIED_YET'] });
    await fleet.keep('ISSUER1001', { expiresAt: Math.floor(Date.now() / 1000) + 800 });
    expect(await found(fleet)).toEqual({ code: 0, bad: [] });
    const { stdout } = await fleet.run(['issuer', 'check', '--stage', STAGE, 'ISSUER1001']);
    expect(stdout).toMatch(/✓ The function can use the client certificate, for \d+ days more/);
  });

  it('tells of a certificate that ends soon, and of a key that is disabled', async () => {
    const fleet = await openOperatedFleet();
    await add(fleet, [one(fleet)]);
    await fleet.onboard('ISSUER1001', { notAfter: new Date(Date.now() + 5 * 86_400_000) });
    await fleet.keep('ISSUER1001', { expiresAt: Math.floor(Date.now() / 1000) + 800 });
    expect(await found(fleet)).toEqual({ code: 3, bad: ['check.client_certificate CERTIFICATE_EXPIRES_SOON'] });

    const alias = `alias/d1-token-fleet-${STAGE}/ISSUER1001`;
    const { KeyMetadata } = await fleet.sandbox.kms.handle('DescribeKey', { KeyId: alias });
    await fleet.sandbox.kms.handle('DisableKey', { KeyId: (KeyMetadata as { KeyId: string }).KeyId });
    expect((await found(fleet)).bad).toContain('signing_key SIGNING_FAILED');
  });
});

describe('d1-token issuer remove', () => {
  it('takes the entry and the alias, keeps key and secrets, and an issuer that comes back finds them', async () => {
    const fleet = await openOperatedFleet();
    await add(fleet, many(fleet, 2));
    const dry = await fleet.json('issuer remove', 'ISSUER1001', '--dry-run');
    expect(dry).toMatchObject({ exit_code: 0, dry_run: true, facts: { removes: ['index', 'alias'] } });
    expect(await fleet.index.candidates()).toHaveLength(2);

    const { code, stdout } = await fleet.run(['issuer', 'remove', '--stage', STAGE, 'ISSUER1001']);
    expect(code).toBe(0);
    expect(stdout).toContain('Kept: d1/ISSUER1001/access-token');
    expect((await fleet.index.candidates()).map(({ issuerId }) => issuerId)).toEqual(['ISSUER1002']);
    expect(await fleet.json('issuer remove', 'ISSUER1001')).toMatchObject({ exit_code: 0, facts: { removes: [] } });

    const back = await add(fleet, [one(fleet)]);
    expect(back.facts['issuers']).toEqual([{ issuer_id: 'ISSUER1001', makes: ['alias', 'index'], changes: [] }]);
  });
});

it('Each of them prints one document as the schema says, and nothing secret', async () => {
  const fleet = await openOperatedFleet();
  await add(fleet, [one(fleet)]);
  await fleet.onboard('ISSUER1001');
  for (const [command, ...inputs] of [
    ['issuer add', '--file', fleet.file([one(fleet)])],
    ['issuer list'],
    ['issuer check', 'ISSUER1001'],
    ['status'],
    ['issuer remove', 'ISSUER1001'],
  ] as const) {
    const document = await fleet.json(command, ...inputs);
    expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
    expect(document.command).toBe(command);
    expect(JSON.stringify(document)).not.toMatch(/eyJ[\w-]+\.[\w-]+|PRIVATE KEY/);
  }
});
