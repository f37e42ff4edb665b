import type { Input } from '../input.ts';
import type { Secret } from './secret.ts';

const keys = ['description', 'name', 'tag-key', 'tag-value', 'primary-region', 'owning-service', 'all'] as const;

export interface Filter {
  readonly key: (typeof keys)[number];
  readonly values: readonly string[];
}

export function readFilters(input: Input): readonly Filter[] {
  return input.optionalObjects('Filters', { max: 10 }).map((filter) => {
    const key = filter.optionalOneOf('Key', keys);
    const values = filter.optionalStrings('Values', { max: 10 }, { max: 512 });
    if (key === undefined || values === undefined) throw input.error('A filter needs a Key and Values.');
    return { key, values };
  });
}

/** Every filter must match, with one of its values; a value after an exclamation mark must not ("Filter"). */
export const isWanted = (secret: Secret, filters: readonly Filter[]): boolean =>
  filters.every(({ key, values }) =>
    values.some((value) =>
      value.startsWith('!') ? !matches(secret, key, value.slice(1)) : matches(secret, key, value),
    ),
  );

function matches({ name, description = '' }: Secret, key: Filter['key'], value: string): boolean {
  switch (key) {
    case 'name':
      return name.startsWith(value);
    case 'description':
      return description.toLowerCase().startsWith(value.toLowerCase());
    case 'all': {
      const words = [name, description].flatMap(wordsOf);
      return wordsOf(value).some((wanted) => words.some((word) => word.startsWith(wanted)));
    }
    default:
      // Secrets have no tags here, no replicas, and no service that owns them.
      return false;
  }
}

/** "Separated by any change from uppercase to lowercase, from letter to number, or to punctuation" ("Find secrets"). */
const wordsOf = (text: string): string[] =>
  (text.match(/[A-Z]?[a-z]+|[A-Z]+|[0-9]+/g) ?? []).map((word) => word.toLowerCase());
