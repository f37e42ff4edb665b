import type { AuthorizationServer } from './authorization-server.ts';
import { answerOrRefuse, type D1Answer, type D1Request, Refusal } from './http.ts';

const REALM = 'd1-sandbox';

/**
 * `GET /banking/v1/issuers/{issuerId}`: the smallest D1 API that shows whether an access token works. It wants a live
 * bearer token of that very issuer and says why when there is none (RFC 6750 section 3).
 */
export const answerBankingRequest = (
  authorizationServer: Pick<AuthorizationServer, 'checkAccessToken' | 'hasIssuer'>,
  request: D1Request,
  issuerId: string,
): Promise<D1Answer> =>
  answerOrRefuse(request, async () => {
    if (request.method !== 'GET') {
      throw new Refusal(405, 'method_not_allowed', `method is ${request.method}; only GET is accepted`, {
        allow: 'GET',
      });
    }
    const owner = await bearer(authorizationServer, request.headers.authorization);
    if (!authorizationServer.hasIssuer(issuerId)) throw new Refusal(404, 'not_found', 'no such issuer');
    if (owner !== issuerId) {
      throw new Refusal(403, 'insufficient_scope', 'access token belongs to another issuer', {
        'www-authenticate': challenge('insufficient_scope', 'access token belongs to another issuer'),
      });
    }
    return {
      status: 200,
      headers: {},
      body: JSON.stringify({ issuerId, name: `Sandbox issuer ${issuerId}`, status: 'ACTIVE' }),
      outcome: 'ok',
      about: { issuerId },
    };
  });

/** The issuer that the bearer token belongs to. */
async function bearer(
  authorizationServer: Pick<AuthorizationServer, 'checkAccessToken'>,
  authorization: string | undefined,
): Promise<string> {
  if (authorization === undefined) {
    // RFC 6750 section 3.1: a caller that sent nothing gets the challenge without an error code.
    throw new Refusal(401, 'invalid_token', 'header authorization is missing; it must be Bearer and an access token', {
      'www-authenticate': `Bearer realm="${REALM}"`,
    });
  }
  const token = /^Bearer +([A-Za-z0-9\-._~+/]+=*) *$/i.exec(authorization)?.[1];
  const check = token
    ? await authorizationServer.checkAccessToken(token)
    : { live: false as const, reason: 'header authorization is not Bearer and an access token' };
  if (check.live) return check.issuerId;
  throw new Refusal(401, 'invalid_token', check.reason, {
    'www-authenticate': challenge('invalid_token', check.reason),
  });
}

const challenge = (error: string, description: string) =>
  `Bearer realm="${REALM}", error="${error}", error_description="${description}"`;
