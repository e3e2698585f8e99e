// The stack: network, keys, store of the logs, database of the history, snapshots, Kubernetes, load balancer, alarms.

import { CfnOutput, CfnParameter, RemovalPolicy, Stack, Tags } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';

import { addAlarms } from './alarms.js';
import { addBalancer } from './balancer.js';
import { addDatabase } from './database.js';
import { addKubernetes } from './kubernetes.js';
import { addNetwork } from './network.js';
import { addSnapshots } from './snapshots.js';
import { addStore } from './store.js';

export class CrossbookStack extends Stack {
  constructor(scope, id, { size, ...props }) {
    super(scope, id, { ...props, description: 'A Crossbook cluster' });
    Tags.of(this).add('app', 'crossbook');
    const certificate = new CfnParameter(this, 'CertificateArn', {
      description: 'The certificate of the client API, in AWS Certificate Manager',
      allowedPattern: 'arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[a-z0-9-]+',
    });
    const key = new kms.Key(this, 'Key', {
      description: 'Crossbook: database, store, snapshots, secrets of Kubernetes',
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    // CloudWatch encrypts logs, and SNS takes what alarms say.
    key.grantEncryptDecrypt(new iam.ServicePrincipal(`logs.${this.region}.amazonaws.com`));
    key.grantEncryptDecrypt(new iam.ServicePrincipal('cloudwatch.amazonaws.com'));

    const network = addNetwork(this, size, key);
    const snapshots = addSnapshots(this, size, key);
    const kubernetes = addKubernetes(this, size, network, snapshots, key);
    const database = addDatabase(this, size, network, key);
    const store = size.store === 'memorydb' ? addStore(this, size, network, key) : undefined;
    const balancer = addBalancer(this, network, certificate.valueAsString, snapshots.logs);
    addAlarms(this, { size, database, store, balancer, key });

    for (const [name, value] of Object.entries({
      ClusterName: kubernetes.ref,
      SnapshotAddress: `s3://${snapshots.bucket.bucketName}/crossbook`,
      DatabaseEndpoint: database.dbInstanceEndpointAddress,
      DatabaseSecretArn: database.secret.secretArn,
      ...(store && { StoreEndpoint: store.cluster.attrClusterEndpointAddress, StoreSecretArn: store.secret.secretArn }),
      TargetGroupArn: balancer.targets.targetGroupArn,
      Address: balancer.balancer.loadBalancerDnsName,
    })) {
      new CfnOutput(this, name, { value });
    }
  }
}
