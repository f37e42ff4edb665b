import { AwsError } from './aws-error.ts';

/** The one operation of AWS STS that everybody tries first ("AWS STS API Reference"): it needs no permission. */
export class Sts {
  readonly #accountId: string;

  /** @param accountId Twelve digits. */
  constructor({ accountId }: { readonly accountId: string }) {
    this.#accountId = accountId;
  }

  async handle(operation: string): Promise<Record<string, unknown>> {
    if (operation !== 'GetCallerIdentity') {
      throw new AwsError('InvalidAction', "The sandbox's STS has no operation but GetCallerIdentity.");
    }
    // Whoever calls: access keys are not looked at.
    return {
      Arn: `arn:aws:iam::${this.#accountId}:user/sandbox`,
      UserId: 'AIDASANDBOX0000000000',
      Account: this.#accountId,
    };
  }
}
