// Kubernetes: EKS, a node group in each zone, and a role for each service account that needs one. Resources of
// CloudFormation alone are used, so that no Lambda function of the CDK runs with rights over the cluster.

import { RemovalPolicy } from 'aws-cdk-lib';
import * as eks from 'aws-cdk-lib/aws-eks';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';

const VERSION = '1.34';
// The namespace that the chart is installed in, and the service account that it makes there.
const NAMESPACE = 'crossbook';
const SERVICE_ACCOUNT = 'crossbook';
const DISK_GB = 50;
const ADDONS = ['vpc-cni', 'kube-proxy', 'coredns', 'eks-pod-identity-agent', 'aws-ebs-csi-driver', 'metrics-server'];

// Every object of the snapshots, and nothing else. Gateways, workers, writers and CronJobs share a service account,
// that of the chart, so they share this role.
function venueRole(stack, snapshots, key, trust) {
  const role = new iam.Role(stack, 'Role-crossbook', { assumedBy: trust(), description: 'Crossbook: its snapshots' });
  snapshots.bucket.grantRead(role);
  snapshots.bucket.grantPut(role);
  snapshots.bucket.grantDelete(role);
  key.grantEncryptDecrypt(role);
  return role;
}

// What the controller of the load balancer needs to put pods into the target group that is here, and nothing else.
function controllerRole(stack, trust) {
  const role = new iam.Role(stack, 'Role-aws-load-balancer-controller', {
    assumedBy: trust(),
    description: 'AWS Load Balancer Controller, for TargetGroupBinding alone',
  });
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['elasticloadbalancing:RegisterTargets', 'elasticloadbalancing:DeregisterTargets'],
      resources: [`arn:${stack.partition}:elasticloadbalancing:${stack.region}:${stack.account}:targetgroup/*`],
      conditions: { StringEquals: { 'aws:ResourceTag/app': 'crossbook' } },
    }),
  );
  // These describe, and have no resources.
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: [
        'ec2:DescribeAvailabilityZones',
        'ec2:DescribeInstances',
        'ec2:DescribeNetworkInterfaces',
        'ec2:DescribeSecurityGroups',
        'ec2:DescribeSubnets',
        'ec2:DescribeVpcs',
        'elasticloadbalancing:DescribeTargetGroups',
        'elasticloadbalancing:DescribeTargetHealth',
      ],
      resources: ['*'],
    }),
  );
  return role;
}

export function addKubernetes(stack, size, network, snapshots, key) {
  const managed = (name) => iam.ManagedPolicy.fromAwsManagedPolicyName(name);
  const control = new iam.Role(stack, 'ControlPlaneRole', {
    assumedBy: new iam.ServicePrincipal('eks.amazonaws.com'),
    managedPolicies: [managed('AmazonEKSClusterPolicy')],
  });
  key.grantEncryptDecrypt(control);
  const logGroup = new logs.LogGroup(stack, 'ControlPlaneLogs', {
    logGroupName: '/aws/eks/crossbook/cluster',
    retention: logs.RetentionDays.ONE_YEAR,
    encryptionKey: key,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const cluster = new eks.CfnCluster(stack, 'Kubernetes', {
    name: 'crossbook',
    version: VERSION,
    roleArn: control.roleArn,
    resourcesVpcConfig: {
      subnetIds: network.nodes.subnetIds,
      securityGroupIds: [network.groups.nodes.securityGroupId],
      // Operators reach it through the network.
      endpointPrivateAccess: true,
      endpointPublicAccess: false,
    },
    accessConfig: { authenticationMode: 'API', bootstrapClusterCreatorAdminPermissions: true },
    encryptionConfig: [{ provider: { keyArn: key.keyArn } }],
    logging: {
      clusterLogging: {
        enabledTypes: ['api', 'audit', 'authenticator', 'controllerManager', 'scheduler'].map((type) => ({ type })),
      },
    },
  });
  cluster.addMetadata('checkov', {
    skip: [{ id: 'CKV_AWS_58', comment: 'The key encrypts all; what is looked for, `Resources`, is deprecated.' }],
  });
  cluster.node.addDependency(logGroup);

  const nodeRole = new iam.Role(stack, 'NodeRole', {
    assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com'),
    managedPolicies: ['AmazonEKSWorkerNodePolicy', 'AmazonEKS_CNI_Policy', 'AmazonEC2ContainerRegistryPullOnly'].map(
      managed,
    ),
  });
  const template = new ec2.CfnLaunchTemplate(stack, 'NodeTemplate', {
    launchTemplateData: {
      // Pods may not ask the node for its role.
      metadataOptions: { httpTokens: 'required', httpPutResponseHopLimit: 1 },
      blockDeviceMappings: [
        { deviceName: '/dev/xvda', ebs: { volumeSize: DISK_GB, volumeType: 'gp3', encrypted: true } },
      ],
      securityGroupIds: [network.groups.nodes.securityGroupId, cluster.attrClusterSecurityGroupId],
      tagSpecifications: [{ resourceType: 'instance', tags: [{ key: 'app', value: 'crossbook' }] }],
    },
  });
  const groups = network.nodes.subnetIds.map(
    (subnet, at) =>
      new eks.CfnNodegroup(stack, `Nodes${at}`, {
        clusterName: cluster.ref,
        nodeRole: nodeRole.roleArn,
        subnets: [subnet],
        instanceTypes: [size.nodeType],
        capacityType: 'ON_DEMAND',
        amiType: 'AL2023_x86_64_STANDARD',
        launchTemplate: { id: template.ref, version: template.attrLatestVersionNumber },
        // One more than planned, for a node that is replaced.
        scalingConfig: { minSize: size.nodesPerZone, desiredSize: size.nodesPerZone, maxSize: size.nodesPerZone + 1 },
        updateConfig: { maxUnavailable: 1 },
        labels: { 'crossbook.io/zone': String(at) },
      }),
  );
  addIdentities(stack, cluster, groups, snapshots, key);
  return cluster;
}

// Add-ons, and the roles of service accounts.
function addIdentities(stack, cluster, groups, snapshots, key) {
  for (const addonName of ADDONS) {
    const addon = new eks.CfnAddon(stack, `Addon-${addonName}`, { clusterName: cluster.ref, addonName });
    if (!['vpc-cni', 'kube-proxy', 'eks-pod-identity-agent'].includes(addonName)) {
      groups.forEach((group) => addon.node.addDependency(group));
    }
  }
  const trust = () => new iam.SessionTagsPrincipal(new iam.ServicePrincipal('pods.eks.amazonaws.com'));
  const volumes = new iam.Role(stack, 'Role-ebs-csi-controller-sa', {
    assumedBy: trust(),
    managedPolicies: [iam.ManagedPolicy.fromAwsManagedPolicyName('service-role/AmazonEBSCSIDriverPolicy')],
  });
  const accounts = [
    [NAMESPACE, SERVICE_ACCOUNT, venueRole(stack, snapshots, key, trust)],
    ['kube-system', 'aws-load-balancer-controller', controllerRole(stack, trust)],
    ['kube-system', 'ebs-csi-controller-sa', volumes],
  ];
  for (const [namespace, serviceAccount, role] of accounts) {
    new eks.CfnPodIdentityAssociation(stack, `Identity-${serviceAccount}`, {
      clusterName: cluster.ref,
      namespace,
      serviceAccount,
      roleArn: role.roleArn,
    });
  }
}
