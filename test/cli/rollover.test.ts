import { createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint } from 'jose';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ISSUER_ID, KEY_ID } from '../../sandbox/sandbox.ts';
import { makeCheckout } from './checkout.ts';
import { type OperatedBank, openOperatedBank, STAGE } from './operated-bank.ts';
import { underLoad } from './under-load.ts';

const NEW_KID = 'bank-2027';

async function openBank() {
  const bank = await openOperatedBank();
  await bank.tick();
  return bank;
}

/** A story has many commands, some of which wait for the function's pace of checks, and the machine may be busy. */
const STORY_MILLISECONDS = 180_000;

/** What Thales does with the public key that it is sent. */
async function provision({ sandbox, run }: OperatedBank, keyId: string, place: string) {
  const { stdout } = await run(['key', 'export', '--stage', STAGE, '--place', place]);
  const publicKey = createPublicKey(stdout).export({ format: 'der', type: 'spki' });
  sandbox.d1.provisionIssuer({ issuerId: ISSUER_ID, keyId, publicKey });
}

describe('key export and verify', () => {
  it('print the public half as PEM and as JWK, with the thumbprint of RFC 7638, and know it again', async () => {
    const bank = await openBank();
    const document = await bank.json('key export');
    const { jwk, pem, thumbprint } = document.facts as { jwk: Record<string, string>; pem: string; thumbprint: string };
    expect(document.facts).toMatchObject({ place: 'current', kid: KEY_ID });
    expect(thumbprint).toBe(await calculateJwkThumbprint(jwk));
    const { stdout } = await bank.run(['key', 'export', '--stage', STAGE]);
    expect(stdout).toBe(pem);

    const folder = mkdtempSync(join(tmpdir(), 'd1-token-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    for (const [name, text] of [
      ['key.pem', pem],
      ['key.json', JSON.stringify(jwk)],
    ] as const) {
      writeFileSync(join(folder, name), text);
      expect(await bank.json('key verify', join(folder, name))).toMatchObject({
        exit_code: 0,
        facts: { place: 'current' },
      });
    }
    writeFileSync(join(folder, 'no-key'), 'nothing');
    expect(await bank.json('key verify', join(folder, 'no-key'))).toMatchObject({
      exit_code: 1,
      error: { code: 'KEY_UNREADABLE' },
    });
    expect(await bank.json('key verify', join(folder, 'not-there'))).toMatchObject({ exit_code: 2 });
  });
});

