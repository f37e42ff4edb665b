import { awsFailure } from '../../shared/aws-failure.ts';
import type { Outcome } from './exit-code.ts';

export interface CliFailureFacts {
  /** An error code of the runbook, or one of the commands' own: docs/cli.md lists them. */
  readonly code: string;
  /** One sentence: what failed. */
  readonly what: string;
  /** One sentence: what to do about it. */
  readonly remedy: string;
  readonly outcome: Exclude<Outcome, 'good'>;
}

/** What ends a command. It quotes no secret, and no foreign error's message. */
export class CliFailure extends Error implements CliFailureFacts {
  readonly code: string;
  readonly what: string;
  readonly remedy: string;
  readonly outcome: Exclude<Outcome, 'good'>;

  constructor({ code, what, remedy, outcome }: CliFailureFacts) {
    super(`${what} ${remedy}`);
    this.name = code;
    this.code = code;
    this.what = what;
    this.remedy = remedy;
    this.outcome = outcome;
  }
}

export const usageFailure = (what: string, remedy: string) =>
  new CliFailure({ code: 'USAGE', what, remedy, outcome: 'usage' });

export const failure = (code: string, what: string, remedy: string) =>
  new CliFailure({ code, what, remedy, outcome: 'failed' });

const credentialNames =
  /^(CredentialsProviderError|ExpiredToken|ExpiredTokenException|InvalidClientTokenId|UnrecognizedClientException|InvalidSignatureException|SignatureDoesNotMatch|AuthFailure|TokenProviderError)$/;
const permissionNames =
  /^(AccessDenied|AccessDeniedException|AuthorizationError|AuthorizationErrorException|UnauthorizedOperation|KMSAccessDeniedException)$/;

/**
 * What an AWS client threw, as a failure in our words.
 *
 * @param doing What was asked of AWS, as an IAM action: `kms:DescribeKey`.
 */
export function asCliFailure(thrown: unknown, doing: string): CliFailure {
  if (thrown instanceof CliFailure) return thrown;
  const { name, summary } = awsFailure(thrown);
  if (credentialNames.test(name)) {
    return new CliFailure({
      code: 'NO_CREDENTIALS',
      what: `AWS did not accept the credentials, or there are none (${name}).`,
      remedy: 'Log in (aws sso login), or give --profile.',
      outcome: 'no_access',
    });
  }
  if (permissionNames.test(name)) {
    return new CliFailure({
      code: 'NO_PERMISSION',
      what: `These credentials may not do ${doing}.`,
      remedy: `Use a role that may do ${doing}: docs/iam.md, "Who operates".`,
      outcome: 'no_access',
    });
  }
  return new CliFailure({
    code: 'AWS_FAILED',
    what: `${doing} failed: ${summary}.`,
    remedy: 'Try again; if it lasts, look at the AWS Health Dashboard and at the route to AWS.',
    outcome: 'unknown',
  });
}
