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
      'The previous certificate becomes current, and the current one previous.',
    );
    if (dry) return dry;
    await secret.move('AWSCURRENT', { from, to });
    const { clients, configuration, progress } = stage;
    const report = await invokeCheck(clients, configuration.name, {}, progress);
    mustHavePassed(report, 'The previous certificate is current now; the same command goes forth again.');
    return {
      facts: { version_id: to },
      text: ['The previous certificate is current, and the function got a token with it.'],
    };
  });
}
