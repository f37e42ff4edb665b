// `npm run test:examples`: the samples of docs/contract.md against the sandbox, and the record's schema in their languages.
// One language: `npm run test:examples -- go`.
import { join } from 'node:path';
import { stories, tellStory, tokenRecords, tokenRecordsFile, typedStory } from './stories.ts';
import { type Language, languages, run, typed } from './toolchains.ts';

const schema = join(import.meta.dirname, '../../src/shared/token-record.schema.json');
// The broker runs in this process, and what it would log is not what is looked for here.
process.env['POWERTOOLS_LOG_LEVEL'] = 'SILENT';
process.env['POWERTOOLS_METRICS_DISABLED'] = 'true';

let passed = 0;
let failed = 0;
const wanted = process.argv.slice(2).map((name) => name.toLowerCase());
const asked = languages.filter(({ name }) => wanted.length === 0 || wanted.includes(name.toLowerCase()));
// Side by side: a compiler that fetches packages leaves room for the others.
await Promise.all(asked.map(check));
say(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || asked.length === 0 ? 1 : 0;

async function check(language: Language): Promise<void> {
  const { name } = language;
  const missing = await language.missing();
  if (missing) return say(`${name}: NOT RUN on this machine, because ${missing}`);
  await count(`${name}: its JSON Schema says the right thing of ${tokenRecords.cases.length} records`, async () => {
    const { command, args } = await language.schemaCheck();
    await run(command, [...args, schema, tokenRecordsFile]);
  });
  const isBuilt = await count(`${name}: ${typedStory.name}`, async () => {
    await tellStory(typedStory, typed(name));
    return true;
  });
  if (!isBuilt) return;
  const program = await language.sample();
  for (const story of stories) await count(`${name}: ${story.name}`, () => tellStory(story, program));
}

async function count<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
  const began = performance.now();
  const took = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
  try {
    const result = await work();
    passed += 1;
    say(`ok      ${what} (${took()})`);
    return result;
  } catch (error) {
    failed += 1;
    say(`NOT OK  ${what} (${took()})\n${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
