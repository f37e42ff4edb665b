import type { Sign } from './assertion/kms-signer.ts';
import { certificateFromSecret } from './token-endpoint/client-certificate-source.ts';
import { createTokenEndpoint, type TokenEndpoint } from './token-endpoint/token-endpoint.ts';
import { createTokenStore, type TokenStore } from './token-store/token-store.ts';
import type { Trial, World } from './trial/trial.ts';

/** What speaks to the world outside for one container: KMS, D1 and Secrets Manager. The simulator brings its own. */
export interface Parts {
  readonly sign: Sign;
  readonly tokenEndpoint: TokenEndpoint;
  readonly store: TokenStore;
  /** Reads the replica of the primary's token secret; a standby alone has one. */
  readonly readPrimary?: TokenStore['read'] | undefined;
  /** What a check tries. Loaded when the first one comes; absent in the simulator, which makes none. */
  readonly loadTrial?: () => Promise<Trial>;
}

/** The parts as they are in Lambda. */
export function createParts(world: World): Parts {
  const { config, kms, secretsManager, clock, random } = world;
  const certificates = certificateFromSecret({
    client: secretsManager,
    secretId: config.clientCertificateSecretId,
    ttlSeconds: config.clientCertificateTtlSeconds,
    clock,
  });
  const tokenEndpoint = createTokenEndpoint({ settings: config, certificates, clock, random });
  let signer: Promise<Sign> | undefined;
  const sign: Sign = async (input, signal) => {
    signer ??= loadSigner();
    return (await signer)(input, signal);
  };
  const { issuerId, tokenSecretId, primaryTokenSecretId } = config;
  const storeIn = (secretId: string) => createTokenStore({ client: secretsManager, secretId, issuerId });
  const store = storeIn(tokenSecretId);
  const readPrimary = primaryTokenSecretId === undefined ? undefined : storeIn(primaryTokenSecretId).read;
  const loadTrial = async () => {
    const { createTrial } = await import('./trial/trial.ts');
    return createTrial(world);
  };
  return { sign, tokenEndpoint, store, readPrimary, loadTrial };

  /** When the first refresh comes: whoever asks for a token that lives does not wait for asn1.js to load. */
  async function loadSigner(): Promise<Sign> {
    const { createKmsSigner } = await import('./assertion/kms-signer.ts');
    return createKmsSigner(kms, config.signingKeyId);
  }
}
