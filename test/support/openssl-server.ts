import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { httpResponse } from './hostile-server.ts';

export interface OpensslServer {
  readonly port: number;
  /** Request lines that it has read. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/**
 * OpenSSL's own TLS 1.3 server. It refuses a client certificate as most servers do, with an alert after what the client
 * takes for the end of the handshake; Node's just hangs up. To every request it answers 200.
 *
 * @param clientAuthority PEM: who signs the client certificates that it trusts.
 * @param judgedAt The time at which a client certificate must be valid.
 */
export async function startOpensslServer({
  certificate,
  privateKey,
  clientAuthority,
  judgedAt,
}: {
  certificate: string;
  privateKey: string;
  clientAuthority: string;
  judgedAt: Date;
}): Promise<OpensslServer> {
  const folder = await mkdtemp(join(tmpdir(), 'openssl-server-'));
  const files = { cert: certificate, key: privateKey, CAfile: clientAuthority };
  const named = await Promise.all(
    Object.entries(files).map(async ([option, pem]) => {
      const file = join(folder, `${option}.pem`);
      await writeFile(file, pem, { mode: 0o600 });
      return [`-${option}`, file];
    }),
  );
  const seconds = String(Math.floor(judgedAt.getTime() / 1000));
  const refusing = ['-Verify', '1', '-verify_return_error', '-attime', seconds];
  const child = spawn('openssl', ['s_server', '-accept', '127.0.0.1:0', '-tls1_3', ...named.flat(), ...refusing], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const requests: string[] = [];
  const listening = Promise.withResolvers<number>();
  const ended = once(child, 'exit').then(() =>
    listening.reject(new Error('openssl s_server ended before it listened')),
  );
  child.once('error', listening.reject);
  let output = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    output += text;
    const port = /^ACCEPT .*:(\d+)$/m.exec(output)?.[1];
    if (port !== undefined) listening.resolve(Number(port));
    for (const [head, line = ''] of output.matchAll(/^([A-Z]+ \S+) HTTP\/1\.1\r\n(?:.+\r\n)*\r\n/gm)) {
      output = output.replace(head, '');
      requests.push(line);
      child.stdin.write(httpResponse(200, {}, 'ok'));
    }
  });
  return {
    port: await listening.promise,
    requests,
    async close() {
      child.kill();
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
