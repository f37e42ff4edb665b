import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { createCertificateAuthority } from '../sandbox/certificates.ts';
import { environments, numberSettings, readConfig, textSettings } from '../src/config.ts';
import { BrokerError } from '../src/errors.ts';
import { parseClientCertificate } from '../src/shared/client-certificate.ts';
import { systemClock } from '../src/shared/clock.ts';

/** The least that a bank has to say. */
const onboarded = {
  D1_ISSUER_ID: 'ISSUER0001',
  D1_KEY_ID: 'bank-key-1',
  D1_ENVIRONMENT: 'staging',
  D1_SIGNING_KEY_ID: 'alias/d1-token-broker-signing',
  D1_TOKEN_SECRET_ID: 'd1/access-token',
  D1_CLIENT_CERTIFICATE_SECRET_ID: 'd1/client-certificate',
};

/** What is wrong with a configuration, as its owner gets to read it. */
function faultsOf(environment: Record<string, string | undefined>): string {
  try {
    readConfig(environment);
  } catch (error) {
    expect(error).toBeInstanceOf(BrokerError);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', retryable: false });
    return (error as BrokerError).what;
  }
  throw new Error('the configuration was accepted');
}

const oneFault = (fault: string) => `The configuration has 1 fault(s): ${fault}.`;

describe('a configuration that is refused', () => {
  const issuerOf = (D1_ISSUER_ID: string | undefined) => {
    try {
      return readConfig({ ...onboarded, D1_ISSUER_ID, D1_ENVIRONMENT: 'prod' });
    } catch (error) {
      return (error as BrokerError).issuerId;
    }
  };

  it('says whose it is, when that is known', () => {
    expect(issuerOf('ISSUER0001')).toBe('ISSUER0001');
  });

  it.each([undefined, '', 'no issuer', 'x'.repeat(65)])('does not repeat what is no issuer id: %j', (issuerId) => {
    expect(issuerOf(issuerId)).toBeUndefined();
  });
});

