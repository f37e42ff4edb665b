import type { IssuerFields } from '../../fleet/issuer.ts';
import { mayChange } from '../frame/change.ts';
import { CliFailure, failure } from '../frame/cli-failure.ts';
import { type Result, runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { ChangeFlags } from '../frame/flags.ts';
import { isProduction } from '../frame/stage.ts';
import { forEach } from './at-once.ts';
import { type Fleet, openFleet } from './fleet.ts';
import { make } from './make.ts';
import { createPlanner, type Plan } from './plan.ts';
import { complete, mustBeRight, type OneIssuerFlags, readWanted } from './wanted.ts';

export interface AddFlags extends ChangeFlags, OneIssuerFlags {
  readonly file?: string;
}

export async function addIssuers(this: Context, flags: AddFlags): Promise<void> {
  await runCommand(this, 'issuer add', flags, async (session) => {
    const wanted = await readWanted(flags);
    const fleet = await openFleet(session);
    const { stage } = flags;
    const { secretPrefix, place, progress } = fleet;
    mustBeRight(
      wanted.map((fields) => complete(fields, { stage, secretPrefix })),
      secretPrefix,
    );
    if (wanted.length > 1) progress(`Looking at what is there of ${wanted.length} issuers.`);
    const plans = await planAll(fleet, wanted);
    mustBeRight(
      plans.map(({ fields }) => fields),
      secretPrefix,
    );
    const faults = plans.flatMap((plan) => plan.faults);
    if (faults.length > 0) throw failure('ISSUER_UNSUITABLE', faults.join(' '), 'Nothing was changed.');

    const [only, ...others] = plans;
    if (only && others.length === 0) place.issuerId = only.issuerId;
    const open = plans.filter(({ makes }) => makes.length > 0);
    const result = resultOf(plans);
    if (open.length === 0) {
      return { ...result, dryRun: flags.dryRun, text: [`Nothing to do: ${plans.length} as wanted.`] };
    }
    const what = `${summary(plans)}.`;
    const ofProduction = open.some(({ fields, before }) => [fields, before ?? {}].some(isOfProduction));
    const configuration = { environment: ofProduction ? { D1_ENVIRONMENT: 'production' } : {} };
    const dry = await mayChange({ ...fleet, configuration }, flags, what, others.length > 0 ? stage : undefined);
    if (dry) return { ...dry, facts: { ...dry.facts, ...result.facts }, text: [...dry.text, ...open.map(told)] };

    let done = 0;
    await forEach(open, async (plan) => {
      await make(fleet, plan).catch((error: unknown) => {
        if (!(error instanceof CliFailure)) throw error;
        throw new CliFailure({ ...factsOf(error), what: `Issuer ${plan.issuerId}: ${error.what}` });
      });
      done += 1;
      progress(`${done} of ${open.length}: ${told(plan)}`);
    }).catch((error: unknown) => {
      if (!(error instanceof CliFailure)) throw error;
      throw new CliFailure({
        ...factsOf(error),
        what: `${error.what} ${done} of ${open.length} are done.`,
        remedy: `${error.remedy} Then give the command again: it goes on where it broke off.`,
      });
    });
    return { ...result, text: [`Done: ${summary(plans)}.`] };
  });
}

const factsOf = ({ code, what, remedy, outcome }: CliFailure) => ({ code, what, remedy, outcome });

const isOfProduction = ({ environment = '' }: IssuerFields) =>
  isProduction({ environment: { D1_ENVIRONMENT: environment } });

async function planAll(fleet: Fleet, wanted: readonly IssuerFields[]): Promise<readonly Plan[]> {
  const planFor = createPlanner(fleet);
  const plans = new Map<IssuerFields, Plan>();
  await forEach(wanted, async (fields) => void plans.set(fields, await planFor(fields)));
  return wanted.flatMap((fields) => plans.get(fields) ?? []);
}

function counts(plans: readonly Plan[]) {
  const added = plans.filter(({ before }) => !before).length;
  const changed = plans.filter(({ before, changes }) => before && changes.length > 0).length;
  const completed = plans.filter(
    ({ before, changes, makes }) => before && changes.length === 0 && makes.length > 0,
  ).length;
  return { added, changed, completed, unchanged: plans.length - added - changed - completed };
}

function summary(plans: readonly Plan[]): string {
  const { added, changed, completed, unchanged } = counts(plans);
  return `${added} added, ${changed} changed, ${completed} completed, ${unchanged} left as they are`;
}

const named: Readonly<Record<Plan['makes'][number], string>> = {
  signing_key: 'a signing key',
  token_secret: 'an empty token secret',
  client_certificate_secret: 'an empty certificate secret',
  alias: 'its alias',
  index: 'its entry in the index',
};

const told = ({ issuerId, makes, changes, before }: Plan): string => {
  const made = makes.filter((part) => part !== 'index' || !before).map((part) => named[part]);
  return [`${issuerId}: ${before ? 'there' : 'new'}`, ...made, ...changes].join(', ');
};

function resultOf(plans: readonly Plan[]): Pick<Result, 'facts' | 'next'> {
  const fresh = plans.filter(
    ({ makes }) => makes.includes('signing_key') || makes.includes('client_certificate_secret'),
  );
  return {
    facts: {
      ...counts(plans),
      issuers: plans
        .filter(({ makes }) => makes.length > 0)
        .map(({ issuerId, makes, changes }) => ({ issuer_id: issuerId, makes, changes })),
    },
    ...(fresh.length > 0 && {
      next: [
        'Give Thales the public half of each new key (aws kms get-public-key), and put the client certificate that it sends into the certificate secret; d1-token issuer check ID tells whether all is there.',
      ],
    }),
  };
}
