// `npx cdk deploy -c packaged=../../dist/d1-token-broker-staging D1TokenBroker`
import { App, Stack } from 'aws-cdk-lib';
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { D1TokenBroker } from './d1-token-broker.ts';

const app = new App({ analyticsReporting: false });
const broker = new D1TokenBroker(app, 'D1TokenBroker', {
  packaged: app.node.getContext('packaged'),
  terminationProtection: true,
});

// A consumer of the token, in a stack of its own.
const consumer = new Stack(app, 'Consumer');
new Role(consumer, 'Role', {
  assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
  managedPolicies: [ManagedPolicy.fromManagedPolicyArn(consumer, 'ReadsToken', broker.tokenReaderPolicyArn)],
});
