import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Faults } from '../faults/faults.ts';
import { FaultRuleError, parseFaultRule } from '../faults/parse-rule.ts';

/**
 * Faults for a sandbox that is up: POST a rule and it begins, DELETE and all of them end. The answer is a sentence, with
 * 200 or 400.
 *
 * @param port A free one unless told.
 * @throws Error of Node, such as EADDRINUSE, when it cannot listen.
 */
export async function startFaultServer(
  faults: Pick<Faults, 'add' | 'end'>,
  port = 0,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    obey(faults, request).then(
      (sentence) => response.end(`${sentence}\n`),
      (error: unknown) => response.writeHead(400).end(`${error instanceof FaultRuleError ? error.message : wrong}\n`),
    );
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    // A server that listens on TCP has an AddressInfo, never a pipe's name.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const wrong = 'POST a fault rule, or DELETE all of them.';

async function obey(faults: Pick<Faults, 'add' | 'end'>, request: IncomingMessage): Promise<string> {
  if (request.method === 'DELETE') {
    faults.end();
    return 'No faults any more.';
  }
  if (request.method !== 'POST') throw new Error(wrong);
  const rule = (await text(request)).trim();
  faults.add(parseFaultRule(rule));
  return `From now on: ${rule}`;
}
