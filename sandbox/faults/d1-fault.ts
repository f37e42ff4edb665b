import type { ServerResponse } from 'node:http';
import type { D1Answer, D1Request } from '../d1/http.ts';
import { CANARY, hangUp, sendHalf, silence } from './cut-off.ts';
import type { Fault } from './rule.ts';

/** Does to a request at D1 what the fault says. What D1 really says with 401, 403, 429 and 503 is not documented. */
export async function d1Fault(
  fault: Fault,
  { path }: Pick<D1Request, 'path'>,
  next: () => Promise<D1Answer>,
  response: ServerResponse,
  sleep: (milliseconds: number) => Promise<void>,
): Promise<D1Answer | undefined> {
  switch (fault.kind) {
    case 'delay':
      await sleep(fault.milliseconds ?? 0);
      return next();
    case 'throttle': {
      const { retryAfterSeconds } = fault;
      const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
      return json(429, 'too_many_requests', headers);
    }
    case 'unavailable':
      return json(503, 'temporarily_unavailable');
    case 'refuse':
      return json(403, 'access_denied');
    case 'unauthorized':
      // RFC 6750 section 3.1 for a token that was revoked, RFC 6749 section 5.2 for a client.
      return path.startsWith('/banking/')
        ? json(401, 'invalid_token', { 'www-authenticate': 'Bearer realm="d1-sandbox", error="invalid_token"' })
        : json(401, 'invalid_client');
    case 'reset': {
      const { status, headers, body } = await next();
      await sendHalf(response, status, headers, body);
      return undefined;
    }
    case 'garbage':
      return {
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: `{"access_token": "${CANARY}`,
        outcome: 'garbage',
      };
    case 'lost':
      await next();
      hangUp(response);
      return undefined;
    case 'hang':
      await silence(response);
      return undefined;
  }
}

/** An endpoint may quote what it was sent; the canary stands for that. */
const json = (status: number, error: string, headers: Record<string, string> = {}): D1Answer => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify({ error, error_description: `sandbox fault ${CANARY}.${CANARY}` }),
  outcome: error,
});
