import { type Sandbox, startSandbox } from './sandbox.ts';

/** A sandbox with a broker beside it, in this process; its log lines are nobody's here. */
export interface SandboxWithToken {
  readonly sandbox: Sandbox;
  /** The broker's tick: the secret holds a token with more than 300 s left. */
  readonly refresh: () => Promise<void>;
}

/** A sandbox whose broker has run once. */
export async function startSandboxWithToken(): Promise<SandboxWithToken> {
  const sandbox = await startSandbox();
  Object.assign(process.env, sandbox.environment);
  // Reads its configuration when it is imported.
  const { handler: broker } = await import('../src/handler.ts');
  const refresh = async () => {
    const write = process.stdout.write;
    process.stdout.write = () => true;
    try {
      await broker({ action: 'refresh' }, { getRemainingTimeInMillis: () => 30_000 } as never);
    } finally {
      process.stdout.write = write;
    }
  };
  await refresh();
  return { sandbox, refresh };
}
