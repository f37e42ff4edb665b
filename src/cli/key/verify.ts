import { readFile } from 'node:fs/promises';
import { failure, usageFailure } from '../frame/cli-failure.ts';
import { openStage, runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { PlaceFlags } from '../frame/flags.ts';
import { activePlace, keyAt } from '../frame/stage.ts';
import { parsePublicKey, readPublicKey } from './public-key.ts';

export async function verifyKey(this: Context, flags: PlaceFlags, file: string): Promise<void> {
  await runCommand(this, 'key verify', flags, async (session) => {
    const text = await readFile(file, 'utf8').catch(() => {
      throw usageFailure(`The file ${file} cannot be read.`, 'Give a file with the public key, as PEM or JWK.');
    });
    const given = parsePublicKey(text);
    if (!given) {
      throw failure(
        'KEY_UNREADABLE',
        `${file} is not a public key on P-256.`,
        'Give the public key alone, as PEM or JWK.',
      );
    }
    const { stack, clients } = await openStage(session);
    for (const place of ['current', 'next'] as const) {
      const key = keyAt(stack, place);
      if (!key || (await readPublicKey(clients, key.arn)).thumbprint !== given.thumbprint) continue;
      const active = place === activePlace(stack);
      return {
        facts: { place, kid: key.kid, arn: key.arn, thumbprint: given.thumbprint, active },
        text: [
          `${session.style.good('✓')} ${file} is the signing key ${place}, kid ${key.kid}${active ? ', which signs' : ''}.`,
        ],
      };
    }
    throw failure(
      'KEY_DIFFERS',
      `${file} (thumbprint ${given.thumbprint}) is no signing key of this stack.`,
      'Send Thales what d1-token key export prints.',
    );
  });
}
