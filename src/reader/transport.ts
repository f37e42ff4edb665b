import type { Agent } from 'node:https';
import { HttpsFailure } from '../shared/https-failure.ts';
import { asFetchError, fetchError, fetchOverHttps, timedOut } from './fetch-over-https.ts';
import { dropFree, type MutualTls } from './mutual-tls.ts';
import type { Fetch, Settings } from './options.ts';
import { isRepeatable } from './request.ts';

/** How requests are sent: with the client certificate to D1, and without it to where a redirect leads. */
export interface Transport {
  readonly toD1: Fetch;
  readonly elsewhere: Fetch;
}

/** RFC 9110, section 9.2.2: to send one of these twice means the same as once. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

const builtIn: Fetch = (url, init) => globalThis.fetch(url, init);

/** @param mutualTls Present when the reader itself connects to D1. */
export function createTransport(settings: Settings, mutualTls: MutualTls | undefined): Transport {
  const { dispatcher, fetch = builtIn, requestTimeoutMilliseconds } = settings;
  const bounded = (inner: Fetch): Fetch => withTimeout(inner, requestTimeoutMilliseconds);
  if (mutualTls) return { toD1: overHttps(settings, mutualTls), elsewhere: bounded(builtIn) };
  const withDispatcher: Fetch = (url, init) => fetch(url, { dispatcher, ...init } as RequestInit);
  return { toD1: bounded(dispatcher ? withDispatcher : fetch), elsewhere: bounded(fetch) };
}

function overHttps(settings: Settings, mutualTls: MutualTls): Fetch {
  return async (url, init) => {
    const { signal } = init;
    const send = (agent: Agent) => fetchOverHttps(url, init, agent, settings);
    const agent = await mutualTls.agent({ signal });
    try {
      return await send(agent).catch(async (failure: unknown) => {
        const next = await agentForAgain(failure, agent, init);
        if (!next) throw failure;
        return send(next);
      });
    } catch (error) {
      throw asFetchError(error, settings.requestTimeoutMilliseconds);
    }
  };

  /**
   * @returns What to send the request again with, once; nothing when that could do what was done already.
   * @throws TypeError when there is another certificate, and the request can't be sent again all the same.
   */
  async function agentForAgain(failure: unknown, agent: Agent, init: RequestInit): Promise<Agent | undefined> {
    if (!(failure instanceof HttpsFailure) || failure.answered) return undefined;
    const { kind, code, reusedSocket, certificateRefused, untrusted } = failure;
    const isSpent = !isRepeatable(init.body);
    // A handshake that failed has carried no request; who just hangs up may have read one.
    const mayBeDone = kind === 'NETWORK' && !IDEMPOTENT.has(init.method ?? 'GET');
    if (kind === 'NETWORK' && reusedSocket) {
      if (mayBeDone || isSpent) return undefined;
      // The server had closed it while the process was frozen, and so perhaps all others.
      dropFree(agent);
      return agent;
    }
    if (!certificateRefused && !untrusted) return undefined;
    // Also for a request that can't be sent again: the next one shows what the secret holds now.
    const other = await mutualTls.insteadOf(agent, { signal: init.signal });
    if (!other || !(mayBeDone || isSpent)) return other;
    const why = mayBeDone ? 'it may have been carried out' : 'its body is spent';
    throw fetchError(code, `not sent again: ${why}; the next request shows the certificate that the secret holds now`);
  }
}

/** For a fetch that is not ours: the timeout joins the caller's signal, and holds it as long as the request may take. */
function withTimeout(inner: Fetch, milliseconds: number | undefined): Fetch {
  if (milliseconds === undefined) return inner;
  return (url, init) => {
    const { signal } = init;
    const over = new AbortController();
    const abort = () => over.abort(signal?.reason);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    const timer = setTimeout(() => {
      settle();
      over.abort(timedOut(milliseconds));
    }, milliseconds);
    // Nobody waits for it: what it ends keeps the process itself.
    timer.unref();
    return inner(url, { ...init, signal: over.signal }).catch((error: unknown) => {
      settle();
      throw error;
    });
  };
}
