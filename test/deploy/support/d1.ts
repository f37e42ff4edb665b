import { request } from 'node:https';
import { CallLog } from '../../../sandbox/calls.ts';
import { createCertificateAuthority } from '../../../sandbox/certificates.ts';
import { startD1Server } from '../../../sandbox/d1/server.ts';
import { systemClock } from '../../../src/shared/clock.ts';

export const ISSUER_ID = 'ISSUER0001';
export const KEY_ID = 'deployed-key-1';

/** Thales D1 on this machine, and the client certificate that it gave to a bank. */
export async function startD1() {
  const [serverAuthority, clientAuthority] = await Promise.all([
    createCertificateAuthority({ commonName: 'Deployment Test Server CA', clock: systemClock }),
    createCertificateAuthority({ commonName: 'Deployment Test Client CA', clock: systemClock }),
  ]);
  const [serverCertificate, client] = await Promise.all([
    serverAuthority.issue({ commonName: 'localhost', usage: 'server', dnsNames: ['localhost'] }),
    clientAuthority.issue({ commonName: `TLSMA-ECC/${ISSUER_ID}/PPR`, organization: 'Example Bank', usage: 'client' }),
  ]);
  const calls = new CallLog();
  const server = await startD1Server({
    clock: systemClock,
    calls,
    serverCertificate,
    clientCertificateAuthorityPem: clientAuthority.certificatePem,
  });
  const clientCertificate = {
    certificate: client.certificatePem,
    private_key: client.privateKeyPem,
    ca_bundle: serverAuthority.certificatePem,
  };
  const issuerUrl = `${server.origin}/banking/v1/issuers/${ISSUER_ID}`;

  return {
    server,
    calls,
    /** Signs what the bank requests. */
    clientAuthority,
    clientCertificate,
    issuerUrl,
    /** @returns The status with which the D1 API answers to the token. */
    callApi: (accessToken: string) =>
      new Promise<number>((resolve, reject) => {
        const { certificate: cert, private_key: key, ca_bundle: ca } = clientCertificate;
        const headers = { authorization: `Bearer ${accessToken}` };
        request(issuerUrl, { cert, key, ca, headers, agent: false }, (response) => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0));
        })
          .on('error', reject)
          .end();
      }),
    close: () => server.close(),
  };
}
