import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/** In what a fault makes up; whoever finds it in a log or an error has found a leak. */
export const CANARY = 'eyJjYW5hcnkiOiJub3QtZm9yLWFueWJvZHkifQ';

/** Says that the whole text comes, sends half of it, and hangs up. */
export async function sendHalf(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
) {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  const half = Buffer.from(body).subarray(0, Math.floor(Buffer.byteLength(body) / 2));
  await new Promise<void>((resolve) => response.write(half, () => resolve()));
  response.socket?.destroy();
}

/** Hangs up without a word. */
export function hangUp(response: ServerResponse): void {
  response.socket?.destroy();
}

/** Resolves when the caller has had enough. */
export async function silence(response: ServerResponse): Promise<void> {
  if (!response.destroyed) await once(response, 'close');
}
