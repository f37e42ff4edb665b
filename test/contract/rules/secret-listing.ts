import {
  CreateSecretCommand,
  DeleteSecretCommand,
  type Filter,
  ListSecretsCommand,
  type ListSecretsCommandInput,
} from '@aws-sdk/client-secrets-manager';
import { expect } from 'vitest';
import type { Aws } from '../implementations.ts';
import { expectRefusal, type Rule, secretsReference } from '../rule.ts';
import { newName } from './secrets.ts';

const list = ({ secretsManager }: Aws, input: ListSecretsCommandInput) =>
  secretsManager.send(new ListSecretsCommand(input));

/** Secrets under a prefix of their own, which is the only thing that they are listed by. */
async function createThree(aws: Aws) {
  const prefix = newName();
  for (const [name, Description] of [
    ['one', 'First'],
    ['two', 'Second'],
    ['Three', 'Third'],
  ]) {
    const input = { Name: `${prefix}/${name}`, Description: `${prefix} ${Description}`, SecretString: 'value' };
    await aws.secretsManager.send(new CreateSecretCommand(input));
  }
  const ours: Filter = { Key: 'name', Values: [`${prefix}/`] };
  const names = async (input: ListSecretsCommandInput = {}) => {
    const { SecretList = [] } = await list(aws, { ...input, Filters: [ours, ...(input.Filters ?? [])] });
    return SecretList.map(({ Name = '' }) => Name.slice(prefix.length + 1));
  };
  return { prefix, ours, names };
}

const filterReference = secretsReference('Filter');

export const listingRules: readonly Rule[] = [
  {
    id: 'list-entry',
    statement: 'ListSecrets gives ARN, name, description, dates and the labels of the versions, and no value.',
    source: secretsReference('ListSecrets', 'Response Elements'),
    async check(aws) {
      const { prefix } = await createThree(aws);
      const { SecretList } = await list(aws, { Filters: [{ Key: 'name', Values: [`${prefix}/one`] }] });
      expect(SecretList).toHaveLength(1);
      expect(SecretList?.[0]).toMatchObject({
        ARN: expect.stringMatching(/^arn:aws:secretsmanager:/),
        Name: `${prefix}/one`,
        Description: `${prefix} First`,
        CreatedDate: expect.any(Date),
        LastChangedDate: expect.any(Date),
      });
      expect(Object.values(SecretList?.[0]?.SecretVersionsToStages ?? {})).toEqual([['AWSCURRENT']]);
      expect(JSON.stringify(SecretList)).not.toContain('value');
    },
  },
  {
    id: 'list-pages',
    statement: 'MaxResults limits a page. NextToken is there while there is more, and gives the next one.',
    source: secretsReference('ListSecrets', 'NextToken'),
    async check(aws) {
      const { prefix, ours } = await createThree(aws);
      const seen: (string | undefined)[] = [];
      const tokens: boolean[] = [];
      let NextToken: string | undefined;
      do {
        const page = await list(aws, { Filters: [ours], MaxResults: 1, NextToken });
        seen.push(...(page.SecretList ?? []).map(({ Name }) => Name));
        NextToken = page.NextToken;
        tokens.push(NextToken !== undefined);
      } while (NextToken !== undefined && tokens.length < 10);
      expect(seen.toSorted()).toEqual(['Three', 'one', 'two'].map((name) => `${prefix}/${name}`));
    },
  },
  {
    id: 'list-invalid-token',
    statement: 'A NextToken that is none is refused with InvalidNextTokenException.',
    source: secretsReference('ListSecrets', 'Errors'),
    check: (aws) => expectRefusal(list(aws, { NextToken: 'none of yours' }), 'InvalidNextTokenException'),
  },
  {
    id: 'list-filter-name',
    statement: 'The filter name matches the beginning, with its case.',
    source: filterReference,
    async check(aws) {
      const { prefix } = await createThree(aws);
      const { SecretList } = await list(aws, { Filters: [{ Key: 'name', Values: [`${prefix}/t`] }] });
      expect(SecretList?.map(({ Name }) => Name)).toEqual([`${prefix}/two`]);
    },
  },
  {
    id: 'list-filter-description',
    statement: 'The filter description matches the beginning, without its case.',
    source: filterReference,
    async check(aws) {
      const { prefix } = await createThree(aws);
      const { SecretList } = await list(aws, { Filters: [{ Key: 'description', Values: [`${prefix} sEC`] }] });
      expect(SecretList?.map(({ Name }) => Name)).toEqual([`${prefix}/two`]);
    },
  },
  {
    id: 'list-filter-not',
    statement: 'An exclamation mark before a value of a filter negates it.',
    source: filterReference,
    async check(aws) {
      const { prefix, names } = await createThree(aws);
      const found = await names({ Filters: [{ Key: 'name', Values: [`!${prefix}/T`] }] });
      expect(found.toSorted()).toEqual(['one', 'two']);
    },
  },
  {
    id: 'list-sort-order',
    statement: 'SortOrder lists by creation, ascending or descending.',
    source: secretsReference('ListSecrets', 'SortOrder'),
    async check(aws) {
      const { names } = await createThree(aws);
      expect(await names({ SortOrder: 'asc' })).toEqual(['one', 'two', 'Three']);
      expect(await names({ SortOrder: 'desc' })).toEqual(['Three', 'two', 'one']);
    },
  },
  {
    id: 'list-deleted',
    statement: 'A secret that is scheduled for deletion is listed with IncludePlannedDeletion only.',
    source: secretsReference('ListSecrets', 'IncludePlannedDeletion'),
    async check(aws) {
      const { prefix, names } = await createThree(aws);
      await aws.secretsManager.send(new DeleteSecretCommand({ SecretId: `${prefix}/one` }));
      expect((await names()).toSorted()).toEqual(['Three', 'two']);
      expect((await names({ IncludePlannedDeletion: true })).toSorted()).toEqual(['Three', 'one', 'two']);
    },
  },
];
