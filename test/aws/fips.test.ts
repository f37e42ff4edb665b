import { GetPublicKeyCommand } from '@aws-sdk/client-kms';
import { DescribeSecretCommand } from '@aws-sdk/client-secrets-manager';
import { beforeEach, expect, test, vi } from 'vitest';
import { createKmsClient, createSecretsManagerClient } from '../../src/aws/clients.ts';

// infra/network.yml sets AWS_USE_FIPS_ENDPOINT for `fips: true`. Which hosts do the function's own clients call then?

beforeEach(() => {
  vi.stubEnv('AWS_REGION', 'us-east-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'not-a-key');
  return () => vi.unstubAllEnvs();
});

class Seen extends Error {
  override readonly name = 'Seen';
}

/** Takes each request off the wire; its host is the error's message. */
async function hostsCalled(): Promise<string[]> {
  const kms = createKmsClient(1_000);
  const secretsManager = createSecretsManagerClient(1_000);
  const take =
    () =>
    async (args: object): Promise<never> => {
      throw new Seen((args as { request: { hostname: string } }).request.hostname);
    };
  kms.middlewareStack.add(take, { step: 'finalizeRequest', priority: 'low' });
  secretsManager.middlewareStack.add(take, { step: 'finalizeRequest', priority: 'low' });
  const hostOf = (error: unknown) => (error instanceof Seen ? error.message : Promise.reject(error));
  return Promise.all([
    kms.send(new GetPublicKeyCommand({ KeyId: 'alias/any' })).then(() => 'none', hostOf),
    secretsManager.send(new DescribeSecretCommand({ SecretId: 'any' })).then(() => 'none', hostOf),
  ]);
}

test.each([
  ['us-east-1', 'amazonaws.com'],
  ['us-gov-west-1', 'amazonaws.com'],
])('with AWS_USE_FIPS_ENDPOINT the clients call FIPS endpoints in %s', async (region, suffix) => {
  vi.stubEnv('AWS_REGION', region);
  vi.stubEnv('AWS_USE_FIPS_ENDPOINT', 'true');
  expect(await hostsCalled()).toEqual([`kms-fips.${region}.${suffix}`, `secretsmanager-fips.${region}.${suffix}`]);
});

test.each([
  ['eu-west-1', 'amazonaws.com'],
  ['cn-north-1', 'amazonaws.com.cn'],
])('without it they call the others, in %s', async (region, suffix) => {
  vi.stubEnv('AWS_REGION', region);
  expect(await hostsCalled()).toEqual([`kms.${region}.${suffix}`, `secretsmanager.${region}.${suffix}`]);
});
