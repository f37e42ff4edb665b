import { mayChange } from '../frame/change.ts';
import { CliFailure, failure } from '../frame/cli-failure.ts';
import { type Result, runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { Facts } from '../frame/document.ts';
import type { ChangeFlags } from '../frame/flags.ts';
import { readIdentity, readStack, stackNameOf } from '../frame/stage.ts';
import { importStack } from './import.ts';
import type { Retained } from './resource.ts';
import { findRetained } from './retained.ts';
import type { KeyFlags } from './retained-keys.ts';
import { readWanted, type Wanted } from './wanted.ts';

export interface AdoptFlags extends ChangeFlags, KeyFlags {
  readonly file?: string;
}

export async function adopt(this: Context, flags: AdoptFlags): Promise<void> {
  await runCommand(this, 'adopt', flags, async (session) => {
    const { clients, place } = session;
    const { stage } = flags;
    const wanted = await readWanted(flags);
    const { account, region } = await readIdentity(clients);
    Object.assign(place, { account, region, issuerId: wanted.issuerId });
    const there = await readStack(clients, stage).catch((error: unknown) => {
      if (error instanceof CliFailure && error.code === 'STACK_MISSING') return undefined;
      throw error;
    });
    // REVIEW_IN_PROGRESS is a stack that a change set was made for and that is none yet.
    if (there && there.status !== 'REVIEW_IN_PROGRESS') return alreadyThere(there.name, there.status, stage);

    const retained = await findRetained(clients, stage, wanted, flags);
    const missing = wanted.places.filter(
      ({ place: one }) => !retained.some(({ logicalId }) => logicalId === keyAtPlace(one)),
    );
    const facts = factsOf(retained, missing);
    if (retained.length === 0) {
      return {
        facts,
        text: ['Nothing to do: no stack of this stage has left a key or a secret.'],
        next: deploy(stage),
      };
    }
    const list = retained.map(({ logicalId, identifier }) => `  ${logicalId}: ${identifier.value}`);
    const lost = missing.map(
      ({ place: one, kid }) =>
        `No signing key was found for ${one}, kid ${kid}: the deployment makes a new one, which D1 does not know.`,
    );
    const what = [`The stack ${stackNameOf(stage)} is made of these:`, ...list, ...lost].join('\n');
    const dry = await mayChange(
      { ...session, configuration: { environment: { D1_ENVIRONMENT: wanted.environment } } },
      flags,
      what,
    );
    if (dry) return { ...dry, facts: { ...dry.facts, ...facts } };
    await importStack(session, retained, Date.now());
    return {
      facts: { ...facts, imported: true },
      text: [`The stack ${stackNameOf(stage)} is there, with ${retained.length} resources:`, ...list, ...lost],
      next: deploy(stage),
    };
  });
}

const keyAtPlace = (place: 'current' | 'next') => (place === 'current' ? 'CurrentSigningKey' : 'NextSigningKey');

const factsOf = (retained: readonly Retained[], missing: Wanted['places']): Facts => ({
  imported: false,
  retained: retained.map(({ logicalId, type, identifier }) => ({ logical_id: logicalId, type, id: identifier.value })),
  places_without_key: missing.map(({ place }) => place),
});

const deploy = (stage: string) => [`npm run deploy -- --stage ${stage}`, `d1-token doctor --stage ${stage}`];

/** An import makes a stack; into one that is there the deployment puts what it needs. */
function alreadyThere(name: string, status: string, stage: string): Result {
  if (status.endsWith('_IN_PROGRESS')) {
    throw failure('STACK_BUSY', `The stack ${name} is being changed (${status}).`, 'Wait until it is done.');
  }
  if (/^(CREATE_FAILED|(ROLLBACK|DELETE|IMPORT_ROLLBACK)_\w+)$/.test(status)) {
    throw failure(
      'STACK_FAILED',
      `The stack ${name} is ${status}.`,
      `Nothing that is to be kept goes with it: aws cloudformation delete-stack --stack-name ${name}, and then this command again.`,
    );
  }
  const isImported = status === 'IMPORT_COMPLETE';
  return {
    facts: { imported: isImported, retained: [], places_without_key: [] },
    text: [`Nothing to do: the stack ${name} is there (${status}).`],
    next: isImported ? deploy(stage) : [],
  };
}
