import { join } from 'node:path';
import { beforeEach, describe, it, vi } from 'vitest';
import { stories, tellStory } from './stories.ts';

const reader = { command: process.execPath, args: [join(import.meta.dirname, 'reader-program.ts')] };

/** docs/contract.md calls them the rules that the reader keeps. */
describe('the reader, told the stories of the samples in other languages', () => {
  beforeEach(() => {
    vi.stubEnv('POWERTOOLS_LOG_LEVEL', 'SILENT');
    vi.stubEnv('POWERTOOLS_METRICS_DISABLED', 'true');
    return () => vi.unstubAllEnvs();
  });

  it.each(stories)('$name', (story) => tellStory(story, reader));
});
