interface Place {
  readonly region: string;
  readonly accountId: string;
}

/**
 * The function's name in what a caller may write: `name`, `123456789012:function:name` or its ARN, each with or without
 * `:$LATEST` ("Invoke", FunctionName, Lambda API Reference). Undefined for another account, Region or version.
 */
export function functionNameIn(text: string, { region, accountId }: Place): string | undefined {
  const match = /^(?:(?:arn:aws:lambda:([a-z0-9-]+):)?(\d{12}):function:)?([A-Za-z0-9_-]{1,64})(?::\$LATEST)?$/.exec(
    text,
  );
  const [, inRegion = region, inAccount = accountId, name] = match ?? [];
  return inRegion === region && inAccount === accountId ? name : undefined;
}
