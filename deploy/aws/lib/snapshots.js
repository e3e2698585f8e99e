// Snapshots of partitions and backups, and the access logs of this bucket and of the load balancer.

import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as s3 from 'aws-cdk-lib/aws-s3';

const KEPT_DAYS = 90;

export function addSnapshots(stack, size, key) {
  const closed = {
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    enforceSSL: true,
    versioned: true,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    removalPolicy: RemovalPolicy.RETAIN,
  };
  // The load balancer writes into buckets that S3 encrypts with a key of its own, and into no others.
  const logs = new s3.Bucket(stack, 'AccessLogs', {
    ...closed,
    encryption: s3.BucketEncryption.S3_MANAGED,
    lifecycleRules: [
      {
        expiration: Duration.days(KEPT_DAYS),
        noncurrentVersionExpiration: Duration.days(1),
        abortIncompleteMultipartUploadAfter: Duration.days(1),
      },
    ],
  });
  logs.node.defaultChild.addMetadata('checkov', {
    skip: [{ id: 'CKV_AWS_18', comment: 'It holds the access logs; logs of their own would never end.' }],
  });
  const bucket = new s3.Bucket(stack, 'Snapshots', {
    ...closed,
    encryption: s3.BucketEncryption.KMS,
    encryptionKey: key,
    bucketKeyEnabled: true,
    serverAccessLogsBucket: logs,
    serverAccessLogsPrefix: 'snapshots/',
    // Workers delete snapshots themselves; what they delete can be had back for some days.
    lifecycleRules: [
      {
        noncurrentVersionExpiration: Duration.days(size.snapshotDays),
        abortIncompleteMultipartUploadAfter: Duration.days(1),
      },
    ],
  });
  return { bucket, logs };
}
