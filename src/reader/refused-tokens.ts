import type { AccessToken } from './access-token.ts';

/**
 * What D1 has refused. One token stands for all of them: what was obtained no later than it is refused as well, or two
 * refused tokens, one in a cache and one in the secret, would be taken for each other's replacement for ever.
 */
export class RefusedTokens {
  #newest: AccessToken | undefined;

  get newest(): AccessToken | undefined {
    return this.#newest;
  }

  add(token: AccessToken): void {
    if (!this.#newest || token.obtained_at >= this.#newest.obtained_at) this.#newest = token;
  }

  /** By its text too: D1 may hand out the same token again, and that is obtained later. */
  include(token: AccessToken): boolean {
    const newest = this.#newest;
    if (!newest) return false;
    return token.obtained_at <= newest.obtained_at || token.access_token === newest.access_token;
  }
}
