// Stands in the bundle for `@aws-sdk/credential-provider-node` (infra/bundle). Lambda puts the role's credentials into
// the environment; the eight other places where that package looks (SSO, IMDS, web identity, profiles, …) make up nearly
// half of an SDK client's code and a third of its cold start.
export { fromEnv as defaultProvider } from '@aws-sdk/credential-provider-env';
