import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of files in PEM. */
export interface CertificateFiles {
  readonly clientCertificate: string;
  readonly privateKey: string;
  /** The authority that D1's own certificate comes from. */
  readonly authority: string;
}

/**
 * The client-certificate secret as files, the owner's alone, for what does not read Secrets Manager, such as curl.
 *
 * @param secretText `{"certificate", "private_key", "ca_bundle"}`
 */
export function writeCertificateFiles(folder: string, secretText: string): CertificateFiles {
  const secret = JSON.parse(secretText) as Record<'certificate' | 'private_key' | 'ca_bundle', string>;
  const write = (name: string, text: string) => {
    const file = join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  return {
    clientCertificate: write('client-certificate.pem', secret.certificate),
    privateKey: write('client-key.pem', secret.private_key),
    authority: write('d1-authority.pem', secret.ca_bundle),
  };
}
