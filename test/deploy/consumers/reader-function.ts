import { createHash } from 'node:crypto';
import { createTokenReader } from '../../../src/reader/reader.ts';

const reader = createTokenReader({ secretId: process.env['TOKEN_SECRET_ARN'] });

/** A bank's Lambda: its role has the policy token-reader, and no other. It tells which token it got, not the token. */
export const handler = async () => {
  const { access_token, expires_at } = await reader.token();
  return { fingerprint: createHash('sha256').update(access_token).digest('hex'), expires_at };
};
