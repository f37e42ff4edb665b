import { MIMEType } from 'node:util';
import { type D1Request, invalidRequest, MAXIMUM_BODY_BYTES, Refusal, shown } from './http.ts';

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** Reads a token request (RFC 6749 section 3.2, RFC 7523 section 2.1) and returns its assertion, not yet looked at. */
export function readAssertion(request: D1Request): string {
  if (request.body.byteLength > MAXIMUM_BODY_BYTES) {
    throw new Refusal(413, 'invalid_request', `body is too large; at most ${MAXIMUM_BODY_BYTES} bytes are accepted`);
  }
  const parameters = readParameters(request);
  const grantType = parameters.get('grant_type');
  if (grantType === undefined) throw invalidRequest(`parameter grant_type is missing; it must be '${GRANT_TYPE}'`);
  if (grantType !== GRANT_TYPE) {
    throw new Refusal(
      400,
      'unsupported_grant_type',
      `parameter grant_type is ${shown(grantType)}; it must be '${GRANT_TYPE}'`,
    );
  }
  const assertion = parameters.get('assertion');
  if (assertion === undefined) throw invalidRequest('parameter assertion is missing; it must be one signed JWT');
  return assertion;
}

/** RFC 6749 section 3.2: a parameter without a value counts as left out, and none may come twice. */
function readParameters(request: D1Request): Map<string, string> {
  const type = mediaType(request.headers['content-type']);
  const text = utf8(request.body);
  const pairs = type === 'application/json' ? jsonMembers(text) : new URLSearchParams(text);
  const parameters = new Map<string, string>();
  for (const [parameter, value] of pairs) {
    if (parameters.has(parameter)) {
      throw invalidRequest(`parameter ${shown(parameter)} was sent more than once; once is allowed`);
    }
    parameters.set(parameter, value);
  }
  for (const [parameter, value] of parameters) if (value === '') parameters.delete(parameter);
  return parameters;
}

function mediaType(header: string | undefined): string {
  const accepted = `'application/x-www-form-urlencoded' or 'application/json'`;
  const refused = () => invalidRequest(`header content-type is ${shown(header)}; it must be ${accepted}`);
  let type: MIMEType;
  try {
    type = new MIMEType(header ?? '');
  } catch {
    throw refused();
  }
  if (type.essence !== 'application/x-www-form-urlencoded' && type.essence !== 'application/json') throw refused();
  const charset = type.params.get('charset');
  if (charset !== null && charset.toLowerCase() !== 'utf-8') {
    throw invalidRequest(`header content-type has charset ${shown(charset)}; it must be 'utf-8'`);
  }
  return type.essence;
}

function utf8(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw invalidRequest('body is not UTF-8 text');
  }
}

function* jsonMembers(text: string): Iterable<[string, string]> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw invalidRequest('body is not JSON, although the content-type says so');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalidRequest(`body is JSON ${shown(body)}; it must be an object`);
  }
  for (const [member, value] of Object.entries(body)) {
    if (typeof value === 'string') yield [member, value];
    else if (member === 'grant_type' || member === 'assertion') {
      throw invalidRequest(`parameter ${member} is ${shown(value)}; it must be one text`);
    }
  }
}
