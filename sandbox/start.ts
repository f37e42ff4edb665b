import { inspect } from 'node:util';
import { narrator, StoryBroken } from './story/narrator.ts';
import { tellStory } from './story/story.ts';

// `npm start`
try {
  await tellStory();
} catch (error) {
  narrator.failed(error instanceof StoryBroken ? error.message : inspect(error));
  process.exitCode = 1;
}
