import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { IssuedCertificate } from '../../sandbox/certificates.ts';
import { freePort } from '../support/ports.ts';

const run = promisify(execFile);
const SQUID = '/usr/sbin/squid';
const LIBRARY = '/usr/lib/squid';
const START_TIMEOUT_MILLISECONDS = 20_000;

/** What Squid does with who comes to one of its ports. */
export type Habit = 'open' | 'authenticated' | 'forbidden' | 'inspecting';

export interface Squid {
  /** `http://localhost:PORT` or `https://…`. Squid listens with TLS for no more than the first three habits. */
  url(scheme: 'http' | 'https', habit: Habit): string;
  /** Its access log so far. */
  log(): Promise<string>;
  close(): Promise<void>;
}

/**
 * A Squid as Debian packages it, in the foreground, with a port for each habit.
 *
 * @param certificate Its own, for `localhost`.
 * @param credentials `user:password`.
 * @throws Error that says what to install.
 */
export async function startSquid(
  certificate: Pick<IssuedCertificate, 'certificatePem' | 'privateKeyPem'>,
  credentials: string,
): Promise<Squid> {
  const version = await run(SQUID, ['-v']).catch(() => ({ stdout: '' }));
  if (!version.stdout.includes('with-openssl')) {
    throw new Error('The matrix of proxies needs Squid with OpenSSL: apt-get install squid-openssl');
  }
  const folder = await mkdtemp(join(tmpdir(), 'd1-squid-'));
  // Started by root it becomes another user, who must get in.
  await chmod(folder, 0o777);
  const file = (name: string) => join(folder, name);
  const [user = '', password = ''] = credentials.split(':');
  const { stdout: hash } = await run('openssl', ['passwd', '-apr1', password]);
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...['-subj', '/CN=Inspecting Proxy CA', '-keyout', file('inspector.key'), '-out', file('inspector.pem')],
  ]);
  await writeFile(file('certificate.pem'), certificate.certificatePem);
  await writeFile(file('key.pem'), certificate.privateKeyPem);
  await writeFile(file('passwords'), `${user}:${hash.trim()}\n`);
  await run(`${LIBRARY}/security_file_certgen`, ['-c', '-s', file('certificates'), '-M', '4MB']);
  await run('chmod', ['-R', 'a+rwX', folder]);
  const ports = new Map<string, number>();
  for (const habit of ['http-open', 'http-authenticated', 'http-forbidden', 'http-inspecting']) {
    ports.set(habit, await freePort());
  }
  for (const habit of ['https-open', 'https-authenticated', 'https-forbidden']) ports.set(habit, await freePort());
  const tls = `tls-cert=${file('certificate.pem')} tls-key=${file('key.pem')}`;
  const inspector = `ssl-bump generate-host-certificates=on tls-cert=${file('inspector.pem')} tls-key=${file('inspector.key')}`;
  const listening = [...ports].map(([name, port]) => {
    const [scheme] = name.split('-');
    const more = scheme === 'https' ? tls : name.endsWith('inspecting') ? inspector : '';
    return `${scheme}_port 127.0.0.1:${port} name=${name} ${more}`;
  });
  const settings = [
    ...listening,
    `auth_param basic program ${LIBRARY}/basic_ncsa_auth ${file('passwords')}`,
    'auth_param basic children 1',
    `sslcrtd_program ${LIBRARY}/security_file_certgen -s ${file('certificates')} -M 4MB`,
    'sslcrtd_children 1',
    'acl authenticated myportname http-authenticated https-authenticated',
    'acl forbidden myportname http-forbidden https-forbidden',
    'acl inspected myportname http-inspecting',
    'acl known proxy_auth REQUIRED',
    'http_access deny forbidden',
    'http_access deny authenticated !known',
    'http_access allow all',
    'ssl_bump bump inspected',
    'tls_outgoing_options flags=DONT_VERIFY_PEER',
    'cache deny all',
    'pid_filename none',
    `access_log stdio:${file('access.log')}`,
    `cache_log ${file('cache.log')}`,
    `coredump_dir ${folder}`,
    'shutdown_lifetime 0 seconds',
    'visible_hostname squid.test',
  ];
  await writeFile(file('squid.conf'), `${settings.join('\n')}\n`);
  const child = spawn(SQUID, ['-N', '-f', file('squid.conf')], { stdio: 'ignore' });
  await Promise.all([...ports.values()].map((port) => listens(port, child, file('cache.log'))));

  return {
    url: (scheme, habit) => `${scheme}://localhost:${ports.get(`${scheme}-${habit}`)}`,
    log: () => readFile(file('access.log'), 'utf8').catch(() => ''),
    async close() {
      if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves when somebody accepts connections at a port. */
async function listens(port: number, child: ChildProcess, logFile: string): Promise<void> {
  const until = performance.now() + START_TIMEOUT_MILLISECONDS;
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const isThere = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isThere) return;
    if (child.exitCode !== null || performance.now() > until) {
      throw new Error(`Squid did not start: ${(await readFile(logFile, 'utf8').catch(() => '')).slice(-2_000)}`);
    }
    await sleep(50);
  }
}
