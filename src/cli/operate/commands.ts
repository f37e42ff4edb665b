import { buildCommand, buildRouteMap, numberParser } from '@stricli/core';
import type { Context } from '../frame/context.ts';
import { type ChangeFlags, changeFlags, onOff, type PlaceFlags, placeFlags } from '../frame/flags.ts';
import type { LogsFlags } from './logs.ts';
import type { StatusFlags } from './status.ts';

export const statusCommand = buildCommand<StatusFlags, [], Context>({
  docs: {
    brief: 'Shows the token, the key, the certificate, the last refresh and the last error',
    fullDescription: [
      'Seconds left as a bar with the refresh window drawn in, and what an operator wants to know beside it.',
      'Of a stack for many issuers: the least time left, how many have less than 120 s, the failures by code, the worst by name.',
      '',
      'Examples:',
      '  d1-token status --stage production',
      '  d1-token status --stage production --watch',
    ].join('\n'),
  },
  parameters: { flags: { ...placeFlags, watch: onOff('Draw it anew every 5 s, in a terminal, until Ctrl-C') } },
  loader: async () => (await import('./status.ts')).status,
});

export const logsCommand = buildCommand<LogsFlags, [], Context>({
  docs: {
    brief: "Shows the broker's log lines as a person reads them",
    fullDescription: [
      "Shows the broker's log lines as a person reads them; metrics and Lambda's own lines are left out.",
      '',
      'Examples:',
      '  d1-token logs --stage production --minutes 60',
      '  d1-token logs --stage production --follow',
    ].join('\n'),
  },
  parameters: {
    flags: {
      ...placeFlags,
      follow: onOff('Go on until Ctrl-C'),
      minutes: { kind: 'parsed', parse: numberParser, default: '15', brief: 'How far to look back', placeholder: 'N' },
    },
  },
  loader: async () => (await import('./logs.ts')).logs,
});

export const queueRoutes = buildRouteMap<string, Context>({
  routes: {
    show: buildCommand<PlaceFlags, [], Context>({
      docs: { brief: 'Shows what failed for good, and which ticks could not be delivered' },
      parameters: { flags: placeFlags },
      loader: async () => (await import('./queues.ts')).showQueues,
    }),
    purge: buildCommand<ChangeFlags, [], Context>({
      docs: { brief: 'Empties both queues' },
      parameters: { flags: changeFlags },
      loader: async () => (await import('./queues.ts')).purgeQueues,
    }),
  },
  docs: { brief: 'The queues of failed invocations and undelivered ticks' },
});
