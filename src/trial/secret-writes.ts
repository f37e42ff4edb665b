import { ListSecretVersionIdsCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

const DAY_MILLISECONDS = 86_400_000;

/**
 * How often the token secret was written within 24 hours: AWS keeps versions that are younger, and about a hundred of
 * them are the quota.
 *
 * @param now Milliseconds since 1970 UTC.
 * @returns `undefined` when the versions can't be listed: the count is for people, and no refresh needs it.
 */
export async function writesWithin24Hours(
  client: Pick<SecretsManagerClient, 'send'>,
  secretId: string,
  now: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  let writes = 0;
  let NextToken: string | undefined;
  try {
    do {
      const command = new ListSecretVersionIdsCommand({
        SecretId: secretId,
        IncludeDeprecated: true,
        ...(NextToken !== undefined && { NextToken }),
      });
      const page = await client.send(command, { abortSignal: signal });
      writes += (page.Versions ?? []).filter(({ CreatedDate }) => isYoung(CreatedDate, now)).length;
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
    return writes;
  } catch {
    return undefined;
  }
}

const isYoung = (created: Date | undefined, now: number) =>
  created !== undefined && created.getTime() > now - DAY_MILLISECONDS;
