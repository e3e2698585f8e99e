// The CDK app: one stack, sized by the context `crossbook` (`crossbook plan --cdk context.json` writes it).
//
//   CROSSBOOK_CONTEXT=contexts/5000.json node app.js    # synthesises into cdk.out, without a network
import { readFileSync } from 'node:fs';

import { App, DefaultStackSynthesizer } from 'aws-cdk-lib';

import { CrossbookStack } from './lib/stack.js';
import { read } from './lib/size.js';

// As the CDK recommends for new apps.
const FLAGS = {
  '@aws-cdk/aws-iam:minimizePolicies': true,
  '@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy': true,
  '@aws-cdk/aws-rds:databaseProxyUniqueResourceName': true,
  '@aws-cdk/core:enablePartitionLiterals': true,
  '@aws-cdk/core:target-partitions': ['aws'],
};

const file = process.env.CROSSBOOK_CONTEXT;
const context = { ...FLAGS, ...(file && JSON.parse(readFileSync(file, 'utf8'))) };
// Metadata of the synthesis is no part of the infrastructure, and differs between versions.
const app = new App({
  analyticsReporting: false,
  context,
  outdir: process.env.CDK_OUTDIR ?? 'cdk.out',
});
new CrossbookStack(app, 'Crossbook', {
  size: read(app.node.tryGetContext('crossbook')),
  // Without an account there would be two zones, whatever is asked for.
  env: {
    account: process.env.CDK_DEFAULT_ACCOUNT ?? '111111111111',
    region: process.env.CDK_DEFAULT_REGION ?? 'us-east-1',
  },
  // There are no assets, so nothing has to be prepared in the account.
  synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }),
});
app.synth();
