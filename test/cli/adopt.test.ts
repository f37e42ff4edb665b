import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CLIENT_CERTIFICATE_SECRET, ISSUER_ID, KEY_ID, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { openOperatedBank, STAGE } from './operated-bank.ts';

/** A bank whose stack was removed: keys and secrets stay, the alias goes. */
async function openRemovedBank(parameters = '', environment = 'staging') {
  const folder = mkdtempSync(join(tmpdir(), 'd1-token-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'infra'));
  const stage = [
    'default:',
    '  activeSigningKey: current',
    '  nextKeyId: none',
    `${STAGE}:`,
    `  environment: ${environment}`,
    `  issuerId: ${ISSUER_ID}`,
    `  keyId: ${KEY_ID}`,
    `  tokenSecretName: ${TOKEN_SECRET}`,
    `  clientCertificateSecretName: ${CLIENT_CERTIFICATE_SECRET}`,
    parameters,
  ];
  writeFileSync(join(folder, 'infra', 'params.yml'), `${stage.join('\n')}\n`);
  const bank = await openOperatedBank({ folder });
  await bank.tick();
  const { sandbox } = bank;
  const { kms, secretsManager, deployment, signingKeyId } = sandbox;
  deployment.exists = false;
  await secretsManager.handle('PutResourcePolicy', {
    SecretId: CLIENT_CERTIFICATE_SECRET,
    ResourcePolicy: JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Sid: 'OnlyReadersRead', Effect: 'Deny', Principal: '*' }],
    }),
  });
  const arnOf = async (SecretId: string) =>
    String((await secretsManager.handle('DescribeSecret', { SecretId }))['ARN']);
  const [token, certificate] = [await arnOf(TOKEN_SECRET), await arnOf(CLIENT_CERTIFICATE_SECRET)];
  const described = await secretsManager.handle('DescribeSecret', { SecretId: TOKEN_SECRET });
  const secretsKeyId = String(described['KmsKeyId']).split('/').at(-1) ?? '';
  /** A key as a stack makes it, with other facts. */
  const makeKey = async (
    fields: object = {},
    tags: Record<string, string> = { service: 'd1-token-broker', stage: STAGE },
  ) => {
    const { KeyMetadata } = await kms.handle('CreateKey', {
      KeySpec: 'ECC_NIST_P256',
      KeyUsage: 'SIGN_VERIFY',
      MultiRegion: true,
      Tags: Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue })),
      ...fields,
    });
    return String((KeyMetadata as { KeyId: string }).KeyId);
  };
  return { bank, deployment, kms, secretsManager, signingKeyId, secretsKeyId, token, certificate, makeKey };
}

