"""The CDK app: its template is the kept one, no linter finds anything, and moto deploys what it knows of it.

`CROSSBOOK_RENEW_TEMPLATES=1` writes the kept templates anew, for review.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

REPOSITORY = Path(__file__).resolve().parents[2]
APP = REPOSITORY / "deploy/aws"
NAMES = ["5000", "800-valkey"]
NODE = os.environ.get("NODE", "node")


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory):
    """The templates, by the name of their plan. Nothing is asked of a network, and nothing is warned of."""
    found = {}
    for name in NAMES:
        out = tmp_path_factory.mktemp(name)
        variables = {"PATH": os.environ["PATH"], "HOME": str(out), "CDK_OUTDIR": str(out)}
        variables["CROSSBOOK_CONTEXT"] = str(APP / "contexts" / f"{name}.json")
        done = subprocess.run([NODE, "app.js"], cwd=APP, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr and "[Warning" not in done.stderr, done.stderr
        found[name] = out / "Crossbook.template.json"
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_template_is_the_kept_one(synthesised, name):
    kept = APP / "snapshots" / f"{name}.json"
    text = json.dumps(json.loads(synthesised[name].read_text()), indent=1) + "\n"
    if os.environ.get("CROSSBOOK_RENEW_TEMPLATES"):
        kept.write_text(text)
    assert kept.read_text() == text, f"{kept} differs; renew it and look at what changes"


@pytest.mark.parametrize("name", NAMES)
def test_cfn_lint_finds_nothing(synthesised, name):
    # W3010: zones are named on purpose, because without an account the CDK would know of two only.
    program = [sys.executable, "-c", "import cfnlint.runner; cfnlint.runner.main()"]
    line = [*program, "--ignore-checks", "W3010", "--", str(synthesised[name])]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_checkov_finds_nothing_but_what_the_app_gives_reasons_for(synthesised, name):
    line = [sys.executable, "-m", "checkov.main", "-f", str(synthesised[name]), "--framework", "cloudformation"]
    done = subprocess.run([*line, "--skip-download", "-o", "json"], capture_output=True, text=True)
    found = json.loads(done.stdout)["results"]
    failed = [f"{check['check_id']} {check['resource']}" for check in found["failed_checks"]]
    assert not failed and len(found["passed_checks"]) > 50, failed
    skipped = {check["check_id"]: check["check_result"]["suppress_comment"] for check in found["skipped_checks"]}
    assert set(skipped) == {"CKV_AWS_18", "CKV_AWS_58"} and all(skipped.values()), skipped


def references(value):
    """The resources that a part of a template refers to."""
    if isinstance(value, dict):
        if set(value) == {"Ref"}:
            yield value["Ref"]
        elif set(value) == {"Fn::GetAtt"}:
            yield value["Fn::GetAtt"][0]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from references(part)


# moto 5.2.5 knows no attributes of these, so they go, and what refers to them.
UNKNOWN = {"AWS::EKS::Cluster", "AWS::MemoryDB::User"}
# It takes these for something else.
MISTAKEN = {"AWS::KMS::Key": "Tags", "AWS::RDS::DBInstance": "DBParameterGroupName"}
# It reads these, and makes nothing of them.
PASSED_OVER = {
    "AWS::CloudWatch::Alarm",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::MemoryDB::ACL",
    "AWS::MemoryDB::Cluster",
    "AWS::MemoryDB::ParameterGroup",
    "AWS::MemoryDB::SubnetGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SecretsManager::Secret",
    "AWS::SecretsManager::SecretTargetAttachment",
}


def what_moto_knows(template):
    """The template without what moto cannot make, and without what refers to that."""
    resources = template["Resources"]
    for resource in resources.values():
        resource.get("Properties", {}).pop(MISTAKEN.get(resource["Type"]), None)
    gone = {name for name, resource in resources.items() if resource["Type"] in UNKNOWN}
    while more := {
        name
        for name, resource in resources.items()
        if name not in gone and gone & set(references(resource.get("Properties", {})))
    }:
        gone |= more
    kept = {name: resource for name, resource in resources.items() if name not in gone}
    for resource in kept.values():
        needed = resource.pop("DependsOn", [])
        resource["DependsOn"] = [name for name in ([needed] if isinstance(needed, str) else needed) if name in kept]
    return {"Parameters": template["Parameters"], "Resources": kept}


def test_moto_deploys_network_database_buckets_roles_and_load_balancer(synthesised, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    template = what_moto_knows(json.loads(synthesised["5000"].read_text()))
    with mock_aws():
        certificate = boto3.client("acm").request_certificate(DomainName="api.example.org")["CertificateArn"]
        stacks = boto3.client("cloudformation")
        stacks.create_stack(
            StackName="Crossbook",
            TemplateBody=json.dumps(template),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": "CertificateArn", "ParameterValue": certificate}],
        )
        assert stacks.describe_stacks()["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
        pages = stacks.get_paginator("list_stack_resources").paginate(StackName="Crossbook")
        made = Counter(line["ResourceType"] for page in pages for line in page["StackResourceSummaries"])
        wanted = Counter(resource["Type"] for resource in template["Resources"].values())
        assert {kind for kind in wanted if made[kind] < wanted[kind]} == PASSED_OVER

        ours = [{"Name": "tag:app", "Values": ["crossbook"]}]
        subnets = boto3.client("ec2").describe_subnets(Filters=ours)["Subnets"]
        assert len(subnets) == 9 and len({subnet["AvailabilityZone"] for subnet in subnets}) == 3
        [database] = boto3.client("rds").describe_db_instances()["DBInstances"]
        assert database["MultiAZ"] and database["StorageEncrypted"] and not database["PubliclyAccessible"]
        buckets = boto3.client("s3")
        names = [bucket["Name"] for bucket in buckets.list_buckets()["Buckets"]]
        assert len(names) == 2
        for name in names:
            assert buckets.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        balancing = boto3.client("elbv2")
        [balancer] = balancing.describe_load_balancers()["LoadBalancers"]
        [listener] = balancing.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        assert (listener["Protocol"], listener["Port"]) == ("HTTPS", 443)


def test_the_store_gives_the_rights_of_the_document():
    document = (REPOSITORY / "docs/cluster.md").read_text()
    told = document.split("redis-cli ACL SETUSER crossbook", 1)[1].split("```", 1)[0]
    rights = (APP / "lib/store.js").read_text().split("export const RIGHTS", 1)[1].split("join", 1)[0]
    commands = lambda text: set(re.findall(r"\+[a-z|]+", text))  # noqa: E731
    assert commands(told) == commands(rights) and len(commands(told)) > 20
    for text in ("~{crossbook:*", "&{crossbook:*"):
        assert text in told and text in rights


def test_nobody_but_the_load_balancer_is_reached_from_outside(synthesised):
    for name in NAMES:
        resources = json.loads(synthesised[name].read_text())["Resources"].values()
        for resource in resources:
            properties = resource.get("Properties", {})
            open_to_all = [rule for rule in properties.get("SecurityGroupIngress", []) if rule.get("CidrIp")]
            if open_to_all:
                assert properties["GroupDescription"] == "The load balancer"
                assert [(rule["FromPort"], rule["ToPort"]) for rule in open_to_all] == [(443, 443)]


def test_the_plan_counts_what_the_app_has(synthesised):
    made = Counter(resource["Type"] for resource in json.loads(synthesised["5000"].read_text())["Resources"].values())
    assumed = (REPOSITORY / "crates/plan/src/assumed.rs").read_text()
    of = lambda name: float(re.search(rf"const {name}: f64 = ([0-9.]+);", assumed)[1])  # noqa: E731
    assert of("ALARMS") == made["AWS::CloudWatch::Alarm"]
    assert of("KEYS") == made["AWS::KMS::Key"]
    assert of("SECRETS") == made["AWS::SecretsManager::Secret"]
    assert made["AWS::EC2::NatGateway"] == 3
