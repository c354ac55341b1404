"""The template is valid, has the roles of `deploy/iam`, and makes what the service needs.

It is deployed into moto's server. `CLOUDFORMATION_LEAVES_OUT` lists what moto does not make.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from tests.e2e.processes import ROOT
from tests.packaging.dockerfile import Dockerfile
from tests.support.aws import EXAMPLE_ACCOUNT
from tests.support.iam import Policy
from tests.support.moto import Moto
from tests.support.stand_in_gaps import CLOUDFORMATION_LEAVES_OUT
from tests.support.tables import Table
from tokensvc.arns import Region
from tokensvc.settings import load_settings
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.state.dynamodb_items import DELETE_AT
from tokensvc.web.front import ConnectionTerms

TEMPLATE = ROOT / "deploy/cloudformation.yaml"
REGION = "us-west-2"
OTHER_CUSTODY = {"secretsmanager": "InKms", "kms": "InSecretsManager"}
CUSTODY_URLS = {"secretsmanager": "secretsmanager:tokensvc/", "kms": "kms:alias/tokensvc/"}


@dataclass(frozen=True)
class Stack:
    """The stack that was made from the template.

    Attributes:
        custody: the value of its parameter Custody.
        resources: the physical ID of each resource, by its logical one.
    """

    custody: str
    resources: Mapping[str, str]

    def container(self, task: str) -> dict[str, Any]:
        """The only container of that task definition."""
        described = boto3.client("ecs").describe_task_definition(
            taskDefinition=self.resources[task]
        )
        (container,) = described["taskDefinition"]["containerDefinitions"]
        return dict(container)

    def policy(self, name: str) -> dict[str, Any]:
        """The only policy of that role."""
        iam, role = boto3.client("iam"), self.resources[name]
        (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        document: Any = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        # moto answers with Python's text of it, not with JSON, and leaves None for AWS::NoValue.
        found: dict[str, Any] = ast.literal_eval(document)
        return found | {"Statement": [one for one in found["Statement"] if one is not None]}


@pytest.fixture(scope="module", params=["secretsmanager", "kms"])
def stack(
    running_moto: Moto, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stack]:
    """A stack in moto, with that custody."""
    running_moto.reset()
    with pytest.MonkeyPatch.context() as environment:
        running_moto.set_environment(
            environment,
            tmp_path_factory.mktemp("aws"),
            AWS_ENDPOINT_URL=running_moto.url,
            AWS_DEFAULT_REGION=REGION,
        )
        yield _create_stack(request.param)


def _create_stack(custody: str) -> Stack:
    ec2 = boto3.client("ec2")
    subnets = ",".join(subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"])
    certificate = boto3.client("acm").request_certificate(DomainName="playback.example.com")
    parameters = {
        "Image": "tokensvc@sha256:00",
        "CertificateArn": certificate["CertificateArn"],
        "Vpc": ec2.describe_vpcs()["Vpcs"][0]["VpcId"],
        "VpcCidr": "172.31.0.0/16",
        "LoadBalancerSubnets": subnets,
        "ServiceSubnets": subnets,
        "ClientCidr": "10.0.0.0/8",
        "GrantChannels": f"arn:aws:ivs:{REGION}:{EXAMPLE_ACCOUNT}:channel/*",
        "Custody": custody,
    }
    client = boto3.client("cloudformation")
    client.create_stack(
        StackName="playback",
        TemplateBody=TEMPLATE.read_text(),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
        Capabilities=["CAPABILITY_IAM"],
    )
    summaries = client.list_stack_resources(StackName="playback")["StackResourceSummaries"]
    return Stack(
        custody,
        {found["LogicalResourceId"]: found.get("PhysicalResourceId", "") for found in summaries},
    )


def test_cfn_lint_finds_nothing() -> None:
    """AWS's own linter, with the schema of every resource and AWS's tables of IAM actions."""
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), TEMPLATE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_moto_makes_every_other_resource(stack: Stack) -> None:
    """What moto leaves out is known, and nothing more is left out."""
    declared = set(_declared_resources())
    made = {name for name, identifier in stack.resources.items() if identifier}

    assert declared - made == set(CLOUDFORMATION_LEAVES_OUT.resources)


def test_a_state_can_be_in_the_table(stack: Stack, running_moto: Moto) -> None:
    """It has the keys of a state, and can't be deleted by mistake."""
    described = boto3.client("dynamodb").describe_table(TableName=stack.resources["StateTable"])
    table = Table(running_moto.url, TableAddress(Region(REGION), stack.resources["StateTable"]))

    assert described["Table"]["DeletionProtectionEnabled"] is True
    assert described["Table"]["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    with table.opened:
        table.state().create()
        assert list(table.state().versions()) == ["schema"]


def test_the_table_expires_records_and_has_backups() -> None:
    """Moto ignores both, so they are read in the template."""
    properties = _declared_resources()["StateTable"]["Properties"]

    assert properties["TimeToLiveSpecification"] == {"AttributeName": DELETE_AT, "Enabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert _declared_resources()["StateTable"]["DeletionPolicy"] == "Retain"


@pytest.mark.parametrize(
    ("role", "file"),
    [("MinterRole", "minter"), ("KeyAdministratorRole", "key-administrator")],
)
def test_a_role_has_the_policy_of_its_file(stack: Stack, role: str, file: str) -> None:
    """Without the statements of the custody that is not used."""
    values = {
        "Region": REGION,
        "Account": EXAMPLE_ACCOUNT,
        "Table": "tokensvc",
        "Prefix": "tokensvc/",
    }
    policy = Policy.read(ROOT / f"deploy/iam/{file}.json", values)
    expected = [
        statement
        for statement in policy.statements
        if not statement.sid.endswith(OTHER_CUSTODY[stack.custody])
    ]
    assert Policy.of(stack.policy(role)).statements == expected


def test_each_task_runs_in_its_own_role() -> None:
    """Workers get no role that changes keys (rule 11), and the containers not the one of ECS."""
    declared = _declared_resources()
    roles = {
        name: declared[name]["Properties"]["TaskRoleArn"]["GetAtt"].removesuffix(".Arn")
        for name in ("ServiceTask", "ReconcileTask")
    }
    assert roles == {"ServiceTask": "MinterRole", "ReconcileTask": "KeyAdministratorRole"}


@pytest.mark.parametrize("task", ["ServiceTask", "ReconcileTask"])
def test_a_container_is_confined_and_loses_no_line(stack: Stack, task: str) -> None:
    """It has no capability, and can write /tmp only, which the image declares as a volume."""
    container = stack.container(task)
    dockerfile = Dockerfile.read(ROOT / "Dockerfile")
    volumes = dockerfile.one("VOLUME", dockerfile.last_stage).arguments

    assert container["user"] == dockerfile.one("USER", dockerfile.last_stage).text
    assert container["readonlyRootFilesystem"] is True
    assert container["linuxParameters"] == {"capabilities": {"drop": ["ALL"]}}
    assert [mount["containerPath"] for mount in container["mountPoints"]] == ["/tmp"]  # noqa: S108
    assert "/tmp" in volumes  # noqa: S108
    assert container["logConfiguration"]["options"]["mode"] == "blocking"


@pytest.mark.parametrize("task", ["ServiceTask", "ReconcileTask"])
def test_the_environment_of_a_container_is_its_settings(stack: Stack, task: str) -> None:
    """There is no file: the entry point of the image names one, and this one does not."""
    container = stack.container(task)
    dockerfile = Dockerfile.read(ROOT / "Dockerfile")
    entry_point = dockerfile.one("ENTRYPOINT", dockerfile.last_stage).arguments
    given = {item["name"]: item["value"] for item in container["environment"]}
    settings = load_settings(None, given)

    assert container["entryPoint"] == ["env", "--unset=TOKENSVC_CONFIG", *entry_point]
    assert settings.state.url == f"dynamodb:{REGION}/{stack.resources['StateTable']}"
    assert settings.custody.url == CUSTODY_URLS[stack.custody]
    assert (settings.ivs.account_id, settings.ivs.regions) == (EXAMPLE_ACCOUNT, (REGION,))


def test_a_task_is_stopped_without_losing_a_request(stack: Stack) -> None:
    """The balancer and ECS wait for the slowest request; the balancer closes connections first."""
    container = stack.container("ServiceTask")
    given = {item["name"]: item["value"] for item in container["environment"]}
    drain = load_settings(None, given).service.drain_seconds
    longest_seconds = ConnectionTerms().longest_request_seconds
    (target, balancer) = (
        {one["Key"]: int(one["Value"]) for one in attributes if one["Value"].isdecimal()}
        for attributes in (
            _declared_resources()["Targets"]["Properties"]["TargetGroupAttributes"],
            _declared_resources()["LoadBalancer"]["Properties"]["LoadBalancerAttributes"],
        )
    )

    assert container["stopTimeout"] >= drain + longest_seconds + 5
    assert container["stopTimeout"] <= 120  # Fargate's limit.
    assert target["deregistration_delay.timeout_seconds"] >= longest_seconds
    assert balancer["idle_timeout.timeout_seconds"] < 75


def test_the_balancer_takes_out_only_a_replica_that_fails_itself(stack: Stack) -> None:
    """And notices it before the drain ends."""
    targets = boto3.client("elbv2").describe_target_groups(
        TargetGroupArns=[stack.resources["Targets"]]
    )["TargetGroups"][0]

    assert targets["HealthCheckPath"] == "/readyz?scope=replica"
    noticed_after = targets["HealthCheckIntervalSeconds"] * targets["UnhealthyThresholdCount"]
    assert noticed_after + 5 <= 15


def test_the_scheduled_job_does_not_begin_a_deployment(stack: Stack) -> None:
    """`--rotate-after` keeps it from creating a state where one is missing."""
    command = ["keys", "reconcile", "--rotate-after", "30d"]

    assert stack.container("ReconcileTask")["command"] == command


def test_the_end_of_each_run_of_the_job_is_recorded_with_its_exit_status(stack: Stack) -> None:
    """The alarm counts the runs that ended with 0. Neither a start nor the service counts."""
    cluster = boto3.client("ecs").describe_clusters(clusters=[stack.resources["Cluster"]])
    for task, status, exit_status in [
        ("ReconcileTask", "RUNNING", None),
        ("ReconcileTask", "STOPPED", 0),
        ("ReconcileTask", "STOPPED", 1),
        ("ServiceTask", "STOPPED", 0),
    ]:
        detail = {
            "clusterArn": cluster["clusters"][0]["clusterArn"],
            "taskDefinitionArn": stack.resources[task],
            "lastStatus": status,
            "containers": [{"exitCode": exit_status}],
        }
        boto3.client("events").put_events(
            Entries=[
                {
                    "Source": "aws.ecs",
                    "DetailType": "ECS Task State Change",
                    "Detail": json.dumps(detail),
                }
            ]
        )
    runs = [json.loads(line) for line in _lines_of(stack.resources["ReconcileRuns"])]
    filtered = _declared_resources()["ReconcileSuccesses"]["Properties"]

    exit_statuses = sorted(run["detail"]["containers"][0]["exitCode"] for run in runs)
    assert exit_statuses == [0, 1]
    assert filtered["FilterPattern"] == "{ $.detail.containers[0].exitCode = 0 }"


def _lines_of(log_group: str) -> list[str]:
    logs = boto3.client("logs")
    streams = logs.describe_log_streams(logGroupName=log_group)["logStreams"]
    return [
        event["message"]
        for stream in streams
        for event in logs.get_log_events(
            logGroupName=log_group, logStreamName=stream["logStreamName"]
        )["events"]
    ]


def _function(loader: Any, name: str, node: yaml.Node) -> dict[str, Any]:
    """`!GetAtt a.b` as `{"GetAtt": "a.b"}`."""
    match node:
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_scalar(node)
    return {name: value}


def _declared_resources() -> dict[str, Any]:
    # cfn-lint could read it, too, but its import takes seconds.
    loader: Any = type("TemplateLoader", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", _function)
    template = yaml.load(TEMPLATE.read_text(), loader)  # noqa: S506 # A safe loader.
    resources: dict[str, Any] = template["Resources"]
    return resources
