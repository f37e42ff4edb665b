import { inspect } from 'node:util';

/** What the test has a Lambda container do: load the handler, and send it events one after another. */
export type Order =
  | { readonly say: string }
  | {
      readonly environment: Readonly<Record<string, string>>;
      readonly events: readonly unknown[];
      readonly remainingMilliseconds: number;
    };

/** What came of one event: `ok` or an error's name, and all that the error can be made to tell. */
export interface Invoked {
  readonly code: string;
  readonly told: string;
}

/** Everything that anybody can get out of an error, by printing, serialising or following it. */
export function tell(error: unknown): string {
  const told = [inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true, getters: true }), String(error)];
  for (let link = error; link instanceof Error; link = link.cause) {
    const own = Object.getOwnPropertyNames(link).map((name) => [name, Reflect.get(link as object, name)]);
    told.push(link.message, String(link.stack), JSON.stringify(link), JSON.stringify(Object.fromEntries(own)));
  }
  return told.join('\n');
}
