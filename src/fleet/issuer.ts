import { createHash } from 'node:crypto';
import { type Config, numberSettings, readConfig, textSettings } from '../config.ts';
import { BrokerError } from '../errors.ts';

/** What one issuer of many is told by: the function's variables of the same names, in small letters and without `D1_`. */
export type IssuerFields = Readonly<Record<string, string>>;

/** An issuer whose fields are right. */
export interface Issuer {
  readonly issuerId: string;
  /** Whose issuer it is: one owner's many issuers do not keep another's few waiting. The issuer's own id unless told. */
  readonly owner: string;
  readonly config: Config;
  /** Changes with any field: what was made for an older configuration is not used again. */
  readonly fingerprint: string;
}

/** What an issuer may say; the rest (time-outs, attempts, windows) is the deployment's. */
const settings = [
  textSettings.issuerId,
  textSettings.keyId,
  textSettings.environment,
  textSettings.signingKeyId,
  textSettings.tokenSecretId,
  textSettings.clientCertificateSecretId,
  textSettings.subject,
  textSettings.audience,
];
const OWNER = 'owner';

const fieldOf = (variable: string) => variable.replace(/^D1_/, '').toLowerCase();
const variableOf = (field: string) => `D1_${field.toUpperCase()}`;

/** The names that `IssuerFields` may have. */
export const issuerFields: readonly string[] = [...settings.map(({ variable }) => fieldOf(variable)), OWNER];

/** What the deployment says for all: numbers, and what is not the broker's own, like the egress proxy. */
const isShared = (variable: string) =>
  !variable.startsWith('D1_') || Object.values(numberSettings).some((setting) => setting.variable === variable);

/** The same for the same fields, in whatever order. */
export const fingerprintOf = (fields: IssuerFields): string =>
  createHash('sha256')
    .update(JSON.stringify(Object.entries(fields).sort()))
    .digest('hex')
    .slice(0, 16);

/**
 * Reads one issuer of many.
 *
 * @param environment The function's: time-outs, windows and attempts are the deployment's, and the same for all.
 * @throws BrokerError CONFIG_INVALID that lists every fault at once, with issuer and field.
 */
export function readIssuer(fields: IssuerFields, environment: Record<string, string | undefined>): Issuer {
  const { [OWNER]: owner, ...own } = fields;
  const entries = Object.entries(own).map(([field, value]) => [variableOf(field), value]);
  const issuerId = own['issuer_id'] ?? '';
  const known = Object.fromEntries(Object.entries(environment).filter(([variable]) => isShared(variable)));
  const ofMany = new Set<string>(settings.map(({ variable }) => variable));
  const unknown = entries.filter(([variable]) => !ofMany.has(variable ?? ''));
  // Named like a variable of the function that is not an issuer's to say: refused as any other name.
  const refused = Object.fromEntries(unknown.map(([variable, value]) => [`${variable}_`, value]));
  const allowed = Object.fromEntries(entries.filter(([variable]) => ofMany.has(variable ?? '')));
  const config = readConfig(
    { ...known, ...allowed, ...refused },
    {
      nameOf: (variable) => `field ${fieldOf(variable).replace(/_$/, '')}`,
      kind: 'a field of an issuer',
      remedy: 'Correct the entry of this issuer; docs/many-issuers.md lists its fields.',
    },
  );
  return { issuerId, owner: owner || issuerId, config, fingerprint: fingerprintOf(fields) };
}

/**
 * Reads a list of issuers whole, so that one fault hides no other.
 *
 * @throws BrokerError CONFIG_INVALID with every fault of every issuer, and with each id that stands twice.
 */
export function readIssuers(
  list: readonly IssuerFields[],
  environment: Record<string, string | undefined>,
): readonly Issuer[] {
  const faults: string[] = [];
  const issuers = list.flatMap((fields, index) => {
    try {
      return [readIssuer(fields, environment)];
    } catch (thrown) {
      if (!BrokerError.is(thrown)) throw thrown;
      faults.push(`Issuer ${thrown.issuerId ?? `number ${index + 1}`}: ${thrown.what}`);
      return [];
    }
  });
  const seen = new Set<string>();
  const secrets = new Set<string>();
  for (const { issuerId, config } of issuers) {
    if (seen.has(issuerId)) faults.push(`Issuer ${issuerId} stands in the list twice.`);
    if (secrets.has(config.tokenSecretId)) {
      faults.push(`Issuer ${issuerId}: its token secret is another issuer's too; each must have one of its own.`);
    }
    seen.add(issuerId);
    secrets.add(config.tokenSecretId);
  }
  if (faults.length === 0) return issuers;
  throw new BrokerError({
    code: 'CONFIG_INVALID',
    what: faults.join(' '),
    remedy: 'Correct these entries; nothing was changed. docs/many-issuers.md lists the fields.',
    retryable: false,
  });
}
