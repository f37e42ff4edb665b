import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CLIENT_CERTIFICATE_SECRET, ISSUER_ID, KEY_ID, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import type { CheckReport, CheckStep } from '../../src/shared/check-report.ts';
import { d1Refuses, openStory, refusing, type Story } from '../broker/open-story.ts';

const NEXT_KEY = 'key-of-next-year';

async function openCheck() {
  const story = await openStory();
  const { KeyMetadata } = await story.sandbox.kms.handle('CreateKey', {
    KeySpec: 'ECC_NIST_P256',
    KeyUsage: 'SIGN_VERIFY',
  });
  const { Arn } = KeyMetadata as { Arn: string };
  const container = story.container({ environment: { D1_NEXT_KEY_ID: NEXT_KEY, D1_NEXT_SIGNING_KEY_ID: Arn } });
  const check = async (event: Record<string, unknown> = {}) =>
    (await container.send({ action: 'check', ...event })) as CheckReport;
  return { story, container, check, nextKey: Arn };
}

const outcomes = ({ steps }: CheckReport) =>
  Object.fromEntries(
    steps.map((step) => [step.step, step.outcome === 'failed' ? step.error_code : step.outcome]),
  ) as Record<CheckStep['step'], string>;

const factsOf = ({ steps }: CheckReport, name: string) => {
  const step = steps.find((one) => one.step === name);
  return step && 'facts' in step ? step.facts : undefined;
};

const good = {
  token_secret: 'ok',
  client_certificate: 'ok',
  signing_key: 'ok',
  connection: 'ok',
  exchange: 'ok',
  store: 'ok',
};

async function provision(story: Story, keyId: string, arn: string) {
  const { PublicKey } = (await story.sandbox.kms.handle('GetPublicKey', { KeyId: arn })) as { PublicKey: string };
  story.sandbox.d1.provisionIssuer({ issuerId: ISSUER_ID, keyId, publicKey: Buffer.from(PublicKey, 'base64') });
}

