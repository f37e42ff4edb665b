import { buildCommand, buildRouteMap } from '@stricli/core';
import type { Context } from '../frame/context.ts';
import { changeFlags, type PlaceFlags, placeFlags } from '../frame/flags.ts';
import { paramsFileFlag } from '../frame/params-file.ts';
import type { ExportFlags } from './export.ts';
import type { RolloverFlags, StartFlags, StatusFlags } from './rollover.ts';

const file = { kind: 'tuple', parameters: [{ parse: String, brief: 'The file', placeholder: 'FILE' }] } as const;
const examples = (text: string, ...lines: string[]) =>
  [text, '', 'Examples:', ...lines.map((line) => `  ${line}`)].join('\n');

const exportCommand = buildCommand<ExportFlags, [], Context>({
  docs: {
    brief: 'Prints the public half of a signing key, for Thales',
    fullDescription: examples(
      'Prints the public half of a signing key: PEM, or JWK (RFC 7517). The RFC 7638 thumbprint is told beside it.',
      'd1-token key export --stage staging > d1-signing-key.pem',
      'd1-token key export --stage staging --place next --format jwk',
    ),
  },
  parameters: {
    flags: {
      ...placeFlags,
      place: { kind: 'enum', values: ['current', 'next'], optional: true, brief: 'Which key; else the one that signs' },
      format: { kind: 'enum', values: ['pem', 'jwk'], default: 'pem', brief: 'How it is printed' },
    },
  },
  loader: async () => (await import('./export.ts')).exportKey,
});

const verifyCommand = buildCommand<PlaceFlags, [string], Context>({
  docs: {
    brief: 'Tells whether a file holds a signing key of this stack',
    fullDescription: examples(
      'Compares a public key (PEM or JWK) with the signing keys of the stack: what Thales says it has, for one.',
      'd1-token key verify --stage staging from-thales.pem',
    ),
  },
  parameters: { flags: placeFlags, positional: file },
  loader: async () => (await import('./verify.ts')).verifyKey,
});

const rolloverRoutes = buildRouteMap<string, Context>({
  routes: {
    status: buildCommand<StatusFlags, [], Context>({
      docs: { brief: 'Says where a rollover is, and what comes next' },
      parameters: { flags: { ...placeFlags, file: paramsFileFlag } },
      loader: async () => (await import('./rollover.ts')).status,
    }),
    start: buildCommand<StartFlags, [], Context>({
      docs: {
        brief: 'Gives the stack a second signing key; the first one goes on signing',
        fullDescription: examples(
          'Gives the stack a second signing key under a kid of its own. The first one goes on signing.',
          'd1-token key rollover start --stage staging --kid bank-2027',
          'd1-token key rollover start --stage production --kid bank-2027 --confirm ISSUER0001',
        ),
      },
      parameters: {
        flags: {
          ...changeFlags,
          file: paramsFileFlag,
          kid: {
            kind: 'parsed',
            parse: String,
            brief: 'The kid of the new key, agreed with Thales',
            placeholder: 'KID',
          },
        },
      },
      loader: async () => (await import('./rollover.ts')).start,
    }),
    check: change('Has the function get a token with the candidate, and records on the key that it worked', 'check'),
    switch: change('The candidate signs from now on; refused unless a check with it passed within a day', 'switchKeys'),
    back: change('The way back: the old key signs again, or the candidate leaves the stack', 'back'),
    finish: change('The old key leaves the stack; it stays in the account', 'finish'),
  },
  docs: {
    brief: 'Replaces the signing key without an outage',
    fullDescription: [
      'Replaces the signing key without an outage, a step at a time. The state is in AWS: a laptop may be closed after any step.',
      'A step changes the stack, and in a checkout also the stage in infra/params.yml, by which the next deployment goes;',
      'every other byte of that file stays. Elsewhere it says what to write there.',
    ].join('\n'),
  },
});

export const keyRoutes = buildRouteMap<string, Context>({
  routes: { export: exportCommand, verify: verifyCommand, rollover: rolloverRoutes },
  docs: { brief: 'The signing key: its public half, and its replacement' },
});

function change(brief: string, name: 'check' | 'switchKeys' | 'back' | 'finish') {
  return buildCommand<RolloverFlags, [], Context>({
    docs: { brief },
    parameters: { flags: { ...changeFlags, file: paramsFileFlag } },
    loader: async () => (await import('./rollover.ts'))[name],
  });
}
