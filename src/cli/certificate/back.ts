import { mayChange } from '../frame/change.ts';
import { failure } from '../frame/cli-failure.ts';
import { openStage, runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { ChangeFlags } from '../frame/flags.ts';
import { invokeCheck, mustHavePassed } from '../frame/invoke.ts';
import { certificateSecret } from './secret.ts';

export async function previousCertificate(this: Context, flags: ChangeFlags): Promise<void> {
  await runCommand(this, 'certificate back', flags, async (session) => {
    const stage = await openStage(session);
    const secret = certificateSecret(stage);
    const labels = await secret.labels();
    const [from, to] = [labels.get('AWSCURRENT'), labels.get('AWSPREVIOUS')];
    if (to === undefined) {
      throw failure('NO_PREVIOUS', 'The secret holds no previous certificate.', 'There is nothing to go back to.');
    }
    const dry = await mayChange(
      stage,
      flags,
      'The previous certificate becomes current when the function got a token with it, and the current one previous.',
    );
    if (dry) return dry;
    const { clients, configuration, progress } = stage;
    progress('The function tries the previous certificate at D1.');
    // Before the first certificate of all there was a version that held its key alone.
    const report = await invokeCheck(clients, configuration.name, { certificate: 'previous' }, progress);
    mustHavePassed(report, 'Nothing was changed: the way back leads to a certificate that works, or nowhere.');
    await secret.move('AWSCURRENT', { from, to });
    return {
      facts: { version_id: to },
      text: [
        'The function got a token with the previous certificate, and it is current. The same command goes forth again.',
      ],
    };
  });
}
