// Alarms of what AWS runs; those of the processes are Prometheus's. All of them say so on one topic.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as sns from 'aws-cdk-lib/aws-sns';

const { GREATER_THAN_THRESHOLD: ABOVE, LESS_THAN_THRESHOLD: BELOW } = cloudwatch.ComparisonOperator;
const GIB = 2 ** 30;

export function addAlarms(stack, { size, database, store, balancer, key }) {
  const topic = new sns.Topic(stack, 'Alarms', { masterKey: key, enforceSSL: true });
  topic.addToResourcePolicy(
    new iam.PolicyStatement({
      principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
      actions: ['sns:Publish'],
      resources: [topic.topicArn],
      conditions: { StringEquals: { 'aws:SourceAccount': stack.account } },
    }),
  );
  const add = (id, metric, comparisonOperator, threshold, alarmDescription, minutes = 5) => {
    const alarm = new cloudwatch.Alarm(stack, `Alarm${id}`, {
      metric,
      threshold,
      comparisonOperator,
      alarmDescription,
      evaluationPeriods: minutes,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(new actions.SnsAction(topic));
    alarm.addOkAction(new actions.SnsAction(topic));
  };
  const period = Duration.minutes(1);
  const of = (statistic) => ({ period, statistic });

  add('DatabaseProcessor', database.metricCPUUtilization(of('Average')), ABOVE, 80, 'The history will fall behind.');
  add('DatabaseDisk', database.metricFreeStorageSpace(of('Minimum')), BELOW, (size.databaseGb * GIB) / 10,
    'Less than a tenth of the disk of the history is free: delete or archive old rows.');
  add('DatabaseConnections', database.metricDatabaseConnections(of('Maximum')), ABOVE, 200,
    'Far more connections than gateways and writers have.');
  add('DatabaseMemory', database.metricFreeableMemory(of('Minimum')), BELOW, GIB / 4, 'The database will swap.');

  const balanced = (name, statistic, targets) =>
    new cloudwatch.Metric({
      namespace: 'AWS/ApplicationELB',
      metricName: name,
      dimensionsMap: {
        LoadBalancer: balancer.balancer.loadBalancerFullName,
        ...(targets && { TargetGroup: balancer.targets.targetGroupFullName }),
      },
      ...of(statistic),
    });
  add('GatewaysReady', balanced('HealthyHostCount', 'Minimum', true), BELOW, 2,
    'Fewer than two gateways are ready.', 2);
  add('Errors', balanced('HTTPCode_ELB_5XX_Count', 'Sum'), ABOVE, 10, 'The load balancer finds no gateway.', 2);
  add('GatewayErrors', balanced('HTTPCode_Target_5XX_Count', 'Sum', true), ABOVE, 10, 'Gateways answer with errors.');
  add('Latency', balanced('TargetResponseTime', 'p99', true), ABOVE, 0.05, 'p99 of requests is above 50 ms.');
  if (store) {
    const stored = (name, statistic) =>
      new cloudwatch.Metric({
        namespace: 'AWS/MemoryDB',
        metricName: name,
        dimensionsMap: { ClusterName: store.cluster.clusterName },
        ...of(statistic),
      });
    add('StoreProcessor', stored('EngineCPUUtilization', 'Maximum'), ABOVE, 70,
      'A shard is full: lengthen the turn interval, or add shards.');
    add('StoreMemory', stored('DatabaseMemoryUsagePercentage', 'Maximum'), ABOVE, 70,
      'Logs are not trimmed: the history or snapshots are behind.');
    add('StoreErrors', stored('ErrorCount', 'Sum'), ABOVE, 100, 'The store refuses commands.');
    add('StoreConnections', stored('CurrConnections', 'Maximum'), ABOVE, 1000, 'Far more connections than processes.');
  }
}
