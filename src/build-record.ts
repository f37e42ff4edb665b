import { readFileSync } from 'node:fs';

/** What `npm run package` knows of the bundle, and nothing in the bundle can know of itself. */
export interface BuildRecord {
  readonly version: string;
  /** SHA-256 of all files of the bundle, in hex; docs/infrastructure-as-code.md says how to compute it. */
  readonly bundle_sha256: string;
}

/** @returns `undefined` where the sources run without having been bundled: there is no such file then. */
export function readBuildRecord(): BuildRecord | undefined {
  try {
    return JSON.parse(readFileSync(new URL('build.json', import.meta.url), 'utf8'));
  } catch {
    // A broken file is no reason to have no token.
    return undefined;
  }
}
