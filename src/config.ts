import { BrokerError } from './errors.ts';
import { AUTHORIZATION_PATH, d1Hosts, FULL_LIFE_SECONDS, LONGEST_PROMISE_SECONDS } from './shared/d1.ts';
import { type EgressProxy, egressProxyIn } from './shared/egress-proxy.ts';

/** D1's environments by name; any other is given as its base URL. */
export const environments: ReadonlyMap<string, string> = new Map(
  Object.entries(d1Hosts).map(([name, host]) => [name, `https://${host}${AUTHORIZATION_PATH}`]),
);

interface TextSetting {
  readonly variable: string;
  readonly pattern: RegExp;
  /** The rule in words, for the error and for docs/configuration.md. */
  readonly rule: string;
  readonly required: boolean;
}

interface NumberSetting {
  readonly variable: string;
  readonly minimum: number;
  readonly maximum: number;
  readonly default: number;
  readonly unit: 'seconds' | 'milliseconds' | 'attempts';
}

const required = { required: true } as const;
const optional = { required: false } as const;
const visible = { pattern: /^[\x21-\x7e]{1,256}$/, rule: '1-256 visible ASCII characters' } as const;
const identifier = { pattern: /^[A-Za-z0-9_-]{1,64}$/, rule: '1-64 of A-Z a-z 0-9 _ -' } as const;
const secretName = { pattern: /^[\w/+=.@:-]{1,512}$/, rule: 'a secret name or ARN' } as const;

