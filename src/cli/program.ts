import { buildApplication, buildRouteMap } from '@stricli/core';
import { adoptCommand } from './adopt/command.ts';
import { certificateRoutes } from './certificate/commands.ts';
import { doctorCommand } from './doctor/command.ts';
import type { Context } from './frame/context.ts';
import { initCommand } from './init/command.ts';
import { issuerRoutes } from './issuer/commands.ts';
import { keyRoutes } from './key/commands.ts';
import { logsCommand, queueRoutes, statusCommand } from './operate/commands.ts';
import { tokenRoutes } from './token/commands.ts';

export const NAME = 'd1-token';

const root = buildRouteMap<string, Context>({
  routes: {
    init: initCommand,
    doctor: doctorCommand,
    status: statusCommand,
    key: keyRoutes,
    certificate: certificateRoutes,
    token: tokenRoutes,
    issuer: issuerRoutes,
    queues: queueRoutes,
    logs: logsCommand,
    adopt: adoptCommand,
  },
  docs: {
    brief: 'Looks after a Thales D1 token broker: from an empty account to the first token, and through every change',
  },
});

/** Every command and its help. What a command does is loaded when it is called. */
export const application = buildApplication(root, {
  name: NAME,
  scanner: { caseStyle: 'allow-kebab-for-camel' },
  documentation: { caseStyle: 'convert-camel-to-kebab', disableAnsiColor: true, useAliasInUsageLine: false },
});
