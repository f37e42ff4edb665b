import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createCertificateAuthority } from '../../../sandbox/certificates.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { correctedAnswer } from '../ministack-deviations.ts';

export interface AwsFront {
  readonly url: string;
  /** Path of the certificate to trust, in PEM. */
  readonly authorityFile: string;
  /** The operations that came by, in order: `TrentService.Sign`, `secretsmanager.GetSecretValue`. */
  readonly operations: string[];
  close(): Promise<void>;
}

/**
 * What the deployed functions call instead of MiniStack itself: it hands everything on as it is, counts, and corrects
 * the one answer that ministack-deviations.ts names.
 *
 * Over TLS, as AWS: with an endpoint that is plain HTTP, MiniStack makes its functions speak plain HTTP to the local D1 as
 * well (ministack-deviations.ts, httpsToHttp).
 *
 * @param port Where MiniStack listens, or will.
 * @param folder For the certificate of the authority.
 */
export async function startAwsFront(port: number, folder: string): Promise<AwsFront> {
  const operations: string[] = [];
  const authority = await createCertificateAuthority({ commonName: 'Deployment Test AWS CA', clock: systemClock });
  const authorityFile = join(folder, 'aws-authority.pem');
  await writeFile(authorityFile, authority.certificatePem);
  const { certificatePem: cert, privateKeyPem: key } = await authority.issue({
    commonName: 'localhost',
    usage: 'server',
    dnsNames: ['localhost'],
  });
  const server = createServer({ cert, key }, (incoming, outgoing) => {
    pass(incoming, outgoing).catch(() => outgoing.destroy());
  });

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const operation = String(incoming.headers['x-amz-target'] ?? 'unknown');
    operations.push(operation);
    const { method, url, headers } = incoming;
    // With the Host header as it came: it is signed.
    const inner = request({ host: '127.0.0.1', port, method, path: url, headers });
    inner.end(await text(incoming));
    const [answer] = (await once(inner, 'response')) as [IncomingMessage];
    const given = { status: answer.statusCode ?? 502, body: await text(answer) };
    const { status, body } = correctedAnswer(operation, given);
    const { 'transfer-encoding': _, 'content-length': __, ...kept } = answer.headers;
    outgoing.writeHead(status, { ...kept, 'content-length': Buffer.byteLength(body) }).end(body);
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    // A server that listens on TCP has an AddressInfo, never a pipe's name.
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    authorityFile,
    operations,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
