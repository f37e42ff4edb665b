// Stands in the bundle for what the SDK would import late and never does here (infra/bundle): bowser, which reads a
// browser's user agent, and event streams, which no call of ours has. Together they are a tenth of the zip.
throw new Error('The SDK was to load what no call of ours needs.');
