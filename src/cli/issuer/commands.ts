import { buildCommand, buildRouteMap } from '@stricli/core';
import type { Context } from '../frame/context.ts';
import { type ChangeFlags, changeFlags, optionalText, type PlaceFlags, placeFlags } from '../frame/flags.ts';
import type { AddFlags } from './add.ts';
import type { ListFlags } from './list.ts';

const issuer = { kind: 'tuple', parameters: [{ parse: String, brief: "The issuer's id", placeholder: 'ID' }] } as const;

export const issuerRoutes = buildRouteMap<string, Context>({
  routes: {
    add: buildCommand<AddFlags, [], Context>({
      docs: {
        brief: 'Adds issuers to the stack for many, or changes them',
        fullDescription: [
          'Makes what each issuer needs and lacks: a signing key, two empty secrets, the alias by which callers name it, and last',
          'its entry in the index. What is there stays; a field that differs is changed, and then the issuer is tried at once.',
          'The whole list is checked before anything is made. The command can be given again: it goes on where it broke off.',
          'Two issuers a second are made: Secrets Manager takes 50 writes a second, and refreshes may need 44 of them.',
          '',
          'A file is a list in JSON, an object for each issuer. It must have issuer_id, key_id and environment, and may have',
          'signing_key_id (a key with the tag d1-token-broker=STAGE, for one that many share), token_secret_id,',
          'client_certificate_secret_id, subject, audience and owner:',
          '  [{"issuer_id": "ISSUER0001", "key_id": "bank-2026", "environment": "production", "owner": "BANK"}, …]',
          'An aggregator is one issuer here: its own id is issuer_id, which is the iss, and with no other subject the sub. One token',
          'serves all for whom it works, if Thales grants it that way.',
          '',
          'On production several issuers at once are confirmed by the name of the stage, one by its id.',
          '',
          'Examples:',
          '  d1-token issuer add --stage staging --issuer-id ISSUER0001 --key-id bank-2026 --environment staging',
          '  d1-token issuer add --stage production --file issuers.json --dry-run',
          '  d1-token issuer add --stage production --file issuers.json --confirm production',
        ].join('\n'),
      },
      parameters: {
        flags: {
          ...changeFlags,
          confirm: optionalText(
            'On production: the issuer id, or the stage for several; a person is asked for it',
            'WORD',
          ),
          file: optionalText('The issuers, as a list in JSON', 'FILE'),
          issuerId: optionalText("One issuer: its id, the assertion's iss", 'ISSUER'),
          keyId: optionalText('Its kid, agreed with Thales', 'KID'),
          environment: optionalText('production, staging, develop, or a base URL', 'D1'),
          signingKeyId: optionalText('A key that is there, by id, ARN or alias; else one is made', 'KEY'),
          subject: optionalText("The assertion's sub; else the issuer id", 'SUB'),
          audience: optionalText("The assertion's aud; else the token endpoint", 'AUD'),
          owner: optionalText("Whose it is: one owner's many don't keep another's few waiting", 'OWNER'),
        },
      },
      loader: async () => (await import('./add.ts')).addIssuers,
    }),
    list: buildCommand<ListFlags, [], Context>({
      docs: {
        brief: 'Shows the issuers, the one with the least time left first',
        fullDescription: [
          'Shows each issuer of the stack for many: owner, seconds left, failures in a row and their code.',
          '',
          'Examples:',
          '  d1-token issuer list --stage production --worst 20',
        ].join('\n'),
      },
      parameters: {
        flags: {
          ...placeFlags,
          worst: { kind: 'parsed', parse: count, optional: true, brief: 'Only so many', placeholder: 'N' },
        },
      },
      loader: async () => (await import('./list.ts')).listIssuers,
    }),
    check: buildCommand<PlaceFlags, [string], Context>({
      docs: {
        brief: 'Says of one issuer what is there, what is missing, and what to do',
        fullDescription: [
          'Looks at its key, its secrets, its alias and its last try, and has the function look through its eyes: whether it can',
          'sign, how long the certificate lives, and whether D1 is reached. No token is asked for.',
          '',
          'Examples:',
          '  d1-token issuer check --stage production ISSUER0001',
        ].join('\n'),
      },
      parameters: { flags: placeFlags, positional: issuer },
      loader: async () => (await import('./check.ts')).checkIssuer,
    }),
    remove: buildCommand<ChangeFlags, [string], Context>({
      docs: {
        brief: 'Takes an issuer out; its key and its secrets are kept',
        fullDescription: [
          'Takes an issuer out of the index, so that nobody tries it, and then its alias. Its signing key and its secrets are kept,',
          'and an issuer that is added again finds them.',
          '',
          'Examples:',
          '  d1-token issuer remove --stage staging ISSUER0001 --dry-run',
          '  d1-token issuer remove --stage production ISSUER0001 --confirm ISSUER0001',
        ].join('\n'),
      },
      parameters: { flags: changeFlags, positional: issuer },
      loader: async () => (await import('./remove.ts')).removeIssuer,
    }),
  },
  docs: { brief: 'The issuers of a stack for many' },
});

function count(input: string): number {
  if (!/^[1-9]\d{0,5}$/.test(input)) throw new TypeError('a number is 1-999999');
  return Number(input);
}
