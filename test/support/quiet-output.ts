// A setup file of the project `unit`. The product's logger writes to the process's output itself, past the console that
// vitest keeps. `npm test` prints no raw log lines: a test that wants them captures them.
for (const stream of [process.stdout, process.stderr]) stream.write = () => true;
