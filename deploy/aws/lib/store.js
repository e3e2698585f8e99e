// The store of the logs: MemoryDB, whose answers are durable themselves (`cluster.redis.replicas_min = 0`).

import { SecretValue } from 'aws-cdk-lib';
import * as memorydb from 'aws-cdk-lib/aws-memorydb';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';

// The rights of docs/cluster.md, for the venue `crossbook`.
export const RIGHTS = [
  'on ~{crossbook:* resetchannels &{crossbook:* -@all',
  '+evalsha +script|load +cluster|slots +role +wait +time +spublish +ssubscribe +xadd +xread +xrange +xtrim',
  '+get +set +del +unlink +exists +pexpire +hget +hset +hsetnx +hmget +hgetall +hlen +hdel +hexists +hincrby',
].join(' ');

export function addStore(stack, size, network, key) {
  const secret = new secretsmanager.Secret(stack, 'StoreSecret', {
    description: 'Password of the user crossbook of MemoryDB',
    encryptionKey: key,
    generateSecretString: { passwordLength: 48, excludePunctuation: true },
  });
  const user = new memorydb.CfnUser(stack, 'StoreUser', {
    userName: 'crossbook',
    accessString: RIGHTS,
    authenticationMode: {
      Type: 'password',
      Passwords: [SecretValue.secretsManager(secret.secretArn).unsafeUnwrap()],
    },
  });
  const acl = new memorydb.CfnACL(stack, 'StoreRights', { aclName: 'crossbook', userNames: [user.userName] });
  acl.addResourceDependency(user);
  const subnets = new memorydb.CfnSubnetGroup(stack, 'StoreSubnets', {
    subnetGroupName: 'crossbook',
    subnetIds: network.data.subnetIds,
  });
  // Nothing may be evicted from a log.
  const parameters = new memorydb.CfnParameterGroup(stack, 'StoreParameters', {
    parameterGroupName: 'crossbook',
    family: 'memorydb_valkey7',
    parameters: { 'maxmemory-policy': 'noeviction' },
  });
  const cluster = new memorydb.CfnCluster(stack, 'Store', {
    clusterName: 'crossbook',
    aclName: acl.aclName,
    nodeType: size.storeNode,
    engine: 'valkey',
    engineVersion: '7.3',
    numShards: size.shards,
    numReplicasPerShard: size.replicas,
    parameterGroupName: parameters.parameterGroupName,
    subnetGroupName: subnets.subnetGroupName,
    securityGroupIds: [network.groups.store.securityGroupId],
    tlsEnabled: true,
    kmsKeyId: key.keyArn,
    snapshotRetentionLimit: size.snapshotDays,
    autoMinorVersionUpgrade: true,
  });
  [acl, subnets, parameters].forEach((needed) => cluster.addResourceDependency(needed));
  return { cluster, secret };
}
