/** An error as AWS reports it: `type` is the `__type` of the answer, the name that the SDK gives the exception. */
export class AwsError extends Error {
  readonly type: string;
  /** HTTP status: 400 for the caller's mistakes and throttling, 500 for the service's own. */
  readonly status: number;

  constructor(type: string, message: string, status = 400) {
    super(message);
    this.name = type;
    this.type = type;
    this.status = status;
  }
}
