import { buildCommand, buildRouteMap } from '@stricli/core';
import type { Context } from '../frame/context.ts';
import { type ChangeFlags, changeFlags, onOff, optionalText, type PlaceFlags, placeFlags } from '../frame/flags.ts';
import type { InstallFlags } from './install.ts';
import type { RequestFlags } from './request.ts';

export const certificateRoutes = buildRouteMap<string, Context>({
  routes: {
    request: buildCommand<RequestFlags, [], Context>({
      docs: {
        brief: 'Makes a key in the secret, and prints the certificate request for Thales',
        fullDescription: [
          'Makes a key in memory and puts it at once into the secret, under the label WAITING, where it may wait for weeks.',
          'The certificate request is printed; the key is never printed, and is on no disk.',
          '',
          'Examples:',
          "  d1-token certificate request --stage staging --common-name 'TLSMA-ECC/ISSUER0001/PPR' > d1.csr",
          "  d1-token certificate request --stage production --common-name 'TLSMA-RSA/ISSUER0001/PRD' --key rsa4096",
        ].join('\n'),
      },
      parameters: {
        flags: {
          ...changeFlags,
          commonName: { kind: 'parsed', parse: String, brief: 'As Thales wants it; any characters', placeholder: 'CN' },
          organization: optionalText('The organisation in the subject', 'O'),
          key: { kind: 'enum', values: ['p256', 'rsa4096'], default: 'p256', brief: 'ECDSA P-256, or RSA-4096' },
          replace: onOff('Give up a key that waits already'),
        },
      },
      loader: async () => (await import('./request.ts')).requestCertificate,
    }),
    install: buildCommand<InstallFlags, [string], Context>({
      docs: {
        brief: 'Joins the certificate to the key that waits, tries both at D1, and makes them current',
        fullDescription: [
          'Checks that the certificate belongs to the key that waits, its chain, dates and Common Name; has the function get a',
          'token with it; and only then makes it current. The one before stays as AWSPREVIOUS.',
          '',
          'Examples:',
          '  d1-token certificate install --stage staging d1-certificate.pem',
          '  d1-token certificate install --stage production d1-certificate.pem --confirm ISSUER0001',
        ].join('\n'),
      },
      parameters: {
        flags: {
          ...changeFlags,
          caBundle: optionalText(
            "Trusted for D1's certificate instead of Node's roots; else what is there is kept",
            'FILE',
          ),
        },
        positional: {
          kind: 'tuple',
          parameters: [{ parse: String, brief: 'What Thales sent, in PEM', placeholder: 'FILE' }],
        },
      },
      loader: async () => (await import('./install.ts')).installCertificate,
    }),
    show: buildCommand<PlaceFlags, [], Context>({
      docs: { brief: 'Shows the certificates in the secret, as the function sees them, and the request that waits' },
      parameters: { flags: placeFlags },
      loader: async () => (await import('./show.ts')).showCertificate,
    }),
    back: buildCommand<ChangeFlags, [], Context>({
      docs: { brief: 'Makes the previous certificate current again, when D1 gives a token for it' },
      parameters: { flags: changeFlags },
      loader: async () => (await import('./back.ts')).previousCertificate,
    }),
  },
  docs: { brief: 'The client certificate: its request, its installation, and the way back' },
});
