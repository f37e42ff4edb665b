export type ServiceName =
  | 'kms'
  | 'secretsmanager'
  | 'lambda'
  | 'dynamodb'
  | 'sts'
  | 'cloudformation'
  | 'scheduler'
  | 'cloudwatch'
  | 'logs'
  | 'sns'
  | 'sqs';

/** A request, whichever protocol it came in; `input` has the names of the operation's reference page. */
export interface AwsCall {
  readonly service: ServiceName;
  readonly operation: string;
  readonly input: Record<string, unknown>;
}

/** What goes back to the client. `errorType` is set on an error, and `body` then has its `message`. */
export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly errorType?: string;
}
