import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createTokenReader } from '../src/reader/reader.ts';
import { recordText } from './reader-day.ts';

const READERS = 1_000;

/** Bytes of heap that one reader keeps, its token of 800 characters included: the mean of a thousand. */
export async function heapPerReader(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const secretsManager = { send: async () => ({ SecretString: recordText(Date.now() / 1000) }) };
  const open = async () => {
    const reader = createTokenReader({ secretId: 'd1/access-token', secretsManager });
    await reader.token();
    return reader;
  };
  const kept = [await open()];
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let count = 0; count < READERS; count += 1) kept.push(await open());
  collect();
  return (process.memoryUsage().heapUsed - before) / (kept.length - 1);
}
