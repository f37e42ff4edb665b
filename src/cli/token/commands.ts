import { buildCommand, buildRouteMap } from '@stricli/core';
import type { Context } from '../frame/context.ts';
import { type ChangeFlags, changeFlags, type PlaceFlags, placeFlags } from '../frame/flags.ts';

export const tokenRoutes = buildRouteMap<string, Context>({
  routes: {
    refresh: buildCommand<ChangeFlags, [], Context>({
      docs: { brief: 'Has the function refresh the token, if it is due' },
      parameters: { flags: changeFlags },
      loader: async () => (await import('./token.ts')).refreshToken,
    }),
    inspect: buildCommand<PlaceFlags, [], Context>({
      docs: { brief: 'Shows header, claims and times of the stored token; never the token' },
      parameters: { flags: placeFlags },
      loader: async () => (await import('./token.ts')).inspectToken,
    }),
  },
  docs: { brief: 'The stored access token' },
});
