import { usageFailure } from '../frame/cli-failure.ts';
import { PARAMS_FILE, parameterIn, readParams } from '../frame/params-file.ts';
import type { KeyPlace } from '../frame/stage.ts';

/** What the next deployment of a stage will make, and so what of it may be there already. */
export interface Wanted {
  readonly issuerId: string;
  /** As D1_ENVIRONMENT. */
  readonly environment: string;
  /** The places that get a signing key, with their kids. */
  readonly places: readonly { readonly place: KeyPlace; readonly kid: string }[];
  /** Names of the secrets that the stack makes; those that the parameters give by ARN are not its own. */
  readonly secrets: readonly { readonly logicalId: 'TokenSecret' | 'ClientCertificateSecret'; readonly name: string }[];
  readonly makesSecretsKey: boolean;
}

/** @throws CliFailure USAGE when the file does not tell. */
export async function readWanted({ file = PARAMS_FILE, stage }: { file?: string; stage: string }): Promise<Wanted> {
  const text = await readParams(file);
  if (text === undefined) {
    throw usageFailure(`The file ${file} cannot be read.`, 'Run the command in a checkout, or give --file.');
  }
  const parameter = (name: string, fallback = '') => parameterIn(text, stage, name) ?? fallback;
  const issuerId = parameter('issuerId');
  const active = parameter('activeSigningKey') === 'next' ? 'next' : 'current';
  const places = [
    { place: 'current' as const, kid: parameter('keyId', 'none') },
    { place: 'next' as const, kid: parameter('nextKeyId', 'none') },
  ].filter(({ kid }) => kid !== 'none');
  if (issuerId === '' || !places.some(({ place }) => place === active)) {
    throw usageFailure(
      `The stage ${stage} in ${file} has no issuerId, or no kid for the key that signs.`,
      `d1-token init --stage ${stage} writes both; the kid is the one that D1 knows.`,
    );
  }
  const names = [
    {
      logicalId: 'TokenSecret' as const,
      existing: 'existingTokenSecretArn',
      parameter: 'tokenSecretName',
      name: 'access-token',
    },
    {
      logicalId: 'ClientCertificateSecret' as const,
      existing: 'existingClientCertificateSecretArn',
      parameter: 'clientCertificateSecretName',
      name: 'client-certificate',
    },
  ];
  return {
    issuerId,
    environment: parameter('environment'),
    places,
    secrets: names
      .filter(({ existing }) => parameter(existing) === '')
      // As `default` has it, with a variable that only packaging knows.
      .map(({ logicalId, parameter: own, name }) => ({ logicalId, name: parameter(own, `d1/${stage}/${name}`) })),
    makesSecretsKey: parameter('existingSecretsKeyArn') === '',
  };
}