describe('the configuration', () => {
  it('needs six variables; every other one has a default', () => {
    expect(readConfig(onboarded)).toEqual({
      issuerId: 'ISSUER0001',
      keyId: 'bank-key-1',
      tokenEndpoint: 'https://api.d1-stg.thalescloud.io/authz/v1/oauth2/token',
      signingKeyId: 'alias/d1-token-broker-signing',
      tokenSecretId: 'd1/access-token',
      clientCertificateSecretId: 'd1/client-certificate',
      subject: 'ISSUER0001',
      audience: undefined,
      stage: undefined,
      refreshWindowSeconds: 300,
      assertionLifetimeSeconds: 300,
      defaultExpiresInSeconds: 600,
      clientCertificateTtlSeconds: 3600,
      connectTimeoutMilliseconds: 3000,
      exchangeTimeoutMilliseconds: 8000,
      awsTimeoutMilliseconds: 2000,
      exchangeAttempts: 3,
      egressProxy: undefined,
    });
  });

  it('takes what is given instead of a default', () => {
    const given = { D1_SUBJECT: 'SUBJECT001', D1_AUDIENCE: 'https://api.d1.thalescloud.io', D1_EXCHANGE_ATTEMPTS: '5' };

    expect(readConfig({ ...onboarded, ...given })).toMatchObject({
      subject: 'SUBJECT001',
      audience: 'https://api.d1.thalescloud.io',
      exchangeAttempts: 5,
    });
  });

  it('gives a standby a window of 120 s at most', () => {
    const windowOf = (more: Record<string, string>) => readConfig({ ...onboarded, ...more }).refreshWindowSeconds;
    const standby = { D1_PRIMARY_TOKEN_SECRET_ID: 'd1/primary/token' };
    expect(windowOf(standby)).toBe(120);
    expect(windowOf({ ...standby, D1_REFRESH_WINDOW_SECONDS: '300' })).toBe(120);
    expect(windowOf({ ...standby, D1_REFRESH_WINDOW_SECONDS: '60' })).toBe(60);
  });

  it('takes an empty variable for one that is not set', () => {
    const empty = { D1_SUBJECT: '', D1_AUDIENCE: '', D1_EXCHANGE_ATTEMPTS: '' };

    expect(readConfig({ ...onboarded, ...empty })).toEqual(readConfig(onboarded));
    expect(faultsOf({ ...onboarded, D1_KEY_ID: '' })).toContain('D1_KEY_ID is missing');
  });

  it('does not care for variables that are not its own', () => {
    expect(readConfig({ ...onboarded, PATH: '/usr/bin', AWS_REGION: 'eu-west-1', d1_other: 'x' })).toEqual(
      readConfig(onboarded),
    );
  });

  it('can not be changed once it was read', () => {
    expect(Object.isFrozen(readConfig(onboarded))).toBe(true);
  });

  describe('says where D1 is', () => {
    it.each([
      ['production', 'https://api.d1.thalescloud.io/authz/v1/oauth2/token'],
      ['staging', 'https://api.d1-stg.thalescloud.io/authz/v1/oauth2/token'],
      ['develop', 'https://develop-api.d1-dev.thalescloud.io/authz/v1/oauth2/token'],
      ['https://localhost:8443/authz/v1', 'https://localhost:8443/authz/v1/oauth2/token'],
      ['https://d1.example/authz/v2//', 'https://d1.example/authz/v2/oauth2/token'],
    ])('%s', (environment, tokenEndpoint) => {
      expect(readConfig({ ...onboarded, D1_ENVIRONMENT: environment }).tokenEndpoint).toBe(tokenEndpoint);
    });

    it.each([
      ['plain http', 'http://d1.example/authz/v1'],
      ['plain http on this machine', 'http://localhost:8080'],
      ['a name that is not an environment', 'prod'],
      ['a name that every JavaScript object knows', 'constructor'],
      ['a query', 'https://d1.example/authz?x=1'],
      ['a fragment', 'https://d1.example/authz#x'],
      ['another scheme', 'file:///etc/passwd'],
    ])('but not by %s', (_what, environment) => {
      expect(faultsOf({ ...onboarded, D1_ENVIRONMENT: environment })).toBe(
        oneFault(`D1_ENVIRONMENT is "${environment}"; it must be ${textSettings.environment.rule}`),
      );
    });

    it('nor by something that only begins like a URL', () => {
      expect(faultsOf({ ...onboarded, D1_ENVIRONMENT: 'https://[' })).toBe(
        oneFault('D1_ENVIRONMENT is not a URL; it must be one'),
      );
    });
  });

  describe('has a rule for every text', () => {
    it.each(Object.values(textSettings).filter(({ required }) => required))('$variable is required', (setting) => {
      expect(faultsOf({ ...onboarded, [setting.variable]: undefined })).toBe(
        oneFault(`${setting.variable} is missing; it must be ${setting.rule}`),
      );
    });

    it.each([
      ['D1_ISSUER_ID', 'ISSUER 001', textSettings.issuerId.rule],
      ['D1_KEY_ID', 'key one', textSettings.keyId.rule],
      ['D1_SIGNING_KEY_ID', 'alias/a b', textSettings.signingKeyId.rule],
      ['D1_TOKEN_SECRET_ID', 'd1/token?', textSettings.tokenSecretId.rule],
      ['D1_CLIENT_CERTIFICATE_SECRET_ID', 'd1 certificate', textSettings.clientCertificateSecretId.rule],
      ['D1_SUBJECT', 'me@bank', textSettings.subject.rule],
      ['D1_AUDIENCE', 'two words', textSettings.audience.rule],
    ])('%s may not be "%s"', (variable, value, rule) => {
      expect(faultsOf({ ...onboarded, [variable]: value })).toBe(
        oneFault(`${variable} is "${value}"; it must be ${rule}`),
      );
    });

    it('takes ARNs where AWS does', () => {
      const arns = {
        D1_SIGNING_KEY_ID: 'arn:aws:kms:eu-west-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab',
        D1_TOKEN_SECRET_ID: 'arn:aws:secretsmanager:eu-west-1:000000000000:secret:d1/access-token-a1B2c3',
      };

      expect(readConfig({ ...onboarded, ...arns })).toMatchObject({
        signingKeyId: arns.D1_SIGNING_KEY_ID,
        tokenSecretId: arns.D1_TOKEN_SECRET_ID,
      });
    });
  });

  describe('has a range for every number', () => {
    // With these two apart, no other number breaks the rule that binds them.
    const roomy = { D1_CONNECT_TIMEOUT_MILLISECONDS: '100', D1_EXCHANGE_TIMEOUT_MILLISECONDS: '30000' };

    it.each(Object.entries(numberSettings))('%s', (name, { variable, minimum, maximum, unit }) => {
      const given = (value: string) => ({ ...onboarded, ...roomy, [variable]: value });
      for (const good of [minimum, maximum]) expect(readConfig(given(String(good)))).toMatchObject({ [name]: good });
      for (const bad of [minimum - 1, maximum + 1, '1.5', '-1', 'many', ' 300', '3e2', '0x99', '9999999999']) {
        expect(faultsOf(given(String(bad)))).toBe(
          oneFault(`${variable} is "${bad}"; it must be a whole number of ${unit}, ${minimum}-${maximum}`),
        );
      }
    });
  });

  describe('has rules that bind two variables', () => {
    it('connecting may not take longer than the exchange that it is a part of', () => {
      const exchange = { ...onboarded, D1_EXCHANGE_TIMEOUT_MILLISECONDS: '2000' };

      expect(readConfig({ ...exchange, D1_CONNECT_TIMEOUT_MILLISECONDS: '2000' })).toBeDefined();
      expect(faultsOf({ ...exchange, D1_CONNECT_TIMEOUT_MILLISECONDS: '2001' })).toBe(
        oneFault('D1_CONNECT_TIMEOUT_MILLISECONDS must not be above D1_EXCHANGE_TIMEOUT_MILLISECONDS'),
      );
    });

    it.each(['D1_TOKEN_SECRET_ID', 'D1_CLIENT_CERTIFICATE_SECRET_ID'] as const)(
      'a standby does not take %s for the replica of its primary',
      (variable) => {
        expect(faultsOf({ ...onboarded, D1_PRIMARY_TOKEN_SECRET_ID: onboarded[variable] })).toContain(
          'D1_PRIMARY_TOKEN_SECRET_ID must name a secret of its own: a replica can be read only',
        );
      },
    );

    it('the token may not overwrite the client certificate', () => {
      expect(faultsOf({ ...onboarded, D1_TOKEN_SECRET_ID: 'd1/client-certificate' })).toBe(
        oneFault('D1_TOKEN_SECRET_ID and D1_CLIENT_CERTIFICATE_SECRET_ID must not name the same secret'),
      );
    });
  });

  it('refuses a D1_ variable that it does not know, which is how a misspelt one shows', () => {
    expect(faultsOf({ ...onboarded, D1_REFRESH_WINDOW: '60' })).toBe(
      oneFault('D1_REFRESH_WINDOW is not a variable of this function; check its spelling'),
    );
  });

  it('lists all faults at once', () => {
    const what = faultsOf({
      D1_KEY_ID: 'key one',
      D1_ENVIRONMENT: 'http://d1.example',
      D1_REFRESH_WINDOW_SECONDS: '10',
      D1_CONNECT_TIMEOUT_MILLISECONDS: '9000',
      D1_TYPO: '1',
    });

    expect(what).toContain('The configuration has 9 fault(s): ');
    for (const fault of [
      'D1_ISSUER_ID is missing',
      'D1_KEY_ID is "key one"',
      'D1_ENVIRONMENT is "http://d1.example"',
      'D1_SIGNING_KEY_ID is missing',
      'D1_TOKEN_SECRET_ID is missing',
      'D1_CLIENT_CERTIFICATE_SECRET_ID is missing',
      'D1_REFRESH_WINDOW_SECONDS is "10"',
      'D1_CONNECT_TIMEOUT_MILLISECONDS must not be above',
      'D1_TYPO is not a variable',
    ]) {
      expect(what).toContain(fault);
    }
    expect(what).not.toContain('same secret');
  });

  describe('does not repeat a value that may be a secret, pasted into the wrong variable', () => {
    it.each([
      ['a private key', '-----BEGIN PRIVATE KEY-----'],
      ['the beginning of a JWT', 'eyJhbGciOiJFUzI1NiJ9.e30'],
      ['forty characters of base64', `${'Zm9vYmFy'.repeat(5)} `],
      ['a password in a URL', 'https://bank:hunter2@d1.example/authz'],
      ['anything long', 'a word '.repeat(10)],
      ['anything that is not plain text', 'clé secrète'],
    ])('%s', (_what, value) => {
      const what = faultsOf({ ...onboarded, D1_ENVIRONMENT: value });

      expect(what).toContain(`D1_ENVIRONMENT is not shown (${value.length} characters); it must be`);
      expect(what).not.toContain(value.slice(0, 12));
    });

    it('nor one in the place of a number', () => {
      expect(faultsOf({ ...onboarded, D1_EXCHANGE_ATTEMPTS: `eyJ${'x'.repeat(20)}` })).toContain(
        'D1_EXCHANGE_ATTEMPTS is not shown (23 characters); it must be a whole number',
      );
    });

    it('nor the value of a variable that it does not know', () => {
      expect(faultsOf({ ...onboarded, D1_PASSWORD: 'hunter2' })).not.toContain('hunter2');
    });
  });
});

