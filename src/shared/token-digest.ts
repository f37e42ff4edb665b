import { createHash } from 'node:crypto';

/**
 * The first 16 hexadecimal characters of a token's SHA-256: enough to know it again, useless for anything else. A reader
 * sends it as `refused`, the broker compares.
 */
export const tokenDigest = (accessToken: string): string =>
  createHash('sha256').update(accessToken).digest('hex').slice(0, 16);
