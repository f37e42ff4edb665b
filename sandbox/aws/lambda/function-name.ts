interface Place {
  readonly region: string;
  readonly accountId: string;
}

/** What a caller names: a function, and of it $LATEST or an alias. */
export interface Named {
  readonly name: string;
  readonly qualifier: string;
}

/**
 * What is meant by what a caller may write: `name`, `123456789012:function:name` or its ARN, each with or without
 * `:$LATEST` or `:ALIAS` ("Invoke", FunctionName, Lambda API Reference). Undefined for another account or Region.
 */
export function functionNamed(text: string, { region, accountId }: Place): Named | undefined {
  const match =
    /^(?:(?:arn:aws:lambda:([a-z0-9-]+):)?(\d{12}):function:)?([A-Za-z0-9_-]{1,64})(?::(\$LATEST|[A-Za-z0-9_-]{1,128}))?$/.exec(
      text,
    );
  const [, inRegion = region, inAccount = accountId, name, qualifier = '$LATEST'] = match ?? [];
  return name !== undefined && inRegion === region && inAccount === accountId ? { name, qualifier } : undefined;
}
