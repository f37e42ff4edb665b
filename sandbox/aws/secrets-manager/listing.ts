import { AwsError } from '../aws-error.ts';
import type { Input } from '../input.ts';
import { type Filter, isWanted, readFilters } from './filters.ts';
import type { Secret } from './secret.ts';
import { listEntry } from './views.ts';

const mostResults = 100;

const keysToSortBy: Readonly<Record<string, (secret: Secret) => number | string>> = {
  'created-date': ({ createdAt }) => createdAt,
  'last-changed-date': ({ changedAt }) => changedAt,
  // Nobody notes when a secret was read.
  'last-accessed-date': () => 0,
  name: ({ name }) => name,
};

/** ListSecrets ("AWS Secrets Manager API Reference"), a page at a time. `secrets` are in the order of their creation. */
export function listed(secrets: readonly Secret[], input: Input) {
  const most = input.optionalInteger('MaxResults', { min: 1, max: mostResults }) ?? mostResults;
  const from = readPosition(input);
  const found = sorted(secrets, input).filter(wantedBy(readFilters(input), input));
  if (from > found.length) throw invalidToken();
  const isMore = found.length > from + most;
  return {
    SecretList: found.slice(from, from + most).map(listEntry),
    ...(isMore && { NextToken: positionToken(from + most) }),
  };
}

function wantedBy(filters: readonly Filter[], input: Input): (secret: Secret) => boolean {
  const withDeleted = input.optionalBoolean('IncludePlannedDeletion') ?? false;
  return (secret) => (withDeleted || !secret.deletion) && isWanted(secret, filters);
}

function sorted(secrets: readonly Secret[], input: Input): readonly Secret[] {
  const by = input.optionalOneOf('SortBy', Object.keys(keysToSortBy)) ?? 'created-date';
  const order = input.optionalOneOf('SortOrder', ['asc', 'desc']) ?? 'asc';
  const key = keysToSortBy[by] ?? (() => 0);
  const ascending = secrets.toSorted((one, other) => (key(one) < key(other) ? -1 : key(one) > key(other) ? 1 : 0));
  return order === 'asc' ? ascending : ascending.toReversed();
}

// A token is a position, made opaque: nobody shall count with it.
const prefix = 'position:';
const positionToken = (position: number) => Buffer.from(`${prefix}${position}`).toString('base64');

function readPosition(input: Input): number {
  const token = input.optionalString('NextToken', { min: 1, max: 4096 });
  if (token === undefined) return 0;
  const position = Number(Buffer.from(token, 'base64').toString().slice(prefix.length));
  if (!Number.isInteger(position) || positionToken(position) !== token) throw invalidToken();
  return position;
}

const invalidToken = () => new AwsError('InvalidNextTokenException', 'The NextToken value is invalid.');
