import type { IssuerFields } from '../../fleet/issuer.ts';
import type { Fleet } from './fleet.ts';
import { hasAlias, lookAtKey, lookAtSecret, type Presence } from './resources.ts';
import { complete, keyAliasOf } from './wanted.ts';

/** What an issuer needs, in the order in which it is made: an issuer is live when it is in the index. */
export const parts = ['signing_key', 'token_secret', 'client_certificate_secret', 'alias', 'index'] as const;
export type Part = (typeof parts)[number];

/** What is to be done for one issuer. */
export interface Plan {
  readonly issuerId: string;
  readonly fields: IssuerFields;
  /** As the index has it; `undefined` for a new one. */
  readonly before: IssuerFields | undefined;
  /** In order; none when all is as wanted. */
  readonly makes: readonly Part[];
  /** Each field that differs, with its value before and after. */
  readonly changes: readonly string[];
  /** What is there and can't be used, or is not there and can't be made. */
  readonly faults: readonly string[];
}

/** Looks at what is there. A key that several have is looked at once. */
export function createPlanner(fleet: Fleet): (wanted: IssuerFields) => Promise<Plan> {
  const { index, secretPrefix, flags } = fleet;
  const keys = new Map<string, Promise<Presence>>();
  const keyOf = (id: string) => {
    const found = keys.get(id) ?? lookAtKey(fleet, id);
    keys.set(id, found);
    return found;
  };
  return async (wanted) => {
    const { issuer_id: issuerId = '' } = wanted;
    const before = (await index.find(issuerId))?.fields;
    const fields = complete(wanted, { stage: flags.stage, secretPrefix, ...(before && { before }) });
    const { signing_key_id = '', token_secret_id = '', client_certificate_secret_id = '' } = fields;
    const [key, token, certificate, alias] = await Promise.all([
      keyOf(signing_key_id),
      lookAtSecret(fleet, token_secret_id),
      lookAtSecret(fleet, client_certificate_secret_id),
      hasAlias(fleet, issuerId),
    ]);
    const looked: readonly [Part, Presence, string, boolean][] = [
      ['signing_key', key, signing_key_id, signing_key_id === keyAliasOf(flags.stage, issuerId)],
      ['token_secret', token, token_secret_id, !token_secret_id.startsWith('arn:')],
      [
        'client_certificate_secret',
        certificate,
        client_certificate_secret_id,
        !client_certificate_secret_id.startsWith('arn:'),
      ],
    ];
    const changes = changesOf(before ?? {}, fields);
    return {
      issuerId,
      fields,
      before,
      makes: [
        ...looked.flatMap(([part, presence]) => (presence === 'missing' ? [part] : [])),
        ...(alias ? [] : ['alias' as const]),
        ...(changes.length > 0 ? ['index' as const] : []),
      ],
      changes: before ? changes : [],
      faults: looked.flatMap(([, presence, id, canBeMade]) => {
        if (presence === 'missing') return canBeMade ? [] : [`Issuer ${issuerId}: ${id} is not there.`];
        return presence === 'there' ? [] : [`Issuer ${issuerId}: ${id} ${presence.why}; ${presence.remedy}.`];
      }),
    };
  };
}

function changesOf(before: IssuerFields, after: IssuerFields): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names
    .filter((name) => before[name] !== after[name])
    .map((name) => `${name}: ${before[name] ?? 'none'} → ${after[name] ?? 'none'}`);
}
