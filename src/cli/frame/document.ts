import type { Outcome } from './exit-code.ts';

export type CheckOutcome = 'ok' | 'attention' | 'failed' | 'no_access' | 'unknown' | 'not_checked';

/** One line of a report. */
export interface CheckLine {
  readonly check: string;
  readonly title: string;
  readonly outcome: CheckOutcome;
  readonly milliseconds: number;
  readonly facts: Facts;
  readonly error_code: string | null;
  readonly what: string | null;
  readonly remedy: string | null;
  /** The check that this one waits for, and that failed. */
  readonly because: string | null;
}

export type Fact = string | number | boolean | null | readonly Fact[] | { readonly [name: string]: Fact };
export type Facts = Readonly<Record<string, Fact>>;

/**
 * What every command prints with --json: one document, these keys, always all of them. d1-token.schema.json is its
 * published schema; `facts` is the command's own.
 */
export interface Document {
  readonly schema_version: 1;
  readonly command: string;
  readonly outcome: Outcome;
  readonly exit_code: number;
  readonly stage: string | null;
  readonly account: string | null;
  readonly region: string | null;
  readonly issuer_id: string | null;
  /** Nothing was changed, because of --dry-run. */
  readonly dry_run: boolean;
  readonly facts: Facts;
  readonly checks: readonly CheckLine[];
  /** What comes next, in sentences. */
  readonly next: readonly string[];
  readonly error: { readonly code: string; readonly what: string; readonly remedy: string } | null;
}
