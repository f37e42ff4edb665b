import { randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import type { IssuedCertificate } from '../../sandbox/certificates.ts';
import { type Container, InvocationFailed, startContainer } from '../../sandbox/lambda/container.ts';
import { CLIENT_CERTIFICATE_SECRET, type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { schedulerTick } from '../../sandbox/scheduler-tick.ts';

/** How a tick ended: `ok`, or the name and the text of its error. */
export interface Ended {
  readonly code: string;
  readonly message: string;
}

export interface TunnelledBank {
  readonly sandbox: Sandbox;
  /** `localhost:PORT`, as a proxy's log and NO_PROXY name them. */
  readonly aws: string;
  readonly d1: string;
  /** Of the client certificate in the secret. */
  fingerprint(): Promise<string>;
  storeCredentials(credentials: string): Promise<void>;
  /** A new container with the bundled function, and nothing of the proxy but what is given. */
  container(environment: Record<string, string>): Promise<Container>;
  close(): Promise<void>;
}

/** A bank whose AWS speaks TLS, as AWS does: only then does an SDK client go through a proxy by CONNECT. */
export async function openTunnelledBank({
  bundle,
  folder,
  certificate,
  authorityPem,
}: {
  /** Of the function. */
  bundle: string;
  folder: string;
  /** Of AWS, for `localhost`, and who signed it. */
  certificate: IssuedCertificate;
  authorityPem: string;
}): Promise<TunnelledBank> {
  const sandbox = await startSandbox();
  const plain = Number(new URL(sandbox.environment['AWS_ENDPOINT_URL'] ?? '').port);
  const sockets = new Set<Socket>();
  const front = createServer({ cert: certificate.certificatePem, key: certificate.privateKeyPem }, (near) => {
    const far = connect(plain, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => [near, far].map((one) => one.destroy()));
    }
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(front, 'listening');
  const { port } = front.address() as AddressInfo;
  const authorityFile = join(folder, 'authority.pem');
  await writeFile(authorityFile, authorityPem);
  const secret = async () => {
    const value = await sandbox.secretsManager.handle('GetSecretValue', { SecretId: CLIENT_CERTIFICATE_SECRET });
    return JSON.parse(String(value['SecretString'])) as Record<string, string>;
  };
  const containers: Container[] = [];
  return {
    sandbox,
    aws: `localhost:${port}`,
    d1: new URL(sandbox.d1.origin).host,
    fingerprint: async () => new X509Certificate((await secret())['certificate'] ?? '').fingerprint256,
    async storeCredentials(credentials) {
      const SecretString = JSON.stringify({ ...(await secret()), proxy_credentials: credentials });
      await sandbox.secretsManager.handle('PutSecretValue', {
        SecretId: CLIENT_CERTIFICATE_SECRET,
        ClientRequestToken: randomUUID(),
        SecretString,
      });
    },
    async container(environment) {
      const container = await startContainer(bundle, {
        ...sandbox.environment,
        AWS_ENDPOINT_URL: `https://localhost:${port}`,
        NODE_EXTRA_CA_CERTS: authorityFile,
        D1_EXCHANGE_ATTEMPTS: '1',
        ...environment,
      });
      containers.push(container);
      return container;
    },
    async close() {
      await Promise.all(containers.map((container) => container.kill()));
      for (const socket of sockets) socket.destroy();
      front.close();
      await sandbox.close();
    },
  };
}

export async function tick(container: Container): Promise<Ended> {
  try {
    await container.invoke(schedulerTick);
    return { code: 'ok', message: '' };
  } catch (thrown) {
    if (!(thrown instanceof InvocationFailed)) throw thrown;
    return { code: thrown.name, message: thrown.message };
  }
}
