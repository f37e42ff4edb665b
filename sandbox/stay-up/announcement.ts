import { STAGE } from '../deployment/deployment.ts';
import { BROKER_FUNCTION, BROKER_FUNCTION_ARN, ISSUER_ID } from '../sandbox.ts';
import { narrator } from '../story/narrator.ts';
import type { CertificateFiles } from './certificate-files.ts';

export interface Announced {
  /** What the function sees. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where POST adds a fault. */
  readonly faultsUrl: string;
  readonly files: CertificateFiles;
  /** Where they are; it goes with the sandbox. */
  readonly folder: string;
  readonly tickSeconds: number;
}

/** Prints what another shell needs, in lines to paste. */
export function announce({ environment, faultsUrl, files, folder, tickSeconds }: Announced): void {
  const { AWS_ENDPOINT_URL: aws = '', D1_ENVIRONMENT: d1 = '' } = environment;
  const { origin } = new URL(d1);
  const variables = {
    ...environment,
    D1_API_ORIGIN: origin,
    D1_BROKER_FUNCTION_NAME: BROKER_FUNCTION,
    D1_BROKER_FUNCTION_ARN: BROKER_FUNCTION_ARN,
    D1_CLIENT_CERTIFICATE_FILE: files.clientCertificate,
    D1_PRIVATE_KEY_FILE: files.privateKey,
    D1_CA_FILE: files.authority,
    SANDBOX_FAULTS_URL: faultsUrl,
  };
  narrator.title('The sandbox is up. Paste this into another shell:');
  for (const [variable, value] of Object.entries(variables)) console.log(`export ${variable}='${value}'`);
  narrator.title('A call of D1, with a token from the function:');
  const invocation = `curl -s -d '{}' ${aws}/2015-03-31/functions/${BROKER_FUNCTION}/invocations`;
  const token = `$(${invocation} | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`;
  const tls = `--cert ${files.clientCertificate} --key ${files.privateKey} --cacert ${files.authority}`;
  console.log(`curl -s ${tls} -H "Authorization: Bearer ${token}" ${origin}/banking/v1/issuers/${ISSUER_ID}`);
  narrator.title('What an operator sees of it:');
  console.log(`npm run -s d1-token -- doctor --stage ${STAGE}`);
  narrator.title(`A tick every ${tickSeconds} seconds, until Ctrl-C; ${folder} is removed then`);
}
