import { execFileSync } from 'node:child_process';
import { randomUUID, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CLIENT_CERTIFICATE_SECRET, ISSUER_ID, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { type OperatedBank, openOperatedBank, STAGE } from './operated-bank.ts';
import { underLoad } from './under-load.ts';

const COMMON_NAME = `TLSMA-ECC/${ISSUER_ID}/PPR`;

async function openBank() {
  const bank = await openOperatedBank();
  await bank.tick();
  const folder = mkdtempSync(join(tmpdir(), 'd1-token-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const request = async (...inputs: string[]) => {
    const document = await bank.json('certificate request', '--common-name', COMMON_NAME, ...inputs);
    return String(document.facts['request']);
  };
  return { bank, file, request };
}

const labelled = async ({ sandbox }: OperatedBank) => {
  const described = await sandbox.secretsManager.handle('DescribeSecret', { SecretId: CLIENT_CERTIFICATE_SECRET });
  return Object.values(described['VersionIdsToStages'] as Record<string, string[]>)
    .flat()
    .sort();
};

/** Which version has which labels. */
const versions = async ({ sandbox }: OperatedBank) =>
  (await sandbox.secretsManager.handle('DescribeSecret', { SecretId: CLIENT_CERTIFICATE_SECRET }))[
    'VersionIdsToStages'
  ];

const currentSubject = async ({ sandbox }: OperatedBank) => {
  const value = await sandbox.secretsManager.handle('GetSecretValue', { SecretId: CLIENT_CERTIFICATE_SECRET });
  return new X509Certificate(JSON.parse(String(value['SecretString'])).certificate);
};

describe('a certificate renewal', () => {
  it('goes from request to current, and back, under load with not one failed call, and no private key in sight', async () => {
    const { bank, file } = await openBank();
    const before = (await currentSubject(bank)).serialNumber;
    const ended = underLoad(bank);
    const {
      stdout: csr,
      stderr,
      code,
    } = await bank.run([
      ...['certificate', 'request', '--stage', STAGE],
      ...['--common-name', COMMON_NAME, '--organization', 'Example Bank'],
    ]);
    expect(code).toBe(0);
    expect(csr + stderr).not.toContain('PRIVATE KEY');
    const subject = execFileSync('openssl', ['req', '-noout', '-verify', '-subject', '-nameopt', 'RFC2253'], {
      input: csr,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    expect(subject.toString().trim()).toBe(`subject=CN=${COMMON_NAME},O=Example Bank`);
    expect(await labelled(bank)).toEqual(['AWSCURRENT', 'WAITING']);
    // Weeks pass; the key waits, and the request can be had again.
    expect(await bank.json('certificate show')).toMatchObject({ exit_code: 0, facts: { waiting: { request: csr } } });
    expect(await bank.json('certificate request', '--common-name', COMMON_NAME)).toMatchObject({
      exit_code: 1,
      error: { code: 'KEY_WAITS' },
    });

    const certificate = await bank.sandbox.clientAuthority.sign(csr);
    const pem = file('certificate.pem', certificate);
    expect(await bank.json('certificate install', pem, '--dry-run')).toMatchObject({ exit_code: 0, dry_run: true });
    const installed = await bank.json('certificate install', pem);
    expect(installed).toMatchObject({ exit_code: 0, facts: { subject: expect.stringContaining(COMMON_NAME) } });
    expect(await labelled(bank)).toEqual(['AWSCURRENT', 'AWSPREVIOUS']);
    expect((await currentSubject(bank)).serialNumber).toBe(new X509Certificate(certificate).serialNumber);
    expect(await bank.json('certificate install', pem)).toMatchObject({ exit_code: 0 });

    bank.restart();
    expect(await bank.json('certificate back')).toMatchObject({ exit_code: 0 });
    expect((await currentSubject(bank)).serialNumber).toBe(before);
    await ended();
  }, 180_000);

  it('changes nothing when D1 refuses the new certificate, and goes on where it stopped', async () => {
    const { bank, file, request } = await openBank();
    const before = (await currentSubject(bank)).serialNumber;
    const pem = file('certificate.pem', await bank.sandbox.clientAuthority.sign(await request()));
    bank.fault('d1.oauth2/token refuse nth=1-2');
    expect(await bank.json('certificate install', pem)).toMatchObject({
      exit_code: 1,
      error: { code: 'TOKEN_ENDPOINT_REJECTED' },
    });
    expect((await currentSubject(bank)).serialNumber).toBe(before);
    bank.faults.end();
    bank.restart();
    expect(await bank.json('certificate install', pem)).toMatchObject({ exit_code: 0 });
    expect((await currentSubject(bank)).serialNumber).not.toBe(before);
  });

  it('goes on wherever the laptop was closed, under load with not one failed call', async () => {
    const { bank, file, request } = await openBank();
    const { secretsManager } = bank.sandbox;
    const SecretId = CLIENT_CERTIFICATE_SECRET;
    const csr = await request();
    const ended = underLoad(bank);
    const pem = file('certificate.pem', await bank.sandbox.clientAuthority.sign(csr));
    // After the certificate has joined the key, and before the function has tried it.
    const { SecretString } = await secretsManager.handle('GetSecretValue', { SecretId, VersionStage: 'WAITING' });
    const joined = { certificate: readFileSync(pem, 'utf8'), ...JSON.parse(String(SecretString)) };
    const { ca_bundle } = JSON.parse(await bank.sandbox.clientCertificateSecret());
    const ClientRequestToken = randomUUID();
    await secretsManager.handle('PutSecretValue', {
      SecretId,
      ClientRequestToken,
      SecretString: JSON.stringify({ ...joined, ca_bundle }),
      VersionStages: ['WAITING'],
    });
    expect(await bank.json('certificate install', pem)).toMatchObject({
      exit_code: 0,
      facts: { version_id: ClientRequestToken },
    });
    // After it has become current, and before the label was taken off.
    await secretsManager.handle('UpdateSecretVersionStage', {
      SecretId,
      VersionStage: 'WAITING',
      MoveToVersionId: ClientRequestToken,
    });
    expect(await bank.json('certificate install', pem)).toMatchObject({
      exit_code: 0,
      facts: { version_id: ClientRequestToken },
    });
    expect(await labelled(bank)).toEqual(['AWSCURRENT', 'AWSPREVIOUS']);
    await ended();
  }, 60_000);

  it('goes back to no version that holds no certificate, and to none that D1 refuses', async () => {
    const { bank, file, request } = await openBank();
    const { secretsManager } = bank.sandbox;
    // As after the first certificate of all: the version before it held its key alone.
    const value = JSON.parse(await bank.sandbox.clientCertificateSecret());
    const SecretId = CLIENT_CERTIFICATE_SECRET;
    await secretsManager.handle('PutSecretValue', {
      SecretId,
      ClientRequestToken: randomUUID(),
      SecretString: JSON.stringify({ private_key: value.private_key }),
    });
    await secretsManager.handle('PutSecretValue', {
      SecretId,
      ClientRequestToken: randomUUID(),
      SecretString: JSON.stringify(value),
    });
    const before = await versions(bank);
    expect(await bank.json('certificate back')).toMatchObject({
      exit_code: 1,
      error: { code: 'CLIENT_CERTIFICATE_INVALID' },
    });
    expect(await versions(bank)).toEqual(before);

    const pem = file('certificate.pem', await bank.sandbox.clientAuthority.sign(await request()));
    expect(await bank.json('certificate install', pem)).toMatchObject({ exit_code: 0 });
    const installed = await versions(bank);
    bank.fault('d1.oauth2/token refuse nth=1-2');
    expect(await bank.json('certificate back')).toMatchObject({ error: { code: 'TOKEN_ENDPOINT_REJECTED' } });
    expect(await versions(bank)).toEqual(installed);
  });

  it('keeps what D1 is trusted by and what the egress proxy asks for, and the token lives on', async () => {
    const { bank, file, request } = await openBank();
    const { secretsManager } = bank.sandbox;
    const current = async () => {
      const { SecretString } = await secretsManager.handle('GetSecretValue', { SecretId: CLIENT_CERTIFICATE_SECRET });
      return JSON.parse(String(SecretString)) as Record<string, string>;
    };
    const kept = { ca_bundle: (await current())['ca_bundle'], proxy_credentials: 'teller:a-password' };
    await secretsManager.handle('PutSecretValue', {
      SecretId: CLIENT_CERTIFICATE_SECRET,
      ClientRequestToken: randomUUID(),
      SecretString: JSON.stringify({ ...(await current()), ...kept }),
    });
    await bank.json('certificate install', file('c.pem', await bank.sandbox.clientAuthority.sign(await request())));
    bank.restart();
    await bank.tick();
    const value = await bank.sandbox.secretsManager.handle('GetSecretValue', { SecretId: TOKEN_SECRET });
    expect(JSON.parse(String(value['SecretString'])).expires_at).toBeGreaterThan(Date.now() / 1000);
    expect(await current()).toMatchObject(kept);
  });

  it.each([
    [
      'the certificate of another key',
      async ({ sandbox }: OperatedBank) => JSON.parse(await sandbox.clientCertificateSecret()).certificate,
    ],
    ['nothing', async () => 'nothing'],
    [
      'a private key',
      async ({ sandbox }: OperatedBank) => JSON.parse(await sandbox.clientCertificateSecret()).private_key,
    ],
    [
      'a certificate with another name',
      async ({ sandbox }: OperatedBank, csr: string) => sandbox.clientAuthority.sign(csr, { commonName: 'another' }),
    ],
    [
      'an expired certificate',
      async ({ sandbox }: OperatedBank, csr: string) =>
        sandbox.clientAuthority.sign(csr, {
          notBefore: new Date(Date.now() - 9e8),
          notAfter: new Date(Date.now() - 8e8),
        }),
    ],
  ])('refuses %s, and leaves the secret as it was', async (_what, made) => {
    const { bank, file, request } = await openBank();
    const csr = await request();
    const before = await labelled(bank);
    const pem = file('certificate.pem', await made(bank, csr));
    expect(await bank.json('certificate install', pem)).toMatchObject({
      exit_code: 1,
      error: { code: 'CERTIFICATE_REFUSED' },
    });
    expect(await labelled(bank)).toEqual(before);
  });

  it('makes an RSA-4096 key, too', async () => {
    const { request } = await openBank();
    const csr = await request('--key', 'rsa4096');
    const text = execFileSync('openssl', ['req', '-noout', '-text'], { input: csr, stdio: ['pipe', 'pipe', 'ignore'] });
    expect(text.toString()).toContain('4096 bit');
  });

  it.each(['a/b+c,d=e', '#1', 'é', '"quoted" \\ '])('takes any Common Name: %s', async (commonName) => {
    const { makeSigningRequest, commonNameOf } = await import('../../src/cli/certificate/signing-request.ts');
    const { request } = await makeSigningRequest({ commonName }, 'p256');
    expect(commonNameOf(request)).toBe(commonName);
  });
});
