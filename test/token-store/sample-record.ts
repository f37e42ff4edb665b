import type { TokenRecord } from '../../src/shared/token-record.ts';

/** A record as the broker writes it, of a token that never was one. */
export const sampleRecord = (changes: Partial<TokenRecord> = {}): TokenRecord => ({
  access_token: 'not.a.token',
  token_type: 'Bearer',
  scope: 'issuer.read',
  expires_in: 900,
  expires_at: 1_795_000_900,
  obtained_at: 1_795_000_000,
  issuer_id: 'ISSUER0001',
  key_id: 'bank-key-1',
  correlation_id: 'a-correlation-id',
  schema_version: 1,
  ...changes,
});