export const textSettings = {
  issuerId: { variable: 'D1_ISSUER_ID', ...required, ...identifier },
  keyId: { variable: 'D1_KEY_ID', ...required, ...visible },
  environment: {
    variable: 'D1_ENVIRONMENT',
    ...required,
    pattern: /^(production|staging|develop|https:\/\/[^\s?#@]+)$/,
    rule: '`production`, `staging`, `develop`, or a base URL that begins with https:// and has no query or user name',
  },
  signingKeyId: {
    variable: 'D1_SIGNING_KEY_ID',
    ...required,
    pattern: /^[\w/:-]{1,2048}$/,
    rule: 'a KMS key id, key ARN, alias name or alias ARN',
  },
  tokenSecretId: { variable: 'D1_TOKEN_SECRET_ID', ...required, ...secretName },
  clientCertificateSecretId: { variable: 'D1_CLIENT_CERTIFICATE_SECRET_ID', ...required, ...secretName },
  primaryTokenSecretId: { variable: 'D1_PRIMARY_TOKEN_SECRET_ID', ...optional, ...secretName },
  nextKeyId: { variable: 'D1_NEXT_KEY_ID', ...optional, ...visible },
  nextSigningKeyId: {
    variable: 'D1_NEXT_SIGNING_KEY_ID',
    ...optional,
    pattern: /^[\w/:-]{1,2048}$/,
    rule: 'a KMS key id, key ARN, alias name or alias ARN',
  },
  subject: { variable: 'D1_SUBJECT', ...optional, ...identifier },
  audience: { variable: 'D1_AUDIENCE', ...optional, ...visible },
  stage: { variable: 'D1_STAGE', ...optional, ...identifier },
} satisfies Record<string, TextSetting>;

export const numberSettings = {
  refreshWindowSeconds: seconds('D1_REFRESH_WINDOW_SECONDS', 30, LONGEST_PROMISE_SECONDS, 300),
  assertionLifetimeSeconds: seconds('D1_ASSERTION_LIFETIME_SECONDS', 120, LONGEST_PROMISE_SECONDS, 300),
  defaultExpiresInSeconds: seconds('D1_DEFAULT_EXPIRES_IN_SECONDS', 60, FULL_LIFE_SECONDS, 600),
  clientCertificateTtlSeconds: seconds('D1_CLIENT_CERTIFICATE_TTL_SECONDS', 60, 86_400, 3_600),
  connectTimeoutMilliseconds: milliseconds('D1_CONNECT_TIMEOUT_MILLISECONDS', 100, 10_000, 3_000),
  exchangeTimeoutMilliseconds: milliseconds('D1_EXCHANGE_TIMEOUT_MILLISECONDS', 500, 30_000, 8_000),
  awsTimeoutMilliseconds: milliseconds('D1_AWS_TIMEOUT_MILLISECONDS', 100, 10_000, 2_000),
  exchangeAttempts: { variable: 'D1_EXCHANGE_ATTEMPTS', minimum: 1, maximum: 5, default: 3, unit: 'attempts' },
} satisfies Record<string, NumberSetting>;

function seconds(variable: string, minimum: number, maximum: number, fallback: number): NumberSetting {
  return { variable, minimum, maximum, default: fallback, unit: 'seconds' };
}

function milliseconds(variable: string, minimum: number, maximum: number, fallback: number): NumberSetting {
  return { variable, minimum, maximum, default: fallback, unit: 'milliseconds' };
}

/** Without a value when they are not given. */
type OptionalText = 'audience' | 'stage' | 'nextKeyId' | 'nextSigningKeyId' | 'primaryTokenSecretId';

/** A standby asks D1 when the newest token that it knows has this much left: its primary has had its turn by then. */
const STANDBY_WINDOW_SECONDS = 120;

export type Config = Readonly<
  Record<keyof typeof numberSettings, number> &
    Record<Exclude<keyof typeof textSettings, 'environment' | OptionalText>, string> & {
      audience: string | undefined;
      nextKeyId: string | undefined;
      nextSigningKeyId: string | undefined;
      /** Given to a standby alone: the replica of the primary's token secret, in this Region. */
      primaryTokenSecretId: string | undefined;
      stage: string | undefined;
      /** Absolute, https. */
      tokenEndpoint: string;
      egressProxy: EgressProxy | undefined;
    }
>;

/** Where the settings come from: what a fault calls them, and what mends it. */
export interface SettingsSource {
  /** As a setting is called there: `D1_KEY_ID` in the environment. */
  readonly nameOf: (variable: string) => string;
  /** What a name that is not known should have been. */
  readonly kind: string;
  readonly remedy: string;
}

const fromEnvironment: SettingsSource = {
  nameOf: (variable) => variable,
  kind: 'a variable of this function',
  remedy: "Correct the function's environment variables; docs/configuration.md lists them.",
};

/**
 * Reads the configuration. docs/configuration.md lists every variable.
 *
 * @param environment Each setting under its variable's name.
 * @param source Where they were written, if it was not the environment.
 * @throws BrokerError CONFIG_INVALID that lists every fault at once: variable, value, rule.
 */
export function readConfig(
  environment: Record<string, string | undefined>,
  { nameOf, kind, remedy }: SettingsSource = fromEnvironment,
): Config {
  const faults: string[] = [];
  const text = (setting: TextSetting): string | undefined => {
    const value = environment[setting.variable];
    if (value === undefined || value === '') {
      if (setting.required) faults.push(`${nameOf(setting.variable)} is missing; it must be ${setting.rule}`);
      return undefined;
    }
    if (!setting.pattern.test(value))
      faults.push(`${nameOf(setting.variable)} is ${quote(value)}; it must be ${setting.rule}`);
    return value;
  };
  const number = ({ variable, minimum, maximum, default: fallback, unit }: NumberSetting): number => {
    const value = environment[variable];
    if (value === undefined || value === '') return fallback;
    const parsed = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (!(parsed >= minimum && parsed <= maximum)) {
      faults.push(
        `${nameOf(variable)} is ${quote(value)}; it must be a whole number of ${unit}, ${minimum}-${maximum}`,
      );
    }
    return parsed;
  };
  const mustHave = (setting: TextSetting) => text(setting) ?? '';

  const issuerId = mustHave(textSettings.issuerId);
  const primaryTokenSecretId = text(textSettings.primaryTokenSecretId);
  const refreshWindow = number(numberSettings.refreshWindowSeconds);
  const config: Config = {
    issuerId,
    keyId: mustHave(textSettings.keyId),
    tokenEndpoint: tokenEndpointOf(mustHave(textSettings.environment)),
    signingKeyId: mustHave(textSettings.signingKeyId),
    tokenSecretId: mustHave(textSettings.tokenSecretId),
    clientCertificateSecretId: mustHave(textSettings.clientCertificateSecretId),
    subject: text(textSettings.subject) ?? issuerId,
    audience: text(textSettings.audience),
    stage: text(textSettings.stage),
    nextKeyId: text(textSettings.nextKeyId),
    nextSigningKeyId: text(textSettings.nextSigningKeyId),
    primaryTokenSecretId,
    refreshWindowSeconds: primaryTokenSecretId ? Math.min(refreshWindow, STANDBY_WINDOW_SECONDS) : refreshWindow,
    assertionLifetimeSeconds: number(numberSettings.assertionLifetimeSeconds),
    defaultExpiresInSeconds: number(numberSettings.defaultExpiresInSeconds),
    clientCertificateTtlSeconds: number(numberSettings.clientCertificateTtlSeconds),
    connectTimeoutMilliseconds: number(numberSettings.connectTimeoutMilliseconds),
    exchangeTimeoutMilliseconds: number(numberSettings.exchangeTimeoutMilliseconds),
    awsTimeoutMilliseconds: number(numberSettings.awsTimeoutMilliseconds),
    exchangeAttempts: number(numberSettings.exchangeAttempts),
    egressProxy: egressProxyIn(environment, (variable, rule) => {
      faults.push(`${variable} is ${quote(environment[variable] ?? '')}; it must be ${rule}`);
    }),
  };
  // What does not even begin like a URL has broken the variable's own rule, and was told so.
  if (config.tokenEndpoint.startsWith('https://') && !URL.canParse(config.tokenEndpoint)) {
    faults.push(`${nameOf('D1_ENVIRONMENT')} is not a URL; it must be one`);
  }
  if (config.connectTimeoutMilliseconds > config.exchangeTimeoutMilliseconds) {
    faults.push(
      `${nameOf('D1_CONNECT_TIMEOUT_MILLISECONDS')} must not be above ${nameOf('D1_EXCHANGE_TIMEOUT_MILLISECONDS')}`,
    );
  }
  if (config.tokenSecretId !== '' && config.tokenSecretId === config.clientCertificateSecretId) {
    faults.push(
      `${nameOf('D1_TOKEN_SECRET_ID')} and ${nameOf('D1_CLIENT_CERTIFICATE_SECRET_ID')} must not name the same secret`,
    );
  }
  if (primaryTokenSecretId && [config.tokenSecretId, config.clientCertificateSecretId].includes(primaryTokenSecretId)) {
    faults.push('D1_PRIMARY_TOKEN_SECRET_ID must name a secret of its own: a replica can be read only');
  }
  if ((config.nextKeyId === undefined) !== (config.nextSigningKeyId === undefined)) {
    faults.push(
      `${nameOf('D1_NEXT_KEY_ID')} and ${nameOf('D1_NEXT_SIGNING_KEY_ID')} must be given together: a kid and its key`,
    );
  }
  faults.push(...unknownVariables(environment).map((one) => `${nameOf(one)} is not ${kind}; check its spelling`));
  if (faults.length > 0) {
    // Whoever looks after many of these functions wants to know which one it is.
    const isKnown = textSettings.issuerId.pattern.test(issuerId);
    throw configInvalid(faults, isKnown ? issuerId : undefined, remedy);
  }
  return Object.freeze(config);
}

function tokenEndpointOf(environment: string): string {
  const base = environments.get(environment) ?? environment;
  return base && `${base.replace(/\/+$/, '')}/oauth2/token`;
}

/** A misspelt variable would silently leave a default in force. */
function unknownVariables(environment: Record<string, string | undefined>): string[] {
  const known = new Set([...Object.values(textSettings), ...Object.values(numberSettings)].map((s) => s.variable));
  return Object.keys(environment).filter((variable) => variable.startsWith('D1_') && !known.has(variable));
}

/** A value for an error's sentence. What could be a secret, or a password in a URL, is not shown. */
function quote(value: string): string {
  const harmless =
    value.length <= 64 && /^[\x20-\x7e]*$/.test(value) && !/PRIVATE|eyJ|:\/\/.*@|[\w+/=-]{40}/.test(value);
  return harmless ? `"${value}"` : `not shown (${value.length} characters)`;
}

const configInvalid = (faults: readonly string[], issuerId: string | undefined, remedy: string) =>
  new BrokerError({
    code: 'CONFIG_INVALID',
    what: `The configuration has ${faults.length} fault(s): ${faults.join('. ')}.`,
    remedy,
    retryable: false,
    issuerId,
  });