describe('a check', () => {
  it('does all that a refresh does, and tells it step by step', async () => {
    const { story, check } = await openCheck();
    const report = await check({ correlation_id: 'asked-by-a-person' });
    expect(outcomes(report)).toEqual(good);
    expect(report).toMatchObject({
      passed: true,
      issuer_id: ISSUER_ID,
      key_id: KEY_ID,
      correlation_id: 'asked-by-a-person',
      certificate: 'current',
      signing_key: 'current',
    });
    expect(factsOf(report, 'client_certificate')).toMatchObject({ days_left: expect.any(Number) });
    expect(factsOf(report, 'signing_key')).toMatchObject({ key_spec: 'ECC_NIST_P256', verified: true });
    expect(factsOf(report, 'signing_key')?.['key']).toMatch(/^arn:aws:kms:/);
    expect(factsOf(report, 'connection')).toMatchObject({ tls_version: 'TLSv1.3' });
    expect(Math.abs(Number(factsOf(report, 'connection')?.['clock_difference_seconds']))).toBeLessThan(60);
    expect(factsOf(report, 'store')).toMatchObject({ stored: true });
    expect((await story.stored()).record).toMatchObject({ correlation_id: 'asked-by-a-person' });
  });

  it('keeps its token: it is the newest, and a caller gets it from memory', async () => {
    const { story, container, check } = await openCheck();
    await container.tick();
    story.clock.advance(60_000);
    const report = await check();
    expect(outcomes(report)).toEqual(good);
    const { record } = await story.stored();
    expect(record).toMatchObject({ forced_writes_settled_at: expect.any(Number) });
    expect(await container.token()).toMatchObject({ source: 'memory', access_token: record['access_token'] });
  });

  it('holds its token unstored when the budget of forced writes is spent, and says so', async () => {
    const { story, container, check } = await openCheck();
    for (let written = 0; written < 13; written += 1) {
      story.clock.advance(11_000);
      expect((await check()).passed).toBe(true);
    }
    const before = await story.stored();
    story.clock.advance(11_000);
    const report = await check();
    expect(factsOf(report, 'store')).toEqual({ stored: false });
    expect(await story.stored()).toEqual(before);
    expect((await container.token())['access_token']).not.toBe(before.record['access_token']);
  });

  it('has a budget of its own: within 10 s of an exchange it is refused with the seconds to wait', async () => {
    const { story, check } = await openCheck();
    await check();
    story.clock.advance(4_000);
    await expect(check()).rejects.toMatchObject({
      name: 'CHECK_TOO_SOON',
      message: expect.stringContaining('retry_after_seconds=6'),
    });
    expect((await check({ exchange: false })).passed).toBe(true);
    story.clock.advance(6_000);
    expect((await check()).passed).toBe(true);
  });

  it('without an exchange connects and signs, and asks D1 for no token', async () => {
    const { story, check } = await openCheck();
    story.calls();
    const report = await check({ exchange: false });
    expect(outcomes(report)).toEqual({ ...good, exchange: 'not_checked', store: 'not_checked' });
    expect(report.passed).toBe(true);
    expect(story.sandbox.calls.all().filter(({ service, outcome }) => service === 'd1' && outcome === 'ok')).toEqual(
      [],
    );
    expect(story.calls()).not.toHaveProperty(`PutSecretValue ${TOKEN_SECRET}`);
  });

  it('tries the next signing key with its own kid, and the token in use is of the old one until then', async () => {
    const { story, container, check, nextKey } = await openCheck();
    await container.tick();
    const before = await story.stored();
    const early = await check({ signing_key: 'next' });
    expect(outcomes(early)).toEqual({ ...good, exchange: 'TOKEN_ENDPOINT_REJECTED', store: 'not_checked' });
    expect(await story.stored()).toEqual(before);
    await provision(story, NEXT_KEY, nextKey);
    story.clock.advance(11_000);
    const report = await check({ signing_key: 'next' });
    expect(report).toMatchObject({ passed: true, key_id: NEXT_KEY, signing_key: 'next' });
    expect((await story.stored()).record).toMatchObject({ key_id: NEXT_KEY });
  });

  it('tries the certificate that waits, and not the one in memory', async () => {
    const { story, container, check } = await openCheck();
    await container.tick();
    expect(outcomes(await check({ certificate: 'next', exchange: false }))).toMatchObject({
      client_certificate: 'CLIENT_CERTIFICATE_UNAVAILABLE',
      connection: 'not_checked',
      signing_key: 'ok',
    });
    await story.sandbox.secretsManager.handle('PutSecretValue', {
      SecretId: CLIENT_CERTIFICATE_SECRET,
      ClientRequestToken: randomUUID(),
      SecretString: await story.sandbox.clientCertificateSecret(),
      VersionStages: ['WAITING'],
    });
    expect((await check({ certificate: 'next' })).passed).toBe(true);
  });

  it('does not try what depends on a step that failed, and tries all the rest', async () => {
    const { story, check } = await openCheck();
    story.faults.aws = refusing('Sign', 'DisabledException');
    expect(outcomes(await check())).toEqual({
      ...good,
      signing_key: 'SIGNING_FAILED',
      exchange: 'not_checked',
      store: 'not_checked',
    });
    story.faults.aws = undefined;
    story.faults.d1 = d1Refuses;
    story.clock.advance(11_000);
    const report = await check();
    expect(outcomes(report)).toEqual({ ...good, exchange: 'TOKEN_ENDPOINT_REJECTED', store: 'not_checked' });
    expect(report.steps.at(-1)).toMatchObject({ because: 'exchange' });
  });

  it('hands its token out, though the secret cannot be written', async () => {
    const { story, container, check } = await openCheck();
    story.faults.aws = refusing('PutSecretValue', 'AccessDeniedException');
    const report = await check();
    expect(outcomes(report)).toEqual({ ...good, store: 'TOKEN_STORE_DENIED' });
    expect(await container.token()).toMatchObject({ source: 'memory' });
  });

  it('counts the writes of the last 24 hours, and does without the count where it may not', async () => {
    const { story, container, check } = await openCheck();
    await container.tick();
    story.clock.advance(25 * 3_600_000);
    await container.tick();
    expect(factsOf(await check({ exchange: false }), 'token_secret')).toMatchObject({ writes_within_24_hours: 1 });
    story.faults.aws = refusing('ListSecretVersionIds', 'AccessDeniedException');
    const facts = factsOf(await check({ exchange: false }), 'token_secret');
    expect(facts).not.toHaveProperty('writes_within_24_hours');
  });

  it('never tells a token', async () => {
    const { check } = await openCheck();
    expect(JSON.stringify(await check())).not.toMatch(/eyJ[\w-]+\.[\w-]+|PRIVATE KEY|access_token"/);
  });

  it('refuses a next signing key where there is none, and fields that it does not know', async () => {
    const story = await openStory();
    const container = story.container();
    await expect(container.send({ action: 'check', signing_key: 'next' })).rejects.toMatchObject({
      name: 'EVENT_INVALID',
    });
    await expect(container.send({ action: 'check', key: 'next' })).rejects.toMatchObject({ name: 'EVENT_INVALID' });
  });
});
