import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ISSUER_ID, KEY_ID } from '../../sandbox/sandbox.ts';
import { STAGE } from './operated-bank.ts';

/** A checkout with the stage of the sandbox, and others around it. It goes with the test. */
export function makeCheckout(issuerId = ISSUER_ID) {
  const folder = mkdtempSync(join(tmpdir(), 'd1-token-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'infra'));
  const file = join('infra', 'params.yml');
  const stages = [
    'default:\n  activeSigningKey: current\n  nextKeyId: none # as a rule\n\n',
    `# The bank's own.\n${STAGE}:\n  issuerId: "${issuerId}"\n  keyId: ${KEY_ID} # agreed\n\n`,
    '# Thales has not answered yet.\nproduction:\n  keyId: other\n',
  ];
  writeFileSync(join(folder, file), stages.join(''));
  return { folder, file, written: () => readFileSync(join(folder, file), 'utf8') };
}
