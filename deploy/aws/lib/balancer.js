// The load balancer: HTTPS to the client API of gateways that say they are ready. TargetGroupBinding puts pods into the
// target group.

import { Duration } from 'aws-cdk-lib';
import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2';

// Longer than a gateway waits for a load balancer to notice that it stops (`gateway.server.drain_ms`).
const DRAIN_SECONDS = 30;
// Longer than WebSocket connections are silent: gateways ping every 20 s.
const IDLE_SECONDS = 120;

export function addBalancer(stack, network, certificateArn, logs) {
  const balancer = new elb.ApplicationLoadBalancer(stack, 'Balancer', {
    vpc: network.vpc,
    vpcSubnets: { subnets: network.public.subnets },
    internetFacing: true,
    securityGroup: network.groups.balancer,
    deletionProtection: true,
    dropInvalidHeaderFields: true,
    idleTimeout: Duration.seconds(IDLE_SECONDS),
    desyncMitigationMode: elb.DesyncMitigationMode.STRICTEST,
  });
  balancer.logAccessLogs(logs, 'balancer');
  const targets = new elb.ApplicationTargetGroup(stack, 'Gateways', {
    vpc: network.vpc,
    targetType: elb.TargetType.IP,
    protocol: elb.ApplicationProtocol.HTTP,
    port: 8080,
    deregistrationDelay: Duration.seconds(DRAIN_SECONDS),
    loadBalancingAlgorithmType: elb.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
    healthCheck: {
      path: '/readyz',
      port: '8082',
      interval: Duration.seconds(5),
      timeout: Duration.seconds(2),
      healthyThresholdCount: 2,
      unhealthyThresholdCount: 2,
    },
  });
  balancer.addListener('Https', {
    port: 443,
    protocol: elb.ApplicationProtocol.HTTPS,
    sslPolicy: elb.SslPolicy.TLS13_RES,
    certificates: [elb.ListenerCertificate.fromArn(certificateArn)],
    defaultTargetGroups: [targets],
    open: false,
  });
  return { balancer, targets };
}
