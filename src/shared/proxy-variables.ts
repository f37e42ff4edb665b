type Environment = Readonly<Record<string, string | undefined>>;

/** The variables of an environment that name a proxy, and what goes around it: as curl and Node read them, lower case first. */
export function proxyVariables(environment: Environment): { readonly proxy?: string; readonly noProxy: string } {
  const first = (...variables: readonly string[]) => variables.find((variable) => environment[variable]);
  const proxy = first('https_proxy', 'HTTPS_PROXY');
  return { ...(proxy !== undefined && { proxy }), noProxy: environment[first('no_proxy', 'NO_PROXY') ?? ''] ?? '' };
}

/**
 * Whether NO_PROXY leads around the proxy to a host.
 *
 * @param noProxy Host names, with or without a port, separated by commas; a name stands for those below it too, `*` for all.
 * As curl reads it, but for networks.
 */
export function goesAround(noProxy: string): (host: string, port: number) => boolean {
  const bypassed = noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .map((entry) => entry.replace(/^\*?\./, ''))
    .filter((entry) => entry !== '');
  return (host, port) => {
    const name = host.toLowerCase().replace(/\.$/, '');
    return bypassed.some((entry) => {
      if (entry === '*') return true;
      const [, itsHost = entry, itsPort] = /^(.+?|\[.+\]):(\d+)$/.exec(entry) ?? [];
      if (itsPort !== undefined && Number(itsPort) !== port) return false;
      return name === itsHost.replace(/^\[|\]$/g, '') || name.endsWith(`.${itsHost}`);
    });
  };
}
