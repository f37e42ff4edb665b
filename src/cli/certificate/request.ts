import { mayChange } from '../frame/change.ts';
import { failure, usageFailure } from '../frame/cli-failure.ts';
import { openStage, runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { ChangeFlags } from '../frame/flags.ts';
import { certificateSecret } from './secret.ts';
import { type KeyAlgorithm, makeSigningRequest } from './signing-request.ts';

export interface RequestFlags extends ChangeFlags {
  readonly commonName: string;
  readonly organization?: string;
  readonly key: KeyAlgorithm;
  readonly replace: boolean;
}

/** The longest Common Name there can be (RFC 5280, appendix A.1: ub-common-name). */
const LONGEST_COMMON_NAME = 64;

export async function requestCertificate(this: Context, flags: RequestFlags): Promise<void> {
  await runCommand(this, 'certificate request', flags, async (session) => {
    const { commonName, organization, key, replace } = flags;
    if (commonName.trim() === '' || commonName.length > LONGEST_COMMON_NAME) {
      throw usageFailure('The Common Name is empty or too long.', `It has 1-${LONGEST_COMMON_NAME} characters.`);
    }
    const stage = await openStage(session);
    const secret = certificateSecret(stage);
    if ((await secret.labels()).has('WAITING') && !replace) {
      throw failure(
        'KEY_WAITS',
        'A key waits for its certificate already.',
        'd1-token certificate show prints its request again; --replace gives it up for a new one.',
      );
    }
    const what = `A new ${key} key is made in memory and put into the secret, where it waits for the certificate of ${commonName}.`;
    const dry = await mayChange(stage, flags, what);
    if (dry) return dry;
    if (key === 'rsa4096') stage.progress('Looking for two primes; this takes some seconds.');
    const made = await makeSigningRequest({ commonName, organization }, key);
    const id = await secret.put({ private_key: made.privateKey, certificate_request: made.request });
    return {
      facts: {
        common_name: commonName,
        organization: organization ?? null,
        key,
        version_id: id,
        request: made.request,
      },
      text: [made.request.trimEnd()],
      next: flags.json ? [installNext(flags.stage)] : tell(stage.progress, installNext(flags.stage)),
    };
  });
}

const installNext = (stage: string) =>
  `send Thales the request; when the certificate comes: d1-token certificate install --stage ${stage} FILE`;

/** The standard output is the request alone, so that it can be a file. */
function tell(progress: (text: string) => void, next: string): readonly string[] {
  progress(`Next: ${next}`);
  return [];
}
