import { randomUUID } from 'node:crypto';
import { AwsError, type Intercept as AwsIntercept } from '../../sandbox/aws/server.ts';
import type { Intercept as D1Intercept } from '../../sandbox/d1/server.ts';
import { CLIENT_CERTIFICATE_SECRET, type Sandbox, SIGNING_KEY_ALIAS, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { schedulerTick } from '../support/bank.ts';

/** One way through the broker, and how each of its events ends. */
export interface Scenario {
  readonly name: string;
  readonly aws?: AwsIntercept;
  readonly d1?: D1Intercept;
  readonly environment?: Readonly<Record<string, string>>;
  /** What an egress proxy, whose URL has credentials, says instead of opening a tunnel; when it is empty it hangs up. */
  readonly proxySays?: string;
  readonly remainingMilliseconds?: number;
  /** Before the first event, with the sandbox up. */
  readonly prepare?: (sandbox: Sandbox) => Promise<unknown>;
  readonly events: readonly unknown[];
  readonly ends: readonly ('ok' | ErrorCode)[];
}

/** Where a standby looks for the primary's token. */
const REPLICA = 'd1/primary/access-token';
/** The text of a secret that is not a token, not a key, and not to be told all the same. */
export const FOREIGN_TEXT = 'correct-horse-battery-staple-7c1e9b';
/** A JWT that is in an event where it does not belong. */
export const MISPLACED_TOKEN = `eyJhbGciOiJFUzI1NiJ9.${Buffer.from('{"sub":"misplaced-token"}').toString('base64url')}.${'c2lnbmF0dXJl'.repeat(7)}`;
/** A private key that is in an environment variable where it does not belong. */
export const MISPLACED_KEY = 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbWlzcGxhY2Vk';

const tick = schedulerTick;
const direct = {};
const version = '1f0c8f6e-7d2b-4a55-9a0e-5c3f7f1f2a3b';
const step = (Step: string, SecretId = TOKEN_SECRET) => ({ Step, SecretId, ClientRequestToken: version });

const put = (sandbox: Sandbox, SecretId: string, value: object, VersionStages = ['AWSCURRENT'], id = randomUUID()) =>
  sandbox.secretsManager.handle('PutSecretValue', { SecretId, ClientRequestToken: id, VersionStages, ...value });
const putCertificate = (sandbox: Sandbox, SecretString: string) =>
  put(sandbox, CLIENT_CERTIFICATE_SECRET, { SecretString });
const startRotation = (sandbox: Sandbox) =>
  sandbox.secretsManager.handle('RotateSecret', {
    SecretId: TOKEN_SECRET,
    ClientRequestToken: version,
    RotationLambdaARN: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
  });

type Change = (certificate: Record<string, string>) => string;
const withCertificate = (change: Change) => async (sandbox: Sandbox) =>
  putCertificate(sandbox, change(JSON.parse(await sandbox.clientCertificateSecret())));

type D1Answer = Exclude<Awaited<ReturnType<D1Intercept>>, undefined>;

/** D1, or whatever stands before it, answers with something that quotes the assertion. */
const d1Says =
  (answer: (assertion: string, issued: string) => Partial<D1Answer>): D1Intercept =>
  async (request, next) => {
    const assertion = new URLSearchParams(request.body.toString()).get('assertion') ?? '';
    const issued = String(JSON.parse((await next()).body).access_token);
    return {
      status: 400,
      headers: { 'content-type': 'application/json' },
      body: '',
      outcome: 'fault',
      ...answer(assertion, issued),
    };
  };

const json = (status: number, body: object): Partial<D1Answer> => ({ status, body: JSON.stringify(body) });
const html = (status: number, text: string): Partial<D1Answer> => ({
  status,
  headers: { 'content-type': 'text/html' },
  body: `<html><body><h1>Bad gateway</h1><pre>${text}</pre></body></html>`,
});
const wrapped = (text: string, columns: number) => text.match(new RegExp(`.{1,${columns}}`, 'g'))?.join('\n') ?? '';

/** An AWS service refuses, in words that quote the whole request. */
const awsRefuses =
  (
    operation: string,
    errorType: string,
    { status = 400, secretId }: { status?: number; secretId?: string } = {},
  ): AwsIntercept =>
  async (call, next) => {
    const isHit = call.operation === operation && (secretId === undefined || call.input['SecretId'] === secretId);
    if (!isHit) return await next();
    throw new AwsError(errorType, `not possible for ${JSON.stringify(call.input)}`, status);
  };

/** An AWS service, or a proxy before it, sends bytes that are no answer, and quotes the request and the true answer. */
const awsBabbles =
  (operation: string, status: number, babble: (text: string) => string): AwsIntercept =>
  async (call, next, response) => {
    if (call.operation !== operation) return await next();
    const { body } = await next();
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(babble(`${JSON.stringify(call.input)} ${JSON.stringify(body)}`));
    return undefined;
  };

const bothEnd = (code: ErrorCode) => [code, code];

export const scenarios: readonly Scenario[] = [
  {
    name: 'all goes well',
    events: [tick, tick, direct, { force: true }, { min_remaining_seconds: 840 }, { action: 'refresh' }],
    ends: ['ok', 'ok', 'ok', 'ok', 'ok', 'ok'],
  },
  {
    name: 'a rotation goes well',
    prepare: startRotation,
    events: ['createSecret', 'setSecret', 'testSecret', 'finishSecret'].map((name) => ({
      ...step(name),
      RotationToken: MISPLACED_TOKEN,
    })),
    ends: ['ok', 'ok', 'ok', 'ok'],
  },
  {
    name: 'the configuration holds a key and a token',
    environment: {
      D1_KEY_ID: `-----BEGIN PRIVATE KEY-----\n${MISPLACED_KEY}\n-----END PRIVATE KEY-----`,
      D1_AUDIENCE: `${MISPLACED_TOKEN} `,
      D1_SUBJECT: MISPLACED_KEY,
      D1_TOKEN_SECRET: FOREIGN_TEXT,
      D1_ENVIRONMENT: `https://bank:${FOREIGN_TEXT}@d1.example`,
    },
    events: [tick, direct],
    ends: ['CONFIG_INVALID', 'CONFIG_INVALID'],
  },
  { name: 'the egress proxy hangs up', proxySays: '', events: [tick, direct], ends: bothEnd('PROXY_UNREACHABLE') },
  {
    name: 'the egress proxy refuses the credentials, and repeats them',
    proxySays: `HTTP/1.1 407 ${FOREIGN_TEXT}\r\nproxy-authenticate: Basic realm="${FOREIGN_TEXT}"\r\n\r\n`,
    events: [tick, direct],
    ends: bothEnd('PROXY_REFUSED'),
  },
  {
    name: 'events hold a token where it does not belong',
    events: [
      { access_token: MISPLACED_TOKEN },
      { [MISPLACED_TOKEN]: 1 },
      { action: MISPLACED_TOKEN },
      { min_remaining_seconds: MISPLACED_TOKEN },
      { source: MISPLACED_TOKEN },
      { Step: MISPLACED_TOKEN },
      { ...step('createSecret'), ClientRequestToken: MISPLACED_TOKEN },
      MISPLACED_TOKEN,
      [MISPLACED_TOKEN],
      { correlation_id: MISPLACED_TOKEN },
    ],
    ends: [...Array<ErrorCode>(9).fill('EVENT_INVALID'), 'ok'],
  },

  ...['AccessDeniedException', 'DisabledException', 'ValidationException'].map(
    (type): Scenario => ({
      name: `KMS refuses with ${type} and quotes the request`,
      aws: awsRefuses('Sign', type),
      events: [tick, direct],
      ends: ['SIGNING_FAILED', 'SIGNING_FAILED'],
    }),
  ),
  {
    name: 'KMS answers with something that is not JSON and quotes request and signature',
    aws: awsBabbles('Sign', 200, (text) => `not JSON: ${text}`),
    events: [tick],
    ends: ['SIGNING_FAILED'],
  },
  {
    name: 'KMS answers with HTML and 403',
    aws: awsBabbles('Sign', 403, (text) => `<html>${text}</html>`),
    events: [tick],
    ends: ['SIGNING_FAILED'],
  },
  {
    name: 'KMS answers with an error whose type is the request',
    aws: awsBabbles('Sign', 400, (text) => JSON.stringify({ __type: text, message: text })),
    events: [tick],
    ends: ['SIGNING_FAILED'],
  },
  {
    name: 'KMS answers with a signature that has a tail',
    aws: async ({ operation }, next) => {
      const answer = await next();
      if (operation !== 'Sign') return answer;
      const signature = Buffer.concat([Buffer.from(String(answer.body['Signature']), 'base64'), Buffer.from([0])]);
      return { ...answer, body: { ...answer.body, Signature: signature.toString('base64') } };
    },
    events: [tick, direct],
    ends: ['SIGNATURE_MALFORMED', 'SIGNATURE_MALFORMED'],
  },
  {
    name: 'the signing key is not there',
    prepare: (sandbox) => sandbox.kms.handle('DeleteAlias', { AliasName: SIGNING_KEY_ALIAS }),
    events: [tick],
    ends: ['SIGNING_FAILED'],
  },

  ...Object.entries<Change>({
    'cut in the middle of the key': (secret) => JSON.stringify(secret, ['private_key']).slice(0, 150),
    'not JSON but the key itself': ({ private_key }) => String(private_key),
    'JSON, but a text': ({ private_key }) => JSON.stringify(private_key),
    'with the key for a certificate': ({ private_key, ...rest }) =>
      JSON.stringify({ ...rest, private_key, certificate: private_key }),
    'with a key that is damaged': ({ private_key, ...rest }) =>
      JSON.stringify({ ...rest, private_key: private_key?.replace(/\n(.{20})/, '\n$1!$1') }),
    'with a key that has no end': ({ private_key, ...rest }) =>
      JSON.stringify({ ...rest, private_key: private_key?.slice(0, 120) }),
    'with a key in the wrong field': ({ private_key, ...rest }) => JSON.stringify({ ...rest, key: private_key }),
    'with a trust store that is a key': (secret) => JSON.stringify({ ...secret, ca_bundle: secret['private_key'] }),
  }).map(
    ([what, change]): Scenario => ({
      name: `the client-certificate secret is ${what}`,
      prepare: withCertificate(change),
      events: [tick, direct],
      ends: ['CLIENT_CERTIFICATE_INVALID', 'CLIENT_CERTIFICATE_INVALID'],
    }),
  ),
  {
    name: 'the key belongs to another certificate',
    prepare: async (sandbox) => {
      const [one, other] = [await sandbox.clientCertificateSecret(), await sandbox.clientCertificateSecret()];
      const { private_key } = JSON.parse(other);
      await putCertificate(sandbox, JSON.stringify({ ...JSON.parse(one), private_key }));
    },
    events: [tick],
    ends: ['CLIENT_CERTIFICATE_INVALID'],
  },
  {
    name: 'the client certificate has expired',
    prepare: async (sandbox) =>
      putCertificate(sandbox, await sandbox.clientCertificateSecret({ notAfter: new Date(Date.now() - 60_000) })),
    events: [tick],
    ends: ['CLIENT_CERTIFICATE_INVALID'],
  },
  {
    name: 'the client certificate is binary',
    prepare: async (sandbox) => {
      const text = await sandbox.clientCertificateSecret();
      await put(sandbox, CLIENT_CERTIFICATE_SECRET, { SecretBinary: Buffer.from(text).toString('base64') });
    },
    events: [tick],
    ends: ['CLIENT_CERTIFICATE_INVALID'],
  },
  {
    name: 'the client-certificate secret may not be read',
    aws: awsRefuses('GetSecretValue', 'AccessDeniedException', { secretId: CLIENT_CERTIFICATE_SECRET }),
    events: [tick],
    ends: ['CLIENT_CERTIFICATE_UNAVAILABLE'],
  },
  {
    name: 'the client certificate is of another issuer, and D1 says so',
    prepare: async (sandbox) =>
      putCertificate(sandbox, await sandbox.clientCertificateSecret({ issuerId: 'ISSUER0002' })),
    events: [tick],
    ends: ['TOKEN_ENDPOINT_REJECTED'],
  },
  {
    name: 'the client certificate is of another authority',
    prepare: async (sandbox) => sandbox.d1.distrustClientAuthority(sandbox.clientAuthority.certificatePem),
    events: [tick],
    // D1 hangs up after the handshake, without a word (TLS 1.3).
    ends: ['TOKEN_ENDPOINT_UNREACHABLE'],
  },

  ...Object.entries<(assertion: string, issued: string) => Partial<D1Answer>>({
    'in the error description': (assertion) =>
      json(400, { error: 'invalid_grant', error_description: `bad: ${assertion}` }),
    'as the error': (assertion) => json(400, { error: assertion }),
    'in quotes': (assertion) => json(400, { error: 'invalid_grant', error_description: `assertion="${assertion}"` }),
    'in JSON in the description': (assertion) =>
      json(400, { error: 'x', error_description: JSON.stringify({ assertion }) }),
    'as a form': (assertion) =>
      json(400, { error: 'x', error_description: new URLSearchParams({ grant: 'a b', assertion }).toString() }),
    'in lines of 76 characters': (assertion) => json(400, { error: 'x', error_description: wrapped(assertion, 76) }),
    'in lines of 64 characters': (assertion) => json(400, { error: 'x', error_description: wrapped(assertion, 64) }),
    'in lines of 32 characters': (assertion) => json(400, { error: 'x', error_description: wrapped(assertion, 32) }),
    'in lines of 20 characters': (assertion) => json(400, { error: 'x', error_description: wrapped(assertion, 20) }),
    'in HTML': (assertion) => html(400, assertion),
    'in HTML, though it says JSON': (assertion) => ({ body: `<pre>${assertion}</pre>` }),
    'with 401': (assertion) => json(401, { error: 'invalid_client', error_description: assertion }),
    'in the place that it redirects to': (assertion) => ({
      status: 302,
      headers: { location: `https://elsewhere.example/?assertion=${assertion}` },
      body: assertion,
    }),
    'in headers': (assertion) => ({
      ...json(403, {}),
      headers: { 'x-echo': assertion, 'www-authenticate': assertion },
    }),
    'with the token beside it': (assertion, issued) =>
      json(400, { error: issued, error_description: `${issued} ${assertion}` }),
  }).map(
    ([where, answer]): Scenario => ({
      name: `D1 refuses and quotes the assertion ${where}`,
      d1: d1Says(answer),
      events: [tick, direct],
      ends: ['TOKEN_ENDPOINT_REJECTED', 'TOKEN_ENDPOINT_REJECTED'],
    }),
  ),
  ...Object.entries<(assertion: string, issued: string) => Partial<D1Answer>>({
    'in HTML': (assertion) => html(502, assertion),
    'in JSON': (assertion) => json(503, { error: 'unavailable', error_description: assertion }),
    'and asks to wait': (assertion) => ({ ...json(429, { error: assertion }), headers: { 'retry-after': assertion } }),
  }).map(
    ([where, answer]): Scenario => ({
      name: `D1 is out of order and quotes the assertion ${where}`,
      d1: d1Says(answer),
      events: [tick, direct],
      ends: ['TOKEN_ENDPOINT_UNREACHABLE', 'TOKEN_ENDPOINT_UNREACHABLE'],
    }),
  ),
  ...Object.entries<(assertion: string, issued: string) => Partial<D1Answer>>({
    'of HTML with assertion and token': (assertion, issued) => html(200, `${assertion} ${issued}`),
    'that breaks off in the token': (_assertion, issued) => ({ status: 200, body: `{"access_token":"${issued}` }),
    'with the token under another name': (assertion, issued) => json(200, { token: issued, assertion }),
    'with a list of tokens': (_assertion, issued) => json(200, { access_token: [issued] }),
    'with another type of token': (_assertion, issued) => json(200, { access_token: issued, token_type: issued }),
    'with a life that is no number': (_assertion, issued) => json(200, { access_token: issued, expires_in: issued }),
    'with a token of two words': (_assertion, issued) => json(200, { access_token: `${issued} ${issued}` }),
    'with a scope that is an object': (_assertion, issued) => json(200, { access_token: issued, scope: { issued } }),
    'that is the token alone': (_assertion, issued) => ({ status: 200, body: JSON.stringify(issued) }),
    'that is too large': (_assertion, issued) => json(200, { access_token: issued.repeat(300) }),
    'that is compressed': (_assertion, issued) => ({
      ...json(200, { access_token: issued }),
      headers: { 'content-type': 'application/json', 'content-encoding': 'br' },
    }),
  }).map(
    ([what, answer]): Scenario => ({
      name: `D1 sends an answer ${what}`,
      d1: d1Says(answer),
      events: [tick, direct],
      ends: ['TOKEN_RESPONSE_INVALID', 'TOKEN_RESPONSE_INVALID'],
    }),
  ),
  {
    name: 'D1 hangs up in the middle of the token',
    d1: async (_request, next, response) => {
      const { body } = await next();
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
      response.write(body.slice(0, -20), () => response.destroy());
      return undefined;
    },
    events: [tick],
    ends: ['TOKEN_ENDPOINT_UNREACHABLE'],
  },
  {
    name: 'D1 answers with a header that is no header',
    d1: async (_request, next, response) => {
      const { body } = await next();
      response.socket?.end(`HTTP/1.1 200 OK\r\n${body}\r\n\r\n`);
      return undefined;
    },
    events: [tick],
    ends: ['TOKEN_RESPONSE_INVALID'],
  },

  {
    name: 'the token secret was deleted',
    prepare: (sandbox) => sandbox.secretsManager.handle('DeleteSecret', { SecretId: TOKEN_SECRET }),
    events: [tick, direct],
    ends: ['TOKEN_SECRET_MISSING', 'ok'],
  },
  ...Object.entries<object>({
    'a text': { SecretString: FOREIGN_TEXT },
    'JSON that breaks off': { SecretString: `{"password": "${FOREIGN_TEXT}` },
    'JSON of somebody else': { SecretString: JSON.stringify({ password: FOREIGN_TEXT, [FOREIGN_TEXT]: 1 }) },
    'a token record that is damaged': {
      SecretString: JSON.stringify({ access_token: MISPLACED_TOKEN, expires_at: FOREIGN_TEXT }),
    },
    binary: { SecretBinary: Buffer.from(FOREIGN_TEXT).toString('base64') },
  }).map(
    ([what, value]): Scenario => ({
      name: `the token secret is foreign: ${what}`,
      prepare: (sandbox) => put(sandbox, TOKEN_SECRET, value),
      events: [tick, direct],
      ends: ['ok', 'ok'],
    }),
  ),
  {
    name: 'the replica of the primary is foreign',
    environment: { D1_PRIMARY_TOKEN_SECRET_ID: REPLICA },
    prepare: (sandbox) =>
      sandbox.secretsManager.handle('CreateSecret', {
        Name: REPLICA,
        SecretString: JSON.stringify({ access_token: MISPLACED_TOKEN, expires_at: FOREIGN_TEXT }),
        ClientRequestToken: randomUUID(),
      }),
    events: [tick, direct],
    ends: ['ok', 'ok'],
  },
  {
    name: 'the token secret may not be written, and the refusal quotes it',
    aws: awsRefuses('PutSecretValue', 'AccessDeniedException'),
    events: [tick, direct],
    ends: ['TOKEN_STORE_DENIED', 'ok'],
  },
  {
    name: 'the token secret has too many versions, and the refusal quotes the next',
    aws: awsRefuses('PutSecretValue', 'LimitExceededException'),
    events: [direct, tick],
    ends: ['ok', 'TOKEN_STORE_QUOTA_EXCEEDED'],
  },
  {
    name: 'the token secret is written too often, and the refusal quotes the value',
    aws: awsRefuses('PutSecretValue', 'ThrottlingException'),
    events: [tick],
    ends: ['TOKEN_STORE_THROTTLED'],
  },
  {
    name: 'Secrets Manager answers a write with something that is not JSON and quotes the value',
    aws: awsBabbles('PutSecretValue', 200, (text) => `not JSON: ${text}`),
    events: [tick],
    ends: ['TOKEN_STORE_UNAVAILABLE'],
  },
  {
    name: 'Secrets Manager answers a write with an error whose type is the value',
    aws: awsBabbles('PutSecretValue', 400, (text) => JSON.stringify({ __type: text, Message: text })),
    events: [tick],
    ends: ['TOKEN_STORE_UNAVAILABLE'],
  },
  {
    name: 'Secrets Manager breaks off in the middle of a value',
    prepare: (sandbox) => put(sandbox, TOKEN_SECRET, { SecretString: FOREIGN_TEXT }),
    aws: async (call, next, response) => {
      if (call.operation !== 'GetSecretValue' || call.input['SecretId'] !== TOKEN_SECRET) return await next();
      const body = JSON.stringify((await next()).body);
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
      response.end(body.slice(0, -30));
      return undefined;
    },
    events: [tick],
    ends: ['TOKEN_STORE_UNAVAILABLE'],
  },

  {
    name: 'a rotation is asked for that there is none of',
    events: [step('createSecret'), step('testSecret', CLIENT_CERTIFICATE_SECRET)],
    ends: ['ROTATION_REFUSED', 'ROTATION_REFUSED'],
  },
  {
    name: 'the pending value of a rotation is foreign',
    prepare: async (sandbox) => {
      await startRotation(sandbox);
      await put(sandbox, TOKEN_SECRET, { SecretString: `{"password": "${FOREIGN_TEXT}` }, ['AWSPENDING'], version);
    },
    events: [step('testSecret')],
    ends: ['ROTATION_FAILED'],
  },
  {
    name: 'the pending value of a rotation could not be written, and the refusal quotes it',
    prepare: startRotation,
    aws: awsRefuses('PutSecretValue', 'AccessDeniedException'),
    events: [step('createSecret')],
    ends: ['TOKEN_STORE_DENIED'],
  },
  {
    name: 'somebody checks, and again at once',
    events: [{ action: 'check' }, { action: 'check' }],
    ends: ['ok', 'CHECK_TOO_SOON'],
  },
  {
    name: 'somebody checks, with a certificate that waits and is none',
    prepare: (sandbox) =>
      put(sandbox, CLIENT_CERTIFICATE_SECRET, { SecretString: `{"private_key": "${FOREIGN_TEXT}` }, ['WAITING']),
    events: [{ action: 'check', certificate: 'next' }],
    ends: ['ok'],
  },
  {
    name: 'there is not enough time',
    remainingMilliseconds: 2_000,
    events: [tick, direct],
    ends: ['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED'],
  },
];