describe('adopt', () => {
  it('makes the new stack of the key and the secrets that were left, and the bank is as it was', async () => {
    const { bank, deployment, signingKeyId, secretsKeyId, token, certificate } = await openRemovedBank();
    const dry = await bank.json('adopt', '--dry-run');
    expect(dry).toMatchObject({ exit_code: 0, dry_run: true, issuer_id: ISSUER_ID, account: '000000000000' });
    expect(deployment.exists).toBe(false);

    const adopted = await bank.json('adopt');
    expect(adopted).toMatchObject({ exit_code: 0, facts: { imported: true, places_without_key: [] } });
    expect(adopted.next[0]).toBe(`npm run deploy -- --stage ${STAGE}`);
    const { imports, template } = deployment.imported ?? { imports: new Map<string, string>() };
    expect(Object.fromEntries(imports)).toEqual({
      CurrentSigningKey: signingKeyId,
      SecretsKey: secretsKeyId,
      TokenSecret: token,
      ClientCertificateSecret: certificate,
      ClientCertificateSecretPolicy: certificate,
    });
    // What a deployment that fails would go back to: what there was.
    expect(template?.Resources).toMatchObject({
      CurrentSigningKey: { DeletionPolicy: 'Retain', Properties: { KeySpec: 'ECC_NIST_P256', MultiRegion: true } },
      TokenSecret: { Properties: { Name: TOKEN_SECRET, KmsKeyId: { 'Fn::GetAtt': ['SecretsKey', 'Arn'] } } },
      ClientCertificateSecretPolicy: { Properties: { SecretId: { Ref: 'ClientCertificateSecret' } } },
    });
    expect(await bank.json('adopt')).toMatchObject({ exit_code: 0, facts: { retained: [] } });

    deployment.deployImported();
    expect(await bank.json('doctor')).toMatchObject({ exit_code: 0 });
    expect(await bank.json('adopt')).toMatchObject({ exit_code: 0, facts: { imported: false } });
  });

  it('goes on where a laptop was closed, and says what a failed deployment is in the way of', async () => {
    const { bank, deployment } = await openRemovedBank();
    Object.assign(deployment, { exists: true, status: 'REVIEW_IN_PROGRESS' });
    expect(await bank.json('adopt')).toMatchObject({ exit_code: 0, facts: { imported: true } });
    deployment.status = 'IMPORT_IN_PROGRESS';
    expect(await bank.json('adopt')).toMatchObject({ exit_code: 1, error: { code: 'STACK_BUSY' } });
    deployment.status = 'ROLLBACK_COMPLETE';
    const { error } = await bank.json('adopt');
    expect([error?.code, error?.remedy]).toEqual(['STACK_FAILED', expect.stringContaining('delete-stack')]);
  });

  it('does nothing where nothing was left', async () => {
    const { bank, secretsManager, kms, deployment, signingKeyId } = await openRemovedBank();
    for (const SecretId of [TOKEN_SECRET, CLIENT_CERTIFICATE_SECRET]) {
      await secretsManager.handle('DeleteSecret', { SecretId, ForceDeleteWithoutRecovery: true });
    }
    // Another stage's key, and somebody else's.
    await kms.handle('TagResource', { KeyId: signingKeyId, Tags: [{ TagKey: 'stage', TagValue: 'another' }] });
    expect(await bank.json('adopt')).toMatchObject({ exit_code: 0, facts: { imported: false, retained: [] } });
    expect(deployment.exists).toBe(false);
  });

  it('takes the key that is enabled of several, and asks where it is not clear', async () => {
    const { bank, deployment, kms, makeKey, signingKeyId } = await openRemovedBank();
    const old = await makeKey();
    const { error } = await bank.json('adopt');
    expect([error?.code, error?.what]).toEqual(['KEYS_AMBIGUOUS', expect.stringContaining(old)]);
    expect(await bank.json('adopt', '--current-key', signingKeyId, '--dry-run')).toMatchObject({ exit_code: 0 });
    await kms.handle('DisableKey', { KeyId: old });
    expect(await bank.json('adopt')).toMatchObject({ exit_code: 0 });
    expect(deployment.imported?.imports.get('CurrentSigningKey')).toBe(signingKeyId);
  });

  it('brings back both keys of a rollover, each into the place that is given', async () => {
    const { bank, deployment, makeKey, signingKeyId } = await openRemovedBank('  nextKeyId: bank-2027');
    const next = await makeKey();
    expect(await bank.json('adopt', '--next-key', next)).toMatchObject({ exit_code: 0 });
    const { imports } = deployment.imported ?? { imports: new Map<string, string>() };
    expect([imports.get('CurrentSigningKey'), imports.get('NextSigningKey')]).toEqual([signingKeyId, next]);
  });

  it.each<[string, string, (removed: Awaited<ReturnType<typeof openRemovedBank>>) => Promise<unknown>, string[]]>([
    [
      'a secret that is to be deleted',
      'RETAINED_DELETED',
      ({ secretsManager }) => secretsManager.handle('DeleteSecret', { SecretId: TOKEN_SECRET }),
      [],
    ],
    [
      'a key that is disabled',
      'RETAINED_DISABLED',
      ({ kms, signingKeyId: KeyId }) => kms.handle('DisableKey', { KeyId }),
      [],
    ],
    [
      'a secret under a key that is not of the stage',
      'SECRETS_KEY_FOREIGN',
      ({ kms, secretsKeyId: KeyId }) =>
        kms.handle('TagResource', { KeyId, Tags: [{ TagKey: 'stage', TagValue: 'b' }] }),
      [],
    ],
    ['a key that is none', 'NO_SUCH_KEY', async () => {}, ['--current-key', randomUUID()]],
  ])('stops at %s, and says what to do', async (_what, code, make, inputs) => {
    const removed = await openRemovedBank();
    await make(removed);
    const { error, exit_code } = await removed.bank.json('adopt', ...inputs);
    expect([exit_code, error?.code]).toEqual([1, code]);
    expect(removed.deployment.exists).toBe(false);
  });

  it("stops at a key that a stack cannot take, and at another issuer's", async () => {
    const { bank, makeKey } = await openRemovedBank();
    const single = await makeKey({ MultiRegion: false });
    expect(await bank.json('adopt', '--current-key', single)).toMatchObject({ error: { code: 'KEY_UNSUITABLE' } });
    const foreign = await makeKey({ Description: 'Signs the JWT assertions of issuer ISSUER0002 for Thales D1' });
    expect(await bank.json('adopt', '--current-key', foreign)).toMatchObject({ error: { code: 'ISSUER_DIFFERS' } });
  });

  it('leaves out of a policy who is gone, and keeps the rest', async () => {
    const { bank, deployment, makeKey } = await openRemovedBank();
    const root = 'arn:aws:iam::000000000000:root';
    const statements = [
      { Sid: 'AdministratorsManage', Effect: 'Allow', Principal: { AWS: [root, 'AIDAAAAAAAAAAAAAAAAAA'] } },
      { Sid: 'BrokerSigns', Effect: 'Allow', Principal: { AWS: 'AROAAAAAAAAAAAAAAAAAA' } },
      { Sid: 'Everybody', Effect: 'Deny', Principal: '*' },
    ];
    const key = await makeKey({ Policy: JSON.stringify({ Version: '2012-10-17', Statement: statements }) });
    await bank.json('adopt', '--current-key', key);
    const properties = deployment.imported?.template.Resources['CurrentSigningKey']?.Properties;
    expect(properties).toMatchObject({
      KeyPolicy: {
        Statement: [
          { Sid: 'AdministratorsManage', Effect: 'Allow', Principal: { AWS: [root] } },
          { Sid: 'Everybody', Effect: 'Deny', Principal: '*' },
        ],
      },
    });
  });

  it('on production wants the issuer id typed, and says where it is first', async () => {
    const { bank, deployment } = await openRemovedBank('', 'production');
    const inputs = ['adopt', '--stage', STAGE];
    const unconfirmed = await bank.run(inputs);
    expect([unconfirmed.code, unconfirmed.stderr]).toEqual([
      2,
      expect.stringContaining(`Account 000000000000, Region eu-west-1, stage ${STAGE}, issuer ${ISSUER_ID}.`),
    ]);
    expect(deployment.exists).toBe(false);
    expect((await bank.run([...inputs, '--confirm', ISSUER_ID])).code).toBe(0);
  });

  it('wants the stage in the parameters, with the kid that D1 knows', async () => {
    const { bank } = await openRemovedBank('  activeSigningKey: next');
    expect(await bank.json('adopt')).toMatchObject({ exit_code: 2, error: { code: 'USAGE' } });
    expect(await bank.json('adopt', '--file', '/nonexistent')).toMatchObject({ exit_code: 2 });
  });

  it.each(['kms', 'secretsmanager'])('ends with 4 without permission at %s', async (service) => {
    const { bank } = await openRemovedBank();
    bank.fault(`${service}.* refuse`);
    expect(await bank.json('adopt')).toMatchObject({ exit_code: 4, error: { code: 'NO_PERMISSION' } });
  });
});
