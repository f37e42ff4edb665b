import { failure } from '../frame/cli-failure.ts';
import { openStage, runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { PlaceFlags } from '../frame/flags.ts';
import { activePlace, type KeyPlace, keyAt } from '../frame/stage.ts';
import { readPublicKey } from './public-key.ts';

export interface ExportFlags extends PlaceFlags {
  readonly place?: KeyPlace;
  readonly format: 'pem' | 'jwk';
}

export async function exportKey(this: Context, flags: ExportFlags): Promise<void> {
  await runCommand(this, 'key export', flags, async (session) => {
    const { stack, clients, progress } = await openStage(session);
    const place = flags.place ?? activePlace(stack);
    const key = keyAt(stack, place);
    if (!key) {
      throw failure(
        'NO_SUCH_KEY',
        `The stack has no signing key in the place ${place}.`,
        'd1-token key rollover start makes one.',
      );
    }
    const { pem, jwk, thumbprint } = await readPublicKey(clients, key.arn);
    const named = { ...jwk, kid: key.kid, use: 'sig', alg: 'ES256' };
    progress(`Signing key ${place}, kid ${key.kid}, ${key.arn}, RFC 7638 thumbprint ${thumbprint}.`);
    return {
      facts: { place, kid: key.kid, arn: key.arn, pem, jwk: named, thumbprint },
      text: [flags.format === 'jwk' ? JSON.stringify(named) : pem.trimEnd()],
    };
  });
}
