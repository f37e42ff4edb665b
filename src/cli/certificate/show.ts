import type { CheckReport, Which } from '../../shared/check-report.ts';
import { CliFailure } from '../frame/cli-failure.ts';
import { openStage, runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { Facts } from '../frame/document.ts';
import type { PlaceFlags } from '../frame/flags.ts';
import { invokeCheck } from '../frame/invoke.ts';
import { certificateSecret } from './secret.ts';

const SOON_DAYS = 30;

/** As the function sees them: nobody needs to read a private key for it. */
export async function showCertificate(this: Context, flags: PlaceFlags): Promise<void> {
  await runCommand(this, 'certificate show', flags, async (session) => {
    const stage = await openStage(session);
    const { clients, configuration, progress } = stage;
    const secret = certificateSecret(stage);
    const labels = await secret.labels();
    const look = async (which: Which): Promise<Facts> =>
      seen(await invokeCheck(clients, configuration.name, { certificate: which, exchange: false }, progress));
    const current = labels.has('AWSCURRENT') ? await look('current') : null;
    const waiting = labels.has('WAITING') ? { ...(await look('next')), request: await requestOf(secret) } : null;
    const previous = labels.has('AWSPREVIOUS');
    const days = current?.['days_left'];
    return {
      outcome: typeof days === 'number' && days < SOON_DAYS ? 'attention' : 'good',
      facts: { current, waiting, previous },
      text: [
        `Current:  ${told(current)}`,
        `Waiting:  ${told(waiting)}`,
        `Previous: ${previous ? 'there is one; d1-token certificate back makes it current' : 'none'}`,
        ...(waiting?.request ? ['', waiting.request.trimEnd()] : []),
      ],
    };
  });
}

function seen({ steps }: CheckReport): Facts {
  const step = steps.find((one) => one.step === 'client_certificate');
  if (step?.outcome === 'ok') return step.facts;
  return {
    error_code: step?.outcome === 'failed' ? step.error_code : null,
    what: step?.outcome === 'failed' ? step.what : null,
  };
}

/** The request is public; who may not read the secret does without it. */
async function requestOf(secret: ReturnType<typeof certificateSecret>): Promise<string | null> {
  try {
    return (await secret.read('WAITING'))?.request ?? null;
  } catch (error) {
    if (error instanceof CliFailure && error.outcome === 'no_access') return null;
    throw error;
  }
}

function told(certificate: Facts | null): string {
  if (!certificate) return 'none';
  const { subject, days_left: days, what } = certificate;
  return subject === undefined ? `not usable: ${String(what)}` : `${String(subject)}, ${String(days)} days left`;
}
