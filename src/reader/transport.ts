import type { Agent } from 'node:https';
import { httpsFetch } from './https-fetch.ts';
import type { Fetch, Settings } from './options.ts';

/** How requests are sent: with the client certificate to D1, and without it to where a redirect leads. */
export interface Transport {
  readonly toD1: Fetch;
  readonly elsewhere: Fetch;
}

const builtIn: Fetch = (url, init) => globalThis.fetch(url, init);

/** @param certificateAgent Present when the client certificate comes from a secret. */
export function createTransport(settings: Settings, certificateAgent: (() => Promise<Agent>) | undefined): Transport {
  const { agent, dispatcher, fetch = builtIn } = settings;
  const agentForD1 = agent ? async () => agent : certificateAgent;
  if (agentForD1) {
    return { toD1: async (url, init) => httpsFetch(await agentForD1(), url, init), elsewhere: builtIn };
  }
  const withDispatcher: Fetch = (url, init) => fetch(url, { dispatcher, ...init } as RequestInit);
  return { toD1: dispatcher ? withDispatcher : fetch, elsewhere: fetch };
}
