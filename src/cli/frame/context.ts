import type { CommandContext } from '@stricli/core';

/** Where text goes. */
export interface Output {
  write(text: string): void;
  readonly isTTY?: boolean;
}

/** What a command sees of the process that it runs in. */
export interface Context extends CommandContext {
  readonly process: {
    readonly stdout: Output;
    readonly stderr: Output;
    readonly env: Readonly<Record<string, string | undefined>>;
    exitCode?: number | string | null;
  };
}
