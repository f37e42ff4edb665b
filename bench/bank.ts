import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCertificateAuthority } from '../sandbox/certificates.ts';
import { type Sandbox, type SandboxOptions, startSandbox, TOKEN_SECRET } from '../sandbox/sandbox.ts';
import { systemClock } from '../src/shared/clock.ts';
import { recordText } from './reader-day.ts';
import { startRelay } from './relay.ts';

const TOKEN_LIFETIME_SECONDS = 900;

export interface BenchBank extends Sandbox {
  /** What the token secret holds when the next event comes. */
  store(token: 'live' | 'expired'): Promise<void>;
  /** Where its AWS is without TLS. */
  readonly plainAwsUrl: string;
}

/**
 * A sandbox whose token secret can be set as a measurement needs it, as often as it needs it, and whose AWS speaks TLS:
 * the SDK loads other code for http, which no Lambda ever does.
 */
export async function openBenchBank(options: SandboxOptions = {}): Promise<BenchBank> {
  const sandbox = await startSandbox({ ...options, secretsManager: { versionQuota: 'none' } });
  const authority = await createCertificateAuthority({ commonName: 'Bench AWS CA', clock: systemClock });
  const certificate = await authority.issue({ commonName: 'localhost', usage: 'server', dnsNames: ['localhost'] });
  const plainAwsUrl = sandbox.environment['AWS_ENDPOINT_URL'] ?? '';
  const aws = await startRelay(Number(new URL(plainAwsUrl).port), { certificate });
  const folder = await mkdtemp(join(tmpdir(), 'd1-token-broker-bench-'));
  const authorityFile = join(folder, 'aws-ca.pem');
  await writeFile(authorityFile, authority.certificatePem);
  return {
    ...sandbox,
    plainAwsUrl,
    environment: {
      ...sandbox.environment,
      AWS_ENDPOINT_URL: `https://localhost:${aws.port}`,
      NODE_EXTRA_CA_CERTS: authorityFile,
    },
    async store(token) {
      const age = token === 'live' ? 0 : TOKEN_LIFETIME_SECONDS + 60;
      await sandbox.secretsManager.handle('PutSecretValue', {
        SecretId: TOKEN_SECRET,
        ClientRequestToken: randomUUID(),
        SecretString: await asNewAsStored(recordText(Date.now() / 1000 - age)),
      });
    },
    async close() {
      await Promise.all([aws.close(), sandbox.close(), rm(folder, { recursive: true })]);
    },
  };

  /** A container takes what is older than what it wrote a moment ago for a read that is behind, and would not refresh. */
  async function asNewAsStored(text: string): Promise<string> {
    const stored = await sandbox.secretsManager
      .handle('GetSecretValue', { SecretId: TOKEN_SECRET })
      .catch(() => undefined);
    if (!stored) return text;
    const { obtained_at } = JSON.parse(String(stored['SecretString']));
    return JSON.stringify({ ...JSON.parse(text), obtained_at });
  }
}
