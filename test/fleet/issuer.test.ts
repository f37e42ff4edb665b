import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/errors.ts';
import { issuerFields, readIssuer, readIssuers } from '../../src/fleet/issuer.ts';

const fields = {
  issuer_id: 'ISSUER0001',
  key_id: 'kid-1',
  environment: 'production',
  signing_key_id: 'alias/one',
  token_secret_id: 'd1/ISSUER0001/access-token',
  client_certificate_secret_id: 'd1/ISSUER0001/client-certificate',
};

function faultOf(work: () => unknown): BrokerError {
  try {
    work();
  } catch (thrown) {
    if (BrokerError.is(thrown)) return thrown;
  }
  throw new Error('It was taken.');
}

describe('an issuer of many', () => {
  it('says what one issuer says by environment variables, and the deployment says the rest', () => {
    const { config, owner } = readIssuer(fields, { D1_EXCHANGE_ATTEMPTS: '1', D1_ISSUER_ID: 'NOTTHISONE' });
    expect(config).toMatchObject({
      issuerId: 'ISSUER0001',
      keyId: 'kid-1',
      exchangeAttempts: 1,
      subject: 'ISSUER0001',
    });
    expect(config.tokenEndpoint).toBe('https://api.d1.thalescloud.io/authz/v1/oauth2/token');
    expect(owner).toBe('ISSUER0001');
  });

  it('may be an aggregator: its id is `iss` and `sub`', () => {
    const { config } = readIssuer({ ...fields, issuer_id: 'AGGREGATE1', subject: 'AGGREGATE1' }, {});
    expect(config).toMatchObject({ issuerId: 'AGGREGATE1', subject: 'AGGREGATE1' });
  });

  it('is told each fault with its field', () => {
    const { what, code, issuerId } = faultOf(() =>
      readIssuer({ ...fields, key_id: '', environment: 'prod', kid: 'x', refresh_window_seconds: '30' }, {}),
    );
    expect(code).toBe('CONFIG_INVALID');
    expect(issuerId).toBe('ISSUER0001');
    expect(what).toContain('field key_id is missing');
    expect(what).toContain('field environment is "prod"');
    expect(what).toContain('field kid is not a field of an issuer');
    expect(what).toContain('field refresh_window_seconds is not a field of an issuer');
  });

  it('has another fingerprint when anything about it changes, whatever the order of its fields', () => {
    const reversed = Object.fromEntries(Object.entries(fields).reverse());
    expect(readIssuer(reversed, {}).fingerprint).toBe(readIssuer(fields, {}).fingerprint);
    expect(readIssuer({ ...fields, key_id: 'kid-2' }, {}).fingerprint).not.toBe(readIssuer(fields, {}).fingerprint);
  });

  it('has the fields that the page names', () => {
    expect(issuerFields).toEqual([
      'issuer_id',
      'key_id',
      'environment',
      'signing_key_id',
      'token_secret_id',
      'client_certificate_secret_id',
      'subject',
      'audience',
      'owner',
    ]);
  });
});

describe('a list of issuers', () => {
  it('is refused whole, with every fault of every issuer', () => {
    const other = { ...fields, issuer_id: 'ISSUER0002', token_secret_id: 'd1/other' };
    const { what } = faultOf(() =>
      readIssuers([fields, { ...other, environment: 'moon' }, { ...fields, key_id: 'a b' }, fields], {}),
    );
    expect(what).toContain('Issuer ISSUER0002: ');
    expect(what).toContain('field environment is "moon"');
    expect(what).toContain('field key_id is "a b"');
    expect(what).toContain('Issuer ISSUER0001 stands in the list twice');
  });

  it('refuses two issuers that would write one secret', () => {
    const { what } = faultOf(() => readIssuers([fields, { ...fields, issuer_id: 'ISSUER0002' }], {}));
    expect(what).toContain('Issuer ISSUER0002: its token secret is another issuer');
  });
});
