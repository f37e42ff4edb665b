import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import type { SecureVersion } from 'node:tls';
import { type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose';
import { CallLog } from '../../sandbox/calls.ts';
import {
  type CertificateAuthority,
  createCertificateAuthority,
  type IssuedCertificate,
} from '../../sandbox/certificates.ts';
import { type D1Server, type D1ServerOptions, startD1Server } from '../../sandbox/d1/server.ts';
import { systemClock } from '../../src/shared/clock.ts';

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
export const FORM = 'application/x-www-form-urlencoded';

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  json: Record<string, unknown>;
}

export interface Call {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

/** A bank's side of the wire: node:https with one client certificate. */
export interface Caller {
  send(call: Call): Promise<Reply>;
  close(): void;
}

export interface CallerOptions {
  certificate?: Pick<IssuedCertificate, 'certificatePem' | 'privateKeyPem'> | undefined;
  keepAlive?: boolean;
  tlsVersion?: SecureVersion;
}

/** A D1 of one's own with one bank onboarded, at a moment that the test decides. */
export interface D1World {
  server: D1Server;
  calls: CallLog;
  serverAuthority: CertificateAuthority;
  clientAuthority: CertificateAuthority;
  clientCertificate: IssuedCertificate;
  issuerId: string;
  keyId: string;
  privateKey: KeyObject;
  /** D1's clock, in seconds since 1970. The certificates' dates are the machine's. */
  now(): number;
  advance(seconds: number): void;
  caller(options?: CallerOptions): Caller;
  /** An assertion that keeps every rule, but for what is given here; `undefined` leaves a part out. */
  assertion(changes?: AssertionChanges): Promise<string>;
  tokenRequest(assertion: string, headers?: Record<string, string>): Call;
  close(): Promise<void>;
}

export interface AssertionChanges {
  header?: Record<string, unknown>;
  claims?: Record<string, unknown>;
  signWith?: KeyObject | Uint8Array;
}

export async function startD1World(
  options: Partial<Pick<D1ServerOptions, 'intercept' | 'tokenLifetimeSeconds'>> = {},
): Promise<D1World> {
  let milliseconds = Date.parse('2031-05-06T07:08:09.500Z');
  const issuerId = 'BANK-00001';
  const keyId = 'bank-key-1';
  const [serverAuthority, clientAuthority] = await Promise.all([
    createCertificateAuthority({ commonName: 'Sandbox Server CA', clock: systemClock }),
    createCertificateAuthority({ commonName: 'Sandbox Client CA', clock: systemClock }),
  ]);
  const [serverCertificate, clientCertificate] = await Promise.all([
    serverAuthority.issue({ commonName: 'localhost', usage: 'server', dnsNames: ['localhost'] }),
    clientAuthority.issue({ commonName: clientName(issuerId), organization: 'Example Bank', usage: 'client' }),
  ]);
  const calls = new CallLog();
  const server = await startD1Server({
    clock: { now: () => milliseconds },
    serverCertificate,
    clientCertificateAuthorityPem: clientAuthority.certificatePem,
    calls,
    ...options,
  });
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  server.provisionIssuer({ issuerId, keyId, publicKey: spki(publicKey) });

  const callers: Caller[] = [];
  const now = () => Math.floor(milliseconds / 1000);
  return {
    server,
    calls,
    serverAuthority,
    clientAuthority,
    clientCertificate,
    issuerId,
    keyId,
    privateKey,
    now,
    advance(seconds) {
      milliseconds += seconds * 1000;
    },
    caller(callerOptions = {}) {
      const certificate = 'certificate' in callerOptions ? callerOptions.certificate : clientCertificate;
      const caller = connectTo(server.origin, serverAuthority.certificatePem, { ...callerOptions, certificate });
      callers.push(caller);
      return caller;
    },
    assertion(changes = {}) {
      const header = { alg: 'ES256', typ: 'JWT', kid: keyId, ...changes.header };
      const claims = { iss: issuerId, sub: issuerId, exp: now() + 300, jti: randomUUID(), ...changes.claims };
      return new SignJWT(claims as JWTPayload)
        .setProtectedHeader(header as JWTHeaderParameters)
        .sign(changes.signWith ?? privateKey);
    },
    tokenRequest: (assertion, headers = {}) => ({
      method: 'POST',
      path: '/authz/v1/oauth2/token',
      headers: { 'content-type': FORM, ...headers },
      body: new URLSearchParams({ grant_type: JWT_BEARER, assertion }).toString(),
    }),
    async close() {
      for (const caller of callers) caller.close();
      await server.close();
    },
  };
}

/** The Common Name in the form that the sandbox agrees with D1's RSA example on. */
export const clientName = (issuerId: string) => `TLSMA-ECC/${issuerId}/PPR`;

export const spki = (publicKey: KeyObject) => publicKey.export({ type: 'spki', format: 'der' });

function connectTo(origin: string, serverAuthorityPem: string, options: CallerOptions): Caller {
  const { certificate, tlsVersion } = options;
  const agent = new Agent({
    ca: serverAuthorityPem,
    keepAlive: options.keepAlive ?? false,
    ...(certificate ? { cert: certificate.certificatePem, key: certificate.privateKeyPem } : {}),
    // OpenSSL offers TLS 1.1 only at security level 0.
    ...(tlsVersion ? { minVersion: tlsVersion, maxVersion: tlsVersion, ciphers: 'DEFAULT@SECLEVEL=0' } : {}),
  });
  return {
    send: (call) =>
      new Promise((resolve, reject) => {
        const { method = 'GET', path = '/', headers = {}, body } = call;
        const outgoing = request(new URL(path, origin), { method, headers, agent }, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            const isJson = response.headers['content-type'] === 'application/json';
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              text,
              json: isJson ? JSON.parse(text) : {},
            });
          });
        });
        outgoing.on('error', reject);
        outgoing.end(body);
      }),
    close: () => agent.destroy(),
  };
}
