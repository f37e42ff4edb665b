/** Which signing key: the one in use, or the one that is to come. */
export type Which = 'current' | 'next';

/** Which version of the certificate secret: also the one before, which the way back leads to. */
export type WhichCertificate = Which | 'previous';

/** The staging label of the version of the client-certificate secret that waits: a key without a certificate, or both. */
export const WAITING = 'WAITING';

/** The steps of a check, in the order in which they are told. */
export const checkSteps = [
  'token_secret',
  'client_certificate',
  'signing_key',
  'connection',
  'exchange',
  'store',
] as const;
export type CheckStepName = (typeof checkSteps)[number];

/** What may be known of a step: never a token, an assertion, a key or a secret's text. */
export type CheckFacts = Readonly<Record<string, string | number | boolean>>;

export type CheckStep = { readonly step: CheckStepName; readonly milliseconds: number } & (
  | { readonly outcome: 'ok'; readonly facts: CheckFacts }
  | {
      readonly outcome: 'failed';
      readonly facts: CheckFacts;
      readonly error_code: string;
      readonly what: string;
      readonly remedy: string;
      readonly retryable: boolean;
    }
  /** @property because The step that failed, or `not_wanted`. */
  | { readonly outcome: 'not_checked'; readonly because: CheckStepName | 'not_wanted' }
);

/** What the function answers to `{"action": "check"}`. */
export interface CheckReport {
  readonly passed: boolean;
  readonly issuer_id: string;
  /** The kid that was tried. */
  readonly key_id: string;
  readonly stage?: string;
  readonly correlation_id: string;
  /** Seconds since 1970 UTC. */
  readonly checked_at: number;
  readonly certificate: WhichCertificate;
  readonly signing_key: Which;
  readonly steps: readonly CheckStep[];
}

/** A container exchanges for a check no more often. */
export const CHECK_PACE_SECONDS = 10;
