// The network: public subnets for the load balancer, private ones for nodes, isolated ones for data; a NAT gateway in
// each zone, so that none depends on another; S3 without NAT.

import { RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as logs from 'aws-cdk-lib/aws-logs';

const ZONES = ['a', 'b', 'c', 'd', 'e', 'f'];

export function addNetwork(stack, size, key) {
  const vpc = new ec2.Vpc(stack, 'Network', {
    ipAddresses: ec2.IpAddresses.cidr('10.0.0.0/16'),
    availabilityZones: ZONES.slice(0, size.zones).map((zone) => stack.region + zone),
    natGateways: size.zones,
    restrictDefaultSecurityGroup: false,
    subnetConfiguration: [
      { name: 'public', subnetType: ec2.SubnetType.PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false },
      { name: 'nodes', subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 20 },
      { name: 'data', subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: 24 },
    ],
    gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
  });
  const flows = new logs.LogGroup(stack, 'Flows', {
    retention: logs.RetentionDays.ONE_YEAR,
    encryptionKey: key,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  vpc.addFlowLog('FlowLog', {
    destination: ec2.FlowLogDestination.toCloudWatchLogs(flows),
    trafficType: ec2.FlowLogTrafficType.REJECT,
  });

  const group = (id, description) =>
    new ec2.SecurityGroup(stack, id, { vpc, description, allowAllOutbound: false });
  const groups = {
    balancer: group('BalancerGroup', 'The load balancer'),
    nodes: group('NodeGroup', 'Nodes and pods'),
    store: group('StoreGroup', 'The store of the logs'),
    database: group('DatabaseGroup', 'The database of the history'),
  };
  groups.balancer.addIngressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'Clients');
  groups.balancer.addEgressRule(groups.nodes, ec2.Port.tcp(8080), 'The client API of gateways');
  groups.balancer.addEgressRule(groups.nodes, ec2.Port.tcp(8082), 'Health of gateways');
  groups.nodes.addIngressRule(groups.balancer, ec2.Port.tcp(8080), 'The client API');
  groups.nodes.addIngressRule(groups.balancer, ec2.Port.tcp(8082), 'Health');
  groups.nodes.addIngressRule(groups.nodes, ec2.Port.allTraffic(), 'Nodes, pods and the control plane');
  groups.nodes.addEgressRule(groups.nodes, ec2.Port.allTraffic(), 'Nodes, pods and the control plane');
  groups.nodes.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'Images and AWS');
  groups.nodes.addEgressRule(groups.store, ec2.Port.tcp(6379), 'The store');
  groups.nodes.addEgressRule(groups.database, ec2.Port.tcp(3306), 'The database');
  groups.store.addIngressRule(groups.nodes, ec2.Port.tcp(6379), 'Gateways, workers and the writer');
  groups.database.addIngressRule(groups.nodes, ec2.Port.tcp(3306), 'The writer and gateways');
  const of = (subnetGroupName) => vpc.selectSubnets({ subnetGroupName });
  return { vpc, groups, public: of('public'), nodes: of('nodes'), data: of('data') };
}
