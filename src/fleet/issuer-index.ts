import type { Candidate } from './dispatch-plan.ts';
import type { IssuerFields } from './issuer.ts';
import type { IssuerState } from './issuer-state.ts';

export interface Entry {
  readonly fields: IssuerFields;
  readonly state: IssuerState;
}

/** Who the issuers are, and how each one's last try went. The states may be lost without harm. */
export interface IssuerIndex {
  /** All of them, without what only a try needs. */
  candidates(): Promise<readonly Candidate[]>;
  /** @returns `undefined` when there is no such issuer, or no more. */
  find(issuerId: string): Promise<Entry | undefined>;
  /** Keeps a try's outcome, unless the issuer was removed or changed since it was found: then the outcome says nothing. */
  keep(found: Entry, state: IssuerState): Promise<void>;
}
