import { vi } from 'vitest';

export interface LogLine {
  readonly level: string;
  readonly error_code?: string;
  readonly correlation_id?: string;
  readonly [field: string]: unknown;
}

export interface OutputCapture {
  /** The log lines with this correlation id, oldest first. */
  linesOf(correlationId: string): readonly LogLine[];
  /** Everything written, as it came. */
  all(): readonly string[];
  restore(): void;
}

/** Keeps what the product's logger writes to the process's output, and keeps it off the terminal. */
export function captureOutput(): OutputCapture {
  const written: string[] = [];
  const keep = (chunk: unknown) => {
    written.push(String(chunk));
    return true;
  };
  const spies = [process.stdout, process.stderr].map((stream) => vi.spyOn(stream, 'write').mockImplementation(keep));
  return {
    linesOf: (correlationId) =>
      written.filter((text) => text.includes(correlationId)).map((text) => JSON.parse(text) as LogLine),
    all: () => written,
    restore: () => {
      for (const spy of spies) spy.mockRestore();
    },
  };
}
