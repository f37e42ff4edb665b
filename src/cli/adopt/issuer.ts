import { failure } from '../frame/cli-failure.ts';

/**
 * The template says in each description whose it is. One that was changed by hand says nothing.
 *
 * @throws CliFailure ISSUER_DIFFERS
 */
export function mustBeOf(issuerId: string, what: string, description: string | undefined): void {
  const [, found] = / of issuer ([^\s,]+)/.exec(description ?? '') ?? [];
  if (found === undefined || found === issuerId) return;
  throw failure(
    'ISSUER_DIFFERS',
    `${what} is of issuer ${found}.`,
    `The parameters say ${issuerId}: correct infra/params.yml, or --stage.`,
  );
}
