import { readFile } from 'node:fs/promises';
import { BrokerError } from '../../errors.ts';
import { type IssuerFields, readIssuers } from '../../fleet/issuer.ts';
import { parseJson } from '../../shared/json.ts';
import { CliFailure, usageFailure } from '../frame/cli-failure.ts';
import { fleetStackNameOf } from '../frame/stage.ts';

/** What the command line says of one issuer. */
export interface OneIssuerFlags {
  readonly issuerId?: string;
  readonly keyId?: string;
  readonly environment?: string;
  readonly signingKeyId?: string;
  readonly subject?: string;
  readonly audience?: string;
  readonly owner?: string;
}

/** @returns One issuer, as the flags tell it, or those of the file. @throws CliFailure USAGE */
export async function readWanted(flags: OneIssuerFlags & { readonly file?: string }): Promise<readonly IssuerFields[]> {
  const { issuerId, keyId, environment, signingKeyId, subject, audience, owner, file } = flags;
  const one = Object.entries({
    issuer_id: issuerId,
    key_id: keyId,
    environment,
    signing_key_id: signingKeyId,
    subject,
    audience,
    owner,
  }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  if ((file === undefined) === (one.length === 0)) {
    throw usageFailure(
      'The issuers are told by --file, or one of them by --issuer-id, --key-id and --environment.',
      'd1-token issuer add --help shows both.',
    );
  }
  return file === undefined ? [Object.fromEntries(one)] : readList(file);
}

async function readList(file: string): Promise<readonly IssuerFields[]> {
  const remedy =
    'It is a list in JSON, an object for each issuer, whose values are texts; d1-token issuer add --help shows one.';
  const text = await readFile(file, 'utf8').catch(() => {
    throw usageFailure(`The file ${file} cannot be read.`, remedy);
  });
  const list = parseJson(text);
  if (!Array.isArray(list) || list.length === 0)
    throw usageFailure(`The file ${file} holds no list of issuers.`, remedy);
  const faults = list.flatMap((entry: unknown, index) => {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
      return [`Issuer number ${index + 1} is not an object.`];
    }
    return Object.entries(entry)
      .filter(([, value]) => typeof value !== 'string')
      .map(([name]) => `Issuer number ${index + 1}: field ${name} is not a text.`);
  });
  if (faults.length > 0) throw usageFailure(faults.join(' '), remedy);
  return list as IssuerFields[];
}

/** The name by which the key of an issuer is found again: of a run that broke off, and of an issuer that was removed. */
export const keyAliasOf = (stage: string, issuerId: string) => `alias/${fleetStackNameOf(stage)}/${issuerId}`;

/**
 * The fields as they come into the index. What is not told stays as it was where it says where something is kept, and else is
 * made; what is told without a value is not there.
 */
export function complete(
  fields: IssuerFields,
  { stage, secretPrefix, before = {} }: { stage: string; secretPrefix: string; before?: IssuerFields },
): IssuerFields {
  const { issuer_id: issuerId = '' } = fields;
  const kept = ({ signing_key_id, token_secret_id, client_certificate_secret_id }: IssuerFields) => ({
    signing_key_id,
    token_secret_id,
    client_certificate_secret_id,
  });
  const made = {
    signing_key_id: keyAliasOf(stage, issuerId),
    token_secret_id: `${secretPrefix}${issuerId}/access-token`,
    client_certificate_secret_id: `${secretPrefix}${issuerId}/client-certificate`,
  };
  return Object.fromEntries(
    [made, kept(before), fields]
      .flatMap((source) => Object.entries(source))
      .flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, value]])),
  );
}

/** Checks a list whole. @throws CliFailure CONFIG_INVALID with each fault, its issuer and its field. */
export function mustBeRight(list: readonly IssuerFields[], secretPrefix: string): void {
  try {
    // Time-outs and windows are the deployment's: their defaults have no faults.
    readIssuers(list, {});
  } catch (thrown) {
    if (!BrokerError.is(thrown)) throw thrown;
    throw new CliFailure({ code: thrown.code, what: thrown.what, remedy: thrown.remedy, outcome: 'usage' });
  }
  const faults = list.flatMap((fields) =>
    (
      [
        ['token_secret_id', 'access-token'],
        ['client_certificate_secret_id', 'client-certificate'],
      ] as const
    )
      .filter(([field, ending]) => !isReadable(fields[field] ?? '', secretPrefix, ending))
      .map(
        ([field, ending]) =>
          `Issuer ${fields['issuer_id']}: field ${field} must begin with ${secretPrefix} and end with ${ending}.`,
      ),
  );
  if (faults.length === 0) return;
  throw new CliFailure({
    code: 'CONFIG_INVALID',
    what: faults.join(' '),
    remedy: 'The functions may use no other secrets. Leave these fields out, and secrets are made.',
    outcome: 'usage',
  });
}

/** As infra/fleet/template.yml permits it. An ARN ends with six characters of Secrets Manager's own. */
function isReadable(secretId: string, prefix: string, ending: string): boolean {
  const [, name = secretId] = /^arn:[^:]+:secretsmanager:[^:]*:\d{12}:secret:(.+?)(?:-\w{6})?$/.exec(secretId) ?? [];
  return name.startsWith(prefix) && name.endsWith(ending);
}
