/** What a container is told, and what it answers. Both travel over the IPC channel, never over standard output. */
export type ToContainer =
  | { readonly type: 'invoke'; readonly id: number; readonly event: unknown; readonly timeoutMilliseconds: number }
  | { readonly type: 'advance'; readonly milliseconds: number };

/** As Lambda reports a failed invocation to whoever invoked it. */
export interface FunctionError {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace: readonly string[];
}

export type FromContainer =
  | { readonly type: 'ready' }
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: FunctionError };
