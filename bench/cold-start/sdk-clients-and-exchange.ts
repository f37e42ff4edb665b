import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { derToJose } from 'ecdsa-sig-formatter';
import { callAws } from './aws-calls.ts';

// All the remote calls of a refresh with the least code there is: the SDK clients, and Node's own https for D1.
export const handler = () =>
  callAws(async (secretText = '{}', input, der = new Uint8Array()) => {
    const { certificate: cert, private_key: key, ca_bundle: ca } = JSON.parse(secretText);
    const body = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: `${input}.${derToJose(Buffer.from(der), 'ES256')}`,
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const outgoing = request(`${process.env['D1_ENVIRONMENT']}/oauth2/token`, {
      method: 'POST',
      headers,
      cert,
      key,
      ca,
    });
    outgoing.end(body.toString());
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    let answer = '';
    for await (const chunk of incoming.setEncoding('utf8')) answer += chunk;
    if (incoming.statusCode !== 200) throw new Error(`HTTP ${incoming.statusCode}: ${JSON.parse(answer).error}`);
  });
