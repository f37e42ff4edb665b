import { createServer } from 'node:net';
import { GetPublicKeyCommand } from '@aws-sdk/client-kms';
import { DescribeSecretCommand } from '@aws-sdk/client-secrets-manager';
import { expect, test } from 'vitest';
import { createKmsClient, createSecretsManagerClient } from '../../src/aws/clients.ts';
import { EgressProxy } from '../../src/shared/egress-proxy.ts';

const place = {
  region: 'eu-west-1',
  endpoint: 'https://aws.test',
  credentials: { accessKeyId: 'nobody', secretAccessKey: 'nobody' },
};

/** A port where nobody listens any more. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

test('a proxy that is not there is what the calls to AWS tell of, by address and service, and not AWS', async () => {
  const proxy = new EgressProxy(new URL(`http://user:secret-of-the-proxy@127.0.0.1:${await closedPort()}`));
  const kms = () => createKmsClient(1_000, place, proxy).send(new GetPublicKeyCommand({ KeyId: 'alias/none' }));
  const secrets = () =>
    createSecretsManagerClient(1_000, place, proxy).send(new DescribeSecretCommand({ SecretId: 'none' }));
  for (const [call, service] of [
    [kms, 'KMS'],
    [secrets, 'Secrets Manager'],
  ] as const) {
    const error = await call().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ name: 'PROXY_UNREACHABLE' });
    expect(String(error)).toContain(proxy.address);
    expect(String(error)).toContain(service);
    expect(String(error)).not.toContain('secret-of-the-proxy');
  }
});

test('without a proxy an error of a call is the SDK’s own', async () => {
  const call = createKmsClient(1_000, { ...place, endpoint: `http://127.0.0.1:${await closedPort()}` });
  await expect(call.send(new GetPublicKeyCommand({ KeyId: 'alias/none' }))).rejects.toMatchObject({
    code: 'ECONNREFUSED',
  });
});
