import { createPrivateKey, X509Certificate } from 'node:crypto';

/** The certificates of a file, the one of the key first, each followed by who issued it. */
export type Chain = { readonly leaf: X509Certificate; readonly pem: string } | { readonly why: string };

/**
 * Finds the certificate of a key among those that Thales sent, and puts the intermediate ones behind it. Self-signed
 * roots are left out: D1 has them, and a handshake does not need them.
 */
export function chainFor(privateKeyPem: string, text: string): Chain {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  if (text.includes('PRIVATE KEY')) return { why: 'it holds a private key, which has no business in a file' };
  if (blocks.length === 0) return { why: 'it holds no certificate in PEM' };
  let certificates: X509Certificate[];
  try {
    certificates = blocks.map((block) => new X509Certificate(block));
  } catch {
    return { why: 'a certificate in it cannot be read' };
  }
  const key = createPrivateKey(privateKeyPem);
  const leaf = certificates.find((one) => one.checkPrivateKey(key));
  if (!leaf) return { why: 'no certificate in it belongs to the key that waits' };
  const chain = [leaf];
  for (let last = leaf; ; ) {
    const issuer = certificates.find((one) => !chain.includes(one) && one.subject === last.issuer);
    if (!issuer) break;
    if (!last.checkIssued(issuer) || !last.verify(issuer.publicKey)) return { why: 'its chain is broken' };
    if (issuer.subject === issuer.issuer) break;
    chain.push(issuer);
    last = issuer;
  }
  return { leaf, pem: chain.map((one) => one.toString()).join('') };
}

export const commonNameIn = ({ subject }: Pick<X509Certificate, 'subject'>): string | undefined =>
  /^CN=(.*)$/m.exec(subject)?.[1];
