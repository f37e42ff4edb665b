// A refresh with nothing between it and the network but node:http and node:https: no SDK, no signature on the requests to
// AWS, no checks, no log. What it needs beyond the fixed latencies is what the machine itself needs for four round trips.
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import { connect } from 'node:tls';
import { derToJose } from 'ecdsa-sig-formatter';

const env = process.env;
const agent = new Agent({ keepAlive: true });
const tokenEndpoint = new URL(`${env['D1_ENVIRONMENT']}/oauth2/token`);
let certificate;
let connection;

export const handler = async () => {
  const { SecretString } = await aws('secretsmanager.GetSecretValue', { SecretId: env['D1_TOKEN_SECRET_ID'] });
  certificate ??= await readCertificate();
  if (!connection || connection.destroyed) connection = connect({ ...certificate, ...target() }).setNoDelay(true);
  const now = Math.floor(Date.now() / 1000);
  const issuer = env['D1_ISSUER_ID'];
  const header = { alg: 'ES256', typ: 'JWT', kid: env['D1_KEY_ID'] };
  const claims = { iss: issuer, sub: issuer, aud: env['D1_AUDIENCE'], iat: now, exp: now + 300, jti: randomUUID() };
  const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const { Signature } = await aws('TrentService.Sign', {
    KeyId: env['D1_SIGNING_KEY_ID'],
    Message: createHash('sha256').update(input).digest('base64'),
    MessageType: 'DIGEST',
    SigningAlgorithm: 'ECDSA_SHA_256',
  });
  const body = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: `${input}.${derToJose(Signature, 'ES256')}`,
  }).toString();
  const outgoing = requestTls(tokenEndpoint, {
    method: 'POST',
    agent: oneConnection,
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length },
  });
  await answerTo(outgoing, body);
  await aws('secretsmanager.PutSecretValue', {
    SecretId: env['D1_TOKEN_SECRET_ID'],
    ClientRequestToken: randomUUID(),
    SecretString,
  });
};

/** Hands out the connection that is open or being opened, and leaves it open. */
const oneConnection = new TlsAgent({ keepAlive: true, maxSockets: 1 });
oneConnection.createConnection = () => connection;

const target = () => ({ host: tokenEndpoint.hostname, port: tokenEndpoint.port, servername: tokenEndpoint.hostname });

async function readCertificate() {
  const { SecretString } = await aws('secretsmanager.GetSecretValue', {
    SecretId: env['D1_CLIENT_CERTIFICATE_SECRET_ID'],
  });
  const { certificate: cert, private_key: key, ca_bundle: ca } = JSON.parse(SecretString);
  return { cert, key, ca };
}

function aws(target, input) {
  const body = JSON.stringify(input);
  const headers = {
    'x-amz-target': target,
    'content-type': 'application/x-amz-json-1.1',
    'content-length': Buffer.byteLength(body),
  };
  return answerTo(request(env['AWS_ENDPOINT_URL'], { method: 'POST', agent, headers }), body);
}

async function answerTo(outgoing, body) {
  outgoing.end(body);
  const [incoming] = await once(outgoing, 'response');
  let text = '';
  for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
  if (incoming.statusCode !== 200) throw new Error(`HTTP ${incoming.statusCode}`);
  return JSON.parse(text);
}
