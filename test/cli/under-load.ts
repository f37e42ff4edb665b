import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { expect } from 'vitest';
import { ISSUER_ID, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { createTokenReader } from '../../src/reader/reader.ts';
import type { OperatedBank } from './operated-bank.ts';

/** So that one round is over before the next begins, and the operator's commands have some of the processor. */
const PAUSE_MILLISECONDS = 20;

/**
 * Direct callers, ticks, and a consumer that reads the secret anew and calls D1, all the time that a story goes on.
 *
 * @returns Ends the load; one failed call is one too many.
 */
export function underLoad(bank: OperatedBank): () => Promise<void> {
  const { sandbox } = bank;
  const secretsManager = new SecretsManagerClient({
    region: 'eu-west-1',
    endpoint: sandbox.environment['AWS_ENDPOINT_URL'] ?? '',
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
  });
  const consume = async () => {
    // A reader of its own each time: one that keeps its token would notice nothing.
    const reader = createTokenReader({
      secretsManager,
      secretId: TOKEN_SECRET,
      clientCertificateSecretId: 'd1/client-certificate',
      allowedOrigins: [sandbox.d1.origin],
    });
    const response = await reader.fetch(`${sandbox.d1.origin}/banking/v1/issuers/${ISSUER_ID}`);
    if (response.status !== 200) throw new Error(`D1 answered ${response.status}`);
  };
  let going = true;
  let rounds = 0;
  const failures: unknown[] = [];
  const load = (async () => {
    while (going) {
      rounds += 1;
      const calls = [bank.send({ min_remaining_seconds: 60 }), bank.send({ action: 'refresh' }), consume()];
      await Promise.all(calls).catch((error) => failures.push(error));
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS));
    }
  })();
  return async () => {
    going = false;
    await load;
    secretsManager.destroy();
    expect(rounds).toBeGreaterThan(10);
    expect(failures).toEqual([]);
  };
}
