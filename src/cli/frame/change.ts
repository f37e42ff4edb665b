import { usageFailure } from './cli-failure.ts';
import type { Result, Session } from './command.ts';
import type { ChangeFlags } from './flags.ts';
import { type FunctionConfiguration, isProduction } from './stage.ts';

/** What a change must know of where it is made. */
type ChangeSession = Session & { readonly configuration: Pick<FunctionConfiguration, 'environment'> };

/**
 * What every change begins with: it says where it is, stops in a dry run, and on production wants the issuer id.
 *
 * @param what What will be done, as a sentence.
 * @param several The word that confirms a change of several issuers at once: it can't be the id of one.
 * @returns The result of a dry run; `undefined` when the change may be made.
 * @throws CliFailure USAGE when it was not confirmed.
 */
export async function mayChange(
  session: ChangeSession,
  flags: ChangeFlags,
  what: string,
  several?: string,
): Promise<Result | undefined> {
  const { account, region, issuerId } = session.place;
  session.progress(
    `Account ${account}, Region ${region}, stage ${flags.stage}, ${several ? 'several issuers' : `issuer ${issuerId}`}.`,
  );
  if (flags.dryRun) return { dryRun: true, facts: { would: what }, text: [`Dry run, nothing was changed: ${what}`] };
  if (!isProduction(session.configuration)) return undefined;
  const [word, kind] = several === undefined ? [issuerId, 'issuer id'] : [several, 'name of the stage'];
  const typed = flags.confirm ?? (await session.ask(`${what}\nThis is production. Type the ${kind} to go on: `));
  if (typed === word && typed !== undefined) return undefined;
  throw usageFailure(
    typed === undefined ? 'This is production, and nobody has confirmed it.' : `That is not the ${kind}.`,
    `Give --confirm ${word ?? 'ISSUER'}, or answer the question in a terminal.`,
  );
}
