import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { createKmsClient, createSecretsManagerClient } from '../../src/aws/clients.ts';
import type { TokenAnswer } from '../../src/events.ts';
import { readIssuer } from '../../src/fleet/issuer.ts';
import { createIssuerApps } from '../../src/fleet/issuer-apps.ts';
import type { Entry, IssuerIndex } from '../../src/fleet/issuer-index.ts';
import { type IssuerState, untried } from '../../src/fleet/issuer-state.ts';
import { createWorker } from '../../src/fleet/worker.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { systemRandom } from '../../src/shared/random.ts';

/** The issuers of one bank at one D1; each has a key, a certificate and a token secret of its own. */
const ids = ['ISSUER1001', 'ISSUER1002', 'ISSUER1003', 'ISSUER1004', 'ISSUER1005'] as const;
const context = { getRemainingTimeInMillis: () => 60_000 };

let sandbox: Sandbox;
const entries = new Map<string, Entry>();
/** Whose certificate came with whose assertion. */
const seen: { issuerId: string; certificate: string }[] = [];

const index: Pick<IssuerIndex, 'find' | 'keep'> = {
  find: async (issuerId) => entries.get(issuerId),
  keep: async ({ fields }, state) => {
    const found = entries.get(fields['issuer_id'] ?? '');
    if (found) entries.set(fields['issuer_id'] ?? '', { ...found, state });
  },
};

function createContainer() {
  const place = {
    region: 'eu-west-1',
    endpoint: sandbox.environment['AWS_ENDPOINT_URL'] ?? '',
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
  };
  const appOf = createIssuerApps({
    kms: createKmsClient(2_000, place),
    secretsManager: createSecretsManagerClient(2_000, place),
    clock: systemClock,
    random: systemRandom,
    stage: 'test',
  });
  const read = (fields: Entry['fields']) => readIssuer(fields, { D1_EXCHANGE_ATTEMPTS: '1' });
  return { appOf, read, work: createWorker({ index, read, appOf, clock: systemClock }) };
}

const tryAll = ({ work }: ReturnType<typeof createContainer>) =>
  Promise.all([...entries.keys()].map((issuerId) => work({ issuerId, notBefore: 0 }, context)));

const stateOf = (issuerId: string): IssuerState => entries.get(issuerId)?.state ?? untried;

async function onboard(issuerId: string): Promise<void> {
  const { KeyMetadata: key } = (await sandbox.kms.handle('CreateKey', {
    KeySpec: 'ECC_NIST_P256',
    KeyUsage: 'SIGN_VERIFY',
  })) as { KeyMetadata: { KeyId: string } };
  const { PublicKey } = (await sandbox.kms.handle('GetPublicKey', { KeyId: key.KeyId })) as { PublicKey: string };
  sandbox.d1.provisionIssuer({
    issuerId,
    keyId: `kid-${issuerId}`,
    publicKey: Buffer.from(PublicKey, 'base64'),
  });
  await sandbox.secretsManager.handle('CreateSecret', {
    Name: `d1/${issuerId}/access-token`,
    ClientRequestToken: randomUUID(),
  });
  await sandbox.secretsManager.handle('CreateSecret', {
    Name: `d1/${issuerId}/client-certificate`,
    ClientRequestToken: randomUUID(),
    SecretString: await sandbox.clientCertificateSecret({ issuerId }),
  });
  const fields = {
    issuer_id: issuerId,
    key_id: `kid-${issuerId}`,
    environment: sandbox.d1.baseUrl,
    signing_key_id: key.KeyId,
    token_secret_id: `d1/${issuerId}/access-token`,
    client_certificate_secret_id: `d1/${issuerId}/client-certificate`,
    audience: 'https://api.d1.thalescloud.io',
  };
  entries.set(issuerId, { fields, state: untried });
}

async function storedIssuer(issuerId: string): Promise<unknown> {
  const value = await sandbox.secretsManager.handle('GetSecretValue', { SecretId: `d1/${issuerId}/access-token` });
  return JSON.parse(String(value['SecretString'])).issuer_id;
}

beforeAll(async () => {
  sandbox = await startSandbox({
    d1Intercept: (request, next) => {
      const assertion = new URLSearchParams(request.body.toString()).get('assertion') ?? '';
      const claims = JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString());
      seen.push({ issuerId: claims.iss, certificate: request.handshake.clientSubject });
      return next();
    },
  });
  await Promise.all(ids.map(onboard));
});

afterAll(() => sandbox.close());

describe('many issuers in one container', () => {
  it('are each served with their own certificate, key and secret, side by side and again', async () => {
    const container = createContainer();
    await tryAll(container);
    for (const issuerId of ids) {
      expect(stateOf(issuerId)).toMatchObject({ failures: 0, host: 'answered' });
      expect(await storedIssuer(issuerId)).toBe(issuerId);
    }
    expect(seen.map(({ issuerId }) => issuerId).sort()).toEqual([...ids]);
    for (const { issuerId, certificate } of seen) expect(certificate).toContain(`TLSMA-ECC/${issuerId}/PPR`);
  });

  it('are not late for one of them that is broken, and each failure is its own', async () => {
    seen.length = 0;
    const [wrongKid, noCertificate, wrongEnvironment, ...well] = ids;
    const broken = new Map(entries);
    const change = (issuerId: string, fields: Record<string, string>) => {
      const entry = broken.get(issuerId);
      if (entry) entries.set(issuerId, { fields: { ...entry.fields, ...fields }, state: untried });
    };
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    sandbox.d1.removeIssuer(wrongKid);
    sandbox.d1.provisionIssuer({
      issuerId: wrongKid,
      keyId: `kid-${wrongKid}`,
      publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    });
    change(wrongKid, {});
    change(noCertificate, { client_certificate_secret_id: 'd1/not-there' });
    change(wrongEnvironment, { environment: 'https://localhost:1/authz/v1' });
    for (const issuerId of ids) {
      await sandbox.secretsManager.handle('PutSecretValue', {
        SecretId: `d1/${issuerId}/access-token`,
        ClientRequestToken: randomUUID(),
        SecretString: ' ',
      });
    }
    await tryAll(createContainer());
    expect(stateOf(wrongKid)).toMatchObject({ failures: 1, failedWith: 'TOKEN_ENDPOINT_REJECTED', host: 'answered' });
    expect(stateOf(noCertificate)).toMatchObject({ failures: 1, failedWith: 'CLIENT_CERTIFICATE_UNAVAILABLE' });
    expect(stateOf(wrongEnvironment)).toMatchObject({ failedWith: 'TOKEN_ENDPOINT_UNREACHABLE', host: 'silent' });
    for (const issuerId of well) {
      expect(stateOf(issuerId)).toMatchObject({ failures: 0 });
      expect(await storedIssuer(issuerId)).toBe(issuerId);
    }
    for (const { issuerId, certificate } of seen) expect(certificate).toContain(`TLSMA-ECC/${issuerId}/PPR`);
  });

  it('have callers that get the token of the issuer they name, and no other', async () => {
    const { appOf, read } = createContainer();
    const entry = entries.get('ISSUER1005');
    if (!entry) throw new Error('It was onboarded.');
    const answer = (await appOf(read(entry.fields)).run({}, context)) as TokenAnswer;
    expect(answer.issuer_id).toBe('ISSUER1005');
  });
});
