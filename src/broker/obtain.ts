import { createAssertion } from '../assertion/assertion.ts';
import type { Sign } from '../assertion/kms-signer.ts';
import type { Call } from '../call.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Deadline } from '../deadline.ts';
import { asBrokerError } from '../errors.ts';
import type { Random } from '../random.ts';
import { responseInvalid } from '../token-endpoint/endpoint-error.ts';
import type { Exchanged, TokenEndpoint } from '../token-endpoint/token-endpoint.ts';
import { tokenLifetime } from '../token-endpoint/token-lifetime.ts';
import type { TokenRecord } from '../token-store/token-record.ts';

/** What an obtained token needs to get stored; it is not spent on obtaining it. */
export const STORE_RESERVE_MILLISECONDS = 2_000;
/** With less time than this a refresh is not begun: it would sign and exchange, and then lose the token. */
export const SHORTEST_REFRESH_MILLISECONDS = STORE_RESERVE_MILLISECONDS + 1_000;

/** Gets a new token from D1: one signature and one exchange, if all goes well. */
export type Obtain = (call: Call, deadline: Deadline) => Promise<TokenRecord>;

export function createObtain({
  config,
  sign,
  tokenEndpoint,
  clock,
  random,
}: {
  config: Config;
  sign: Sign;
  tokenEndpoint: TokenEndpoint;
  clock: Clock;
  random: Random;
}): Obtain {
  return async (call, deadline) => {
    const exchangeDeadline = deadline.earlier(STORE_RESERVE_MILLISECONDS);
    const exchanging = exchangeDeadline.limit('getting a token from D1', async (signal) => {
      const assertion = (attempt: AbortSignal) => createAssertion({ settings: config, sign, clock, random }, attempt);
      const exchanged = await tokenEndpoint.exchange(assertion, call, exchangeDeadline, signal);
      const record = toRecord(exchanged, config, call.correlationId);
      if (record.expires_at * 1000 <= clock.now()) throw responseInvalid('the access token has expired on its way');
      return record;
    });
    // Whoever waits for this exchange has a correlation id of its own; the one that D1 saw is the one to ask it about.
    return exchanging.catch((error: unknown) => {
      throw asBrokerError(error).located({ correlationId: call.correlationId });
    });
  };
}

function toRecord({ response, sentAt }: Exchanged, config: Config, correlationId: string): TokenRecord {
  const lifetimeSeconds = tokenLifetime(response, sentAt, config.defaultExpiresInSeconds);
  const obtainedAt = Math.floor(sentAt / 1000);
  const expiresAt = Math.floor(sentAt / 1000 + lifetimeSeconds);
  return {
    access_token: response.access_token,
    token_type: 'Bearer',
    ...(typeof response.scope === 'string' && { scope: response.scope }),
    expires_in: response.expires_in ?? expiresAt - obtainedAt,
    expires_at: expiresAt,
    obtained_at: obtainedAt,
    issuer_id: config.issuerId,
    key_id: config.keyId,
    correlation_id: correlationId,
    schema_version: 1,
  };
}
