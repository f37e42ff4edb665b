import { AwsError } from '../aws-error.ts';
import type { Input } from '../input.ts';

/** The aliases of functions that have one version, $LATEST ("CreateAlias", Lambda API Reference). */
export class FunctionAliases {
  /** By function, then by alias: the description. */
  readonly #aliases = new Map<string, Map<string, string>>();

  has = (functionName: string, alias: string): boolean => this.#aliases.get(functionName)?.has(alias) ?? false;

  /** @param arn Of the function. @returns `undefined` for an operation that is not about aliases. */
  handle(operation: string, input: Input, functionName: string, arn: string): Record<string, unknown> | undefined {
    const own = this.#aliases.get(functionName) ?? new Map<string, string>();
    const told = (name: string) => ({ AliasArn: `${arn}:${name}`, Name: name, FunctionVersion: '$LATEST' });
    const name = () => {
      const given = input.string('Name', { min: 1, max: 128 });
      if (/^(?!\d+$)[a-zA-Z0-9_-]+$/.test(given)) return given;
      throw input.error('Name must be of letters, digits, - and _, and not of digits alone.');
    };
    const mustHave = (alias: string) => {
      if (!own.has(alias)) throw new AwsError('ResourceNotFoundException', `Alias not found: ${arn}:${alias}`, 404);
      return alias;
    };
    switch (operation) {
      case 'CreateAlias': {
        const alias = name();
        if (own.has(alias))
          throw new AwsError('ResourceConflictException', `Alias already exists: ${arn}:${alias}`, 409);
        if (input.string('FunctionVersion') !== '$LATEST')
          throw input.error("The sandbox's functions have one version.");
        own.set(alias, input.optionalString('Description', { max: 256 }) ?? '');
        this.#aliases.set(functionName, own);
        return { StatusCode: 201, ...told(alias) };
      }
      case 'GetAlias':
        return told(mustHave(name()));
      case 'ListAliases':
        return { Aliases: [...own.keys()].map(told) };
      case 'DeleteAlias':
        // The errors of DeleteAlias know none for an alias that is not there.
        own.delete(name());
        return { StatusCode: 204 };
      default:
        return undefined;
    }
  }
}
