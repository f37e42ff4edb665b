import { aliasOf } from '../../fleet/lookup.ts';
import { mayChange } from '../frame/change.ts';
import { asCliFailure } from '../frame/cli-failure.ts';
import { runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { ChangeFlags } from '../frame/flags.ts';
import { openFleet } from './fleet.ts';
import { hasAlias } from './resources.ts';

/** The index first: from then on nobody tries the issuer, and after a minute its callers are refused. */
export async function removeIssuer(this: Context, flags: ChangeFlags, issuerId: string): Promise<void> {
  await runCommand(this, 'issuer remove', flags, async (session) => {
    const fleet = await openFleet(session);
    const { clients, index, place, pace, tableName, tokenFunction } = fleet;
    place.issuerId = issuerId;
    const [entry, alias] = await Promise.all([index.find(issuerId), hasAlias(fleet, issuerId)]);
    const { signing_key_id, token_secret_id, client_certificate_secret_id, environment = '' } = entry?.fields ?? {};
    const kept = [signing_key_id, token_secret_id, client_certificate_secret_id].filter((one) => one !== undefined);
    const facts = { removes: [...(entry ? ['index'] : []), ...(alias ? ['alias'] : [])], keeps: kept };
    if (!entry && !alias) {
      return { facts, dryRun: flags.dryRun, text: [`Nothing to do: there is no issuer ${issuerId}.`] };
    }
    const stays = kept.length > 0 ? `; ${kept.join(', ')} stay in the account` : '';
    const what = `The issuer ${issuerId} leaves the index, and its alias goes${stays}.`;
    const configuration = { environment: { D1_ENVIRONMENT: environment } };
    const dry = await mayChange({ ...fleet, configuration }, flags, what);
    if (dry) return { ...dry, facts: { ...dry.facts, ...facts } };
    await (await clients.dynamoDb())
      .deleteItem({ TableName: tableName, Key: { issuer_id: { S: issuerId } } })
      .catch((error: unknown) => {
        throw asCliFailure(error, 'dynamodb:DeleteItem');
      });
    if (alias) {
      await pace.alias();
      await (await clients.lambda())
        .deleteAlias({ FunctionName: tokenFunction, Name: aliasOf(issuerId) })
        .catch((error: unknown) => {
          throw asCliFailure(error, 'lambda:DeleteAlias');
        });
    }
    return {
      facts,
      text: [`The issuer ${issuerId} is removed.`, ...kept.map((one) => `Kept: ${one}`)],
      next:
        kept.length > 0
          ? ['Who wants them gone deletes them by hand; a key and a secret can be had back for some days.']
          : [],
    };
  });
}
