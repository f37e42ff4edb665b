import { createServer } from 'node:net';
import { join } from 'node:path';
import { ensureVenv, type PythonServer, requirementsIn, startPythonServer } from '../../support/python-server.ts';
import { type AwsFront, startAwsFront } from './aws-front.ts';
import { root } from './package-service.ts';

export const REGION = 'eu-west-1';
export const ACCOUNT_ID = '000000000000';
/** MiniStack takes these for the account's root, whatever policies say. */
export const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };

const requirements = requirementsIn(new URL('../../support/ministack.requirements.txt', import.meta.url));

export interface Ministack extends PythonServer {
  /** What the deployed functions take for AWS. */
  readonly front: AwsFront;
}

/**
 * MiniStack on a free port of loopback, with IAM policies enforced, and the pinned Node for its Lambda functions.
 *
 * @param folder For what it needs as a file; nothing secret.
 */
export async function startMinistack(folder: string): Promise<Ministack> {
  const venv = await ensureVenv('ministack', requirements);
  // Its functions are told the port by its environment, so it can't look for one itself.
  const port = await freePort();
  const front = await startAwsFront(port, folder);
  const server = await startPythonServer({
    venv,
    args: ['-m', 'ministack'],
    environment: {
      AUTH: 'true',
      BIND_HOST: '127.0.0.1',
      GATEWAY_PORT: String(port),
      MINISTACK_ACCOUNT_ID: ACCOUNT_ID,
      MINISTACK_REGION: REGION,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      // Handed on to its functions.
      AWS_ENDPOINT_URL: front.url,
      NODE_EXTRA_CA_CERTS: front.authorityFile,
      // It runs nodejs24.x with the first `node` on the path.
      PATH: `${join(root, 'node_modules', '.bin')}:${process.env['PATH']}`,
      // Else it listens for MQTT and SFTP on every address of the machine.
      IOT_MTLS_ENABLED: '0',
      SFTP_ENABLED: '0',
    },
    announcement: /Running on (http:\/\/127\.0\.0\.1:\d+)/,
  });
  const close = async () => {
    await server.close();
    await front.close();
  };
  return { url: server.url, output: server.output, front, close };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('A TCP server has a port.');
  return address.port;
}
