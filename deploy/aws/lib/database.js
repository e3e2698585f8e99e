// The database of the history: MySQL in two zones.

import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as rds from 'aws-cdk-lib/aws-rds';

const BACKUP_DAYS = 7;

export function addDatabase(stack, size, network, key) {
  const engine = rds.DatabaseInstanceEngine.mysql({ version: rds.MysqlEngineVersion.of('8.4.7', '8.4') });
  return new rds.DatabaseInstance(stack, 'Database', {
    engine,
    databaseName: 'crossbook',
    instanceType: new ec2.InstanceType(size.database.replace('db.', '')),
    vpc: network.vpc,
    vpcSubnets: { subnets: network.data.subnets },
    securityGroups: [network.groups.database],
    multiAz: true,
    storageType: rds.StorageType.GP3,
    allocatedStorage: size.databaseGb,
    maxAllocatedStorage: Math.ceil(size.databaseGb * 1.5),
    storageEncrypted: true,
    storageEncryptionKey: key,
    credentials: rds.Credentials.fromGeneratedSecret('crossbook', { encryptionKey: key }),
    parameterGroup: new rds.ParameterGroup(stack, 'DatabaseParameters', {
      engine,
      parameters: { require_secure_transport: '1', transaction_isolation: 'READ-COMMITTED', binlog_format: 'ROW' },
    }),
    backupRetention: Duration.days(BACKUP_DAYS),
    copyTagsToSnapshot: true,
    deletionProtection: true,
    removalPolicy: RemovalPolicy.SNAPSHOT,
    autoMinorVersionUpgrade: true,
    cloudwatchLogsExports: ['error', 'slowquery'],
    monitoringInterval: Duration.seconds(60),
    enablePerformanceInsights: true,
    performanceInsightEncryptionKey: key,
    iamAuthentication: true,
  });
}