describe('a key rollover', () => {
  it(
    'goes from start to finish under load with not one failed call, a process for each step',
    async () => {
      const bank = await openBank();
      const ended = underLoad(bank);
      const started = await bank.json('key rollover start', '--kid', NEW_KID);
      expect(started).toMatchObject({ exit_code: 0, facts: { state: 'started', active: { kid: KEY_ID } } });
      expect(started.next.join()).toContain(NEW_KID);

      expect(await bank.json('key rollover switch')).toMatchObject({
        exit_code: 1,
        error: { code: 'CANDIDATE_UNPROVEN' },
      });
      expect(await bank.json('key rollover check')).toMatchObject({
        exit_code: 1,
        error: { code: 'TOKEN_ENDPOINT_REJECTED' },
      });
      await provision(bank, NEW_KID, 'next');
      expect(await bank.json('key rollover check')).toMatchObject({ exit_code: 0, facts: { state: 'started' } });

      expect(await bank.json('key rollover switch')).toMatchObject({
        exit_code: 0,
        facts: { state: 'switched', active: { kid: NEW_KID }, other: { kid: KEY_ID } },
      });
      expect(bank.sandbox.deployment.environment['D1_KEY_ID']).toBe(NEW_KID);
      const finished = await bank.json('key rollover finish');
      expect(finished).toMatchObject({ exit_code: 0, facts: { state: 'idle', active: { kid: NEW_KID } } });
      await ended();
      expect(await bank.json('key rollover finish')).toMatchObject({ exit_code: 0, facts: { state: 'idle' } });
    },
    STORY_MILLISECONDS,
  );

  it(
    'can be taken back from each step, and leads the other way next time',
    async () => {
      const bank = await openBank();
      const ended = underLoad(bank);
      await bank.json('key rollover start', '--kid', NEW_KID);
      expect(await bank.json('key rollover back')).toMatchObject({ exit_code: 0, facts: { state: 'idle' } });
      expect(await bank.json('key rollover back')).toMatchObject({ exit_code: 0, facts: { state: 'idle' } });

      await bank.json('key rollover start', '--kid', NEW_KID);
      await provision(bank, NEW_KID, 'next');
      await bank.json('key rollover check');
      await bank.json('key rollover switch');
      expect(await bank.json('key rollover back')).toMatchObject({
        exit_code: 0,
        facts: { state: 'started', active: { kid: KEY_ID } },
      });
      await bank.json('key rollover switch');
      await bank.json('key rollover finish');
      expect(await bank.json('key rollover start', '--kid', 'bank-2028')).toMatchObject({
        facts: { active: { place: 'next', kid: NEW_KID }, other: { place: 'current', kid: 'bank-2028' } },
      });
      await ended();
    },
    STORY_MILLISECONDS,
  );

  it(
    'writes each step into the checkout, so that the next deployment does not take it back',
    async () => {
      const { folder, written, file } = makeCheckout();
      const bank = await openOperatedBank({ folder });
      await bank.tick();
      const before = written();
      const ours = (...lines: string[]) => before.replace(`  keyId: ${KEY_ID} # agreed\n`, lines.join(''));

      const dry = await bank.json('key rollover start', '--kid', NEW_KID, '--dry-run');
      expect(dry.facts['params_file']).toMatchObject({ written: false, diff: [`+  nextKeyId: "${NEW_KID}"`] });
      expect(written()).toBe(before);
      const started = await bank.json('key rollover start', '--kid', NEW_KID);
      expect(started.facts['params_file']).toMatchObject({ file, written: true });
      expect(started.next[0]).toContain(`commit ${file}`);
      const withNext = ours(`  keyId: ${KEY_ID} # agreed\n`, `  nextKeyId: "${NEW_KID}"\n`);
      expect(written()).toBe(withNext);

      await provision(bank, NEW_KID, 'next');
      await bank.json('key rollover check');
      // The laptop was closed after the stack was changed, or the colleague's checkout is older.
      await bank.sandbox.deployment.update(new Map([['ActiveSigningKey', 'next']]));
      const status = await bank.json('key rollover status');
      expect(status).toMatchObject({ exit_code: 3, facts: { params_file: { state: 'differs', written: false } } });
      expect(status.next[0]).toContain(`activeSigningKey: next, keyId: "${KEY_ID}", nextKeyId: "${NEW_KID}"`);
      expect(await bank.json('key rollover switch', '--dry-run')).toMatchObject({
        facts: { params_file: { written: false, diff: ['+  activeSigningKey: next'] } },
      });
      expect(await bank.json('key rollover switch')).toMatchObject({ exit_code: 0, facts: { state: 'switched' } });
      expect(written()).toBe(withNext.replace(`${NEW_KID}"\n`, `${NEW_KID}"\n  activeSigningKey: next\n`));
      expect((await bank.json('key rollover status')).exit_code).toBe(0);

      await bank.json('key rollover back');
      expect(written()).toBe(withNext.replace(`${NEW_KID}"\n`, `${NEW_KID}"\n  activeSigningKey: current\n`));
      await bank.json('key rollover switch');
      const finished = await bank.run(['key', 'rollover', 'finish', '--stage', STAGE]);
      expect(finished.stdout).toContain(`Wrote ${file}:\n  -  keyId: ${KEY_ID} # agreed\n  +  keyId: none # agreed\n`);
      expect(written()).toBe(
        ours('  keyId: none # agreed\n', `  nextKeyId: "${NEW_KID}"\n`, '  activeSigningKey: next\n'),
      );
    },
    STORY_MILLISECONDS,
  );

  it("says what to write where there is no checkout, or another bank's", async () => {
    const bank = await openBank();
    const started = await bank.json('key rollover start', '--kid', NEW_KID);
    const lines = `activeSigningKey: current, keyId: "${KEY_ID}", nextKeyId: "${NEW_KID}"`;
    expect(started.next[0]).toContain(`write ${lines} into the stage in infra/params.yml`);

    const { folder, file, written } = makeCheckout('ISSUER0002');
    const before = written();
    const path = join(folder, file);
    const { facts, next } = await bank.json('key rollover start', '--kid', NEW_KID, '--file', path);
    expect(facts['params_file']).toMatchObject({ state: 'unknown', written: false });
    expect(next[0]).toContain(lines);
    expect(readFileSync(path, 'utf8')).toBe(before);
    expect(await bank.json('key rollover status', '--file', '/nonexistent')).toMatchObject({ exit_code: 2 });
  });

  it('believes a check only if time, kid and key all match', async () => {
    const bank = await openBank();
    await bank.json('key rollover start', '--kid', NEW_KID);
    const KeyId = bank.sandbox.deployment.outputs['NextSigningKeyArn'];
    const tag = (values: Record<string, string>) =>
      bank.sandbox.kms.handle('TagResource', {
        KeyId,
        Tags: Object.entries(values).map(([name, TagValue]) => ({
          TagKey: `d1-token-broker:checked-${name}`,
          TagValue,
        })),
      });
    const right = { at: new Date().toISOString(), kid: NEW_KID, key: String(KeyId) };
    const yesterday = new Date(Date.now() - 25 * 3_600_000).toISOString();
    for (const wrong of [{ at: yesterday }, { kid: 'another' }, { key: 'arn:of:another' }, { at: 'soon' }]) {
      await tag({ ...right, ...wrong });
      expect(await bank.json('key rollover switch')).toMatchObject({ error: { code: 'CANDIDATE_UNPROVEN' } });
    }
    await tag(right);
    expect(await bank.json('key rollover switch', '--dry-run')).toMatchObject({ exit_code: 0, dry_run: true });
  });

  it.each([
    ['the kid of the key that signs', KEY_ID],
    ['none', 'none'],
    ['a kid with a space', 'a kid'],
  ])('is not begun with %s', async (_what, kid) => {
    const bank = await openBank();
    expect(await bank.json('key rollover start', '--kid', kid)).toMatchObject({ exit_code: 2 });
  });

  it('on production wants the issuer id typed, and says where it is first', async () => {
    const bank = await openBank();
    bank.sandbox.deployment.changedByHand['D1_ENVIRONMENT'] = 'production';
    const inputs = ['key', 'rollover', 'start', '--stage', STAGE, '--kid', NEW_KID];
    const unconfirmed = await bank.run(inputs);
    expect([unconfirmed.code, unconfirmed.stderr]).toEqual([
      2,
      expect.stringContaining(`Account 000000000000, Region eu-west-1, stage ${STAGE}, issuer ${ISSUER_ID}.`),
    ]);
    expect((await bank.run([...inputs, '--confirm', 'ISSUER0002'])).code).toBe(2);
    expect((await bank.run([...inputs, '--dry-run'])).code).toBe(0);
    expect(bank.sandbox.deployment.parameters.get('NextKeyId')).toBe('none');
    expect((await bank.run([...inputs, '--confirm', ISSUER_ID])).code).toBe(0);
    expect(bank.sandbox.deployment.parameters.get('NextKeyId')).toBe(NEW_KID);
  });
});