describe('the egress proxy', () => {
  const d1 = 'https://api.d1.thalescloud.io/authz/v1';
  const read = (environment: Record<string, string>) => readConfig({ ...onboarded, ...environment }).egressProxy;

  it('is none unless it is named', () => {
    expect(read({})).toBeUndefined();
    expect(read({ HTTPS_PROXY: '', NO_PROXY: 'localhost', HTTP_PROXY: 'http://other.example' })).toBeUndefined();
  });

  it.each([
    ['http://proxy.example:3128', 'proxy.example:3128'],
    ['http://proxy.example/', 'proxy.example:80'],
    ['https://proxy.example', 'proxy.example:443'],
    ['http://[::1]:3128', '[::1]:3128'],
    ['http://teller:p%40ss@proxy.example:3128', 'proxy.example:3128'],
  ])('%s is used, and told as %s', (url, address) => {
    expect(read({ HTTPS_PROXY: url })?.addressTo(d1)).toBe(address);
  });

  it('follows the names in lower case where both are given, as curl and Node do', () => {
    const environment = { https_proxy: 'http://lower.example', HTTPS_PROXY: 'http://upper.example' };
    expect(read(environment)?.address).toBe('lower.example:80');
    expect(read({ ...environment, no_proxy: 'thalescloud.io', NO_PROXY: 'x' })?.addressTo(d1)).toBeUndefined();
    expect(read({ ...environment, NO_PROXY: 'api.d1.thalescloud.io' })?.addressTo(d1)).toBeUndefined();
  });

  it.each(['proxy.example:3128', 'socks5://proxy.example', 'http://proxy.example/pac', 'http://a b', 'http://a:b:c'])(
    '%s is no proxy, and a fault',
    (url) => {
      expect(() => read({ HTTPS_PROXY: url })).toThrow(/HTTPS_PROXY is .*; it must be http:\/\/ or https:\/\//);
    },
  );

  it('shows no credentials in its fault', () => {
    for (const url of ['ftp://teller:secret-word@proxy.example', 'http://teller:secret%word@proxy.example']) {
      expect(() => read({ HTTPS_PROXY: url })).toThrow(/HTTPS_PROXY is not shown/);
    }
  });
});

describe('docs/configuration.md', () => {
  const document = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8');

  /** The rows of the table under a heading, each as its cells. */
  function table(heading: string): string[][] {
    const section = document.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
    const rows = section.split('\n').filter((line) => line.startsWith('|'));
    return rows.slice(2).map((row) =>
      row
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
  }

  const bare = (cell: string | undefined) => cell?.replaceAll('`', '');

  it('lists every text with its rule and whether it is required', () => {
    expect(
      table('Text').map(([variable, , rule, fallback]) => [bare(variable), rule, fallback === 'required']),
    ).toEqual(Object.values(textSettings).map(({ variable, rule, required }) => [variable, rule, required]));
  });

  it('lists every number with its unit, range and default', () => {
    expect(table('Numbers').map(([variable, , ...facts]) => [bare(variable), ...facts])).toEqual(
      Object.values(numberSettings).map(({ variable, unit, minimum, maximum, default: fallback }) => [
        variable,
        unit,
        `${minimum}-${maximum}`,
        String(fallback),
      ]),
    );
  });

  it('says what each is for', () => {
    for (const [, purpose] of [...table('Text'), ...table('Numbers')]) expect(purpose).toMatch(/\w{3}/);
  });

  it('lists the environments', () => {
    expect(table('Environments').map((row) => row.map(bare))).toEqual([...environments]);
  });

  describe('describes the client-certificate secret', () => {
    let secret: Record<string, string>;
    beforeAll(async () => {
      const authority = await createCertificateAuthority({ commonName: 'Test CA', clock: systemClock });
      const issued = await authority.issue({ commonName: 'bank', usage: 'client' });
      secret = {
        certificate: issued.certificatePem,
        private_key: issued.privateKeyPem,
        ca_bundle: authority.certificatePem,
        proxy_credentials: 'teller:a-password',
      };
    });

    const read = (value: object) => parseClientCertificate(JSON.stringify(value), systemClock.now());

    it('with the fields that the code reads, and no other', () => {
      const fields = table('The client-certificate secret').map(([field]) => String(bare(field)));

      expect(fields).toEqual(Object.keys(secret));
      for (const field of fields) {
        const rule = field === 'proxy_credentials' ? 'not user:password' : 'missing or not PEM';
        expect(read({ ...secret, [field]: 'not PEM' })).toEqual({ why: `field ${field} is ${rule}` });
      }
      expect(read({ ...secret, comment: 'ignored' })).toHaveProperty('certificate');
    });

    it('and with those that must be there', () => {
      for (const [field, , isRequired] of table('The client-certificate secret')) {
        const without = read({ ...secret, [String(bare(field))]: undefined });
        if (isRequired === 'yes') expect(without).toEqual({ why: `field ${bare(field)} is missing or not PEM` });
        else expect(without).toHaveProperty('certificate');
      }
    });
  });

  it('mentions the variables of others that matter', () => {
    expect(document).toContain('`HTTPS_PROXY`');
    expect(document).toContain('`NO_PROXY`');
    expect(document).toContain('`POWERTOOLS_LOG_LEVEL`');
    expect(document).toContain('`AWS_ENDPOINT_URL`');
  });
});
