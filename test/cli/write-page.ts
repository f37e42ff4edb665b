import { writeFileSync } from 'node:fs';
import { page } from './page.ts';

// `npm run docs:cli`
writeFileSync(new URL('../../docs/cli.md', import.meta.url), page());
