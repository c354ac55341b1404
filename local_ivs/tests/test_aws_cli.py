"""Local IVS through the `aws` command, which has its own botocore."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore import xform_name

from example_key import FINGERPRINT, PUBLIC_KEY
from local_ivs.operations import READING, WRITING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_ivs.testing import LocalIvsServer

AWS = Path(__file__).parents[2] / ".venv-awscli" / "bin" / "aws"
ERROR_STATUS = 255  # The exit status of version 1 of the command after any error.


# Imports the command once, which takes most of its time, and runs it in a fork for each line.
FORKING = """
import json, os, sys
from awscli.clidriver import create_clidriver, main
create_clidriver()  # Imports its plugins.
for line in sys.stdin:
    sys.argv, output, errors = json.loads(line)
    child = os.fork()
    if child == 0:
        for path, descriptor in ((output, 1), (errors, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        sys.exit(main())
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


@dataclass(frozen=True)
class AwsCli:
    """Runs `aws ivs ...` with an empty home folder; `called` has the successful operations."""

    home: Path
    url: str
    called: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of the command."""
        return {
            "PATH": os.defpath,
            "HOME": str(self.home),
            "AWS_ACCESS_KEY_ID": "123456789012",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-west-2",
            "AWS_ENDPOINT_URL_IVS": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }

    @cached_property
    def forking(self) -> subprocess.Popen[str]:
        """The program that has imported the command."""
        return subprocess.Popen(
            [AWS.with_name("python"), "-c", FORKING],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, operation: str, *arguments: str) -> Any:
        """Run a command that must succeed; return its JSON output, or None if it prints nothing."""
        output, errors = self.home / "output", self.home / "errors"
        command = ["aws", "ivs", operation, *arguments, "--output", "json"]
        assert self.forking.stdin is not None
        assert self.forking.stdout is not None
        print(json.dumps([command, str(output), str(errors)]), file=self.forking.stdin, flush=True)
        status = self.forking.stdout.readline()
        assert (status, errors.read_text()) == ("0\n", "")
        self.called.append(operation)
        printed = output.read_text()
        return json.loads(printed) if printed.strip() else None


@pytest.fixture
def aws(server: LocalIvsServer, tmp_path: Path) -> Iterator[AwsCli]:
    """The real command. If it isn't installed, the test is skipped; under CI it fails."""
    if not AWS.exists():
        message = "The aws command isn't installed, so this test did not run. Run `make test`."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    command = AwsCli(tmp_path, server.url)
    yield command
    command.forking.communicate()  # It ends when its standard input is closed.


def test_the_aws_command_can_call_each_operation(server: LocalIvsServer, aws: AwsCli) -> None:
    """All 24 operations once: create resources, stream, and delete everything."""
    made = aws("create-channel", "--name", "cli", "--authorized", "--tags", "team=video")
    channel, stream_key = made["channel"]["arn"], made["streamKey"]["arn"]
    assert made["channel"]["authorized"] is True
    assert made["channel"]["tags"] == {"team": "video"}
    assert made["channel"]["playbackUrl"].startswith(server.url)
    updated = aws("update-channel", "--arn", channel, "--latency-mode", "NORMAL")
    assert updated["channel"]["latencyMode"] == "NORMAL"
    assert aws("get-channel", "--arn", channel)["channel"]["name"] == "cli"
    batch = aws("batch-get-channel", "--arns", channel, channel + "x")
    assert [each["arn"] for each in batch["channels"]] == [channel]
    assert [each["code"] for each in batch["errors"]] == ["ResourceNotFoundException"]
    listed = aws("list-channels", "--filter-by-name", "cli")["channels"]
    assert [each["arn"] for each in listed] == [channel]

    keys = aws("list-stream-keys", "--channel-arn", channel)["streamKeys"]
    assert [each["arn"] for each in keys] == [stream_key]
    value = aws("get-stream-key", "--arn", stream_key)["streamKey"]["value"]
    assert value == made["streamKey"]["value"]
    batch = aws("batch-get-stream-key", "--arns", stream_key)["streamKeys"]
    assert [each["value"] for each in batch] == [value]
    aws("delete-stream-key", "--arn", stream_key)
    new_key = aws("create-stream-key", "--channel-arn", channel)["streamKey"]
    assert new_key["value"] != value

    material = ("--public-key-material", PUBLIC_KEY)
    pair = aws("import-playback-key-pair", "--name", "first", *material)["keyPair"]
    assert pair["fingerprint"] == FINGERPRINT
    assert aws("get-playback-key-pair", "--arn", pair["arn"])["keyPair"]["name"] == "first"
    pairs = aws("list-playback-key-pairs")["keyPairs"]
    assert [each["arn"] for each in pairs] == [pair["arn"]]
    aws("tag-resource", "--resource-arn", pair["arn"], "--tags", "use=demo,owner=me")
    aws("untag-resource", "--resource-arn", pair["arn"], "--tag-keys", "owner")
    tags = aws("list-tags-for-resource", "--resource-arn", pair["arn"])["tags"]
    assert tags == {"use": "demo"}
    assert aws("delete-playback-key-pair", "--arn", pair["arn"]) is None

    server.go_live(channel)
    assert aws("get-stream", "--channel-arn", channel)["stream"]["state"] == "LIVE"
    streams = aws("list-streams", "--filter-by", "health=HEALTHY")["streams"]
    assert [each["channelArn"] for each in streams] == [channel]
    assert aws("put-metadata", "--channel-arn", channel, "--metadata", "hello") is None
    viewer = ("--channel-arn", channel, "--viewer-id", "alice")
    aws("start-viewer-session-revocation", *viewer)
    sessions = f"channelArn={channel},viewerId=bob,viewerSessionVersionsLessThanOrEqualTo=5"
    revoked = aws("batch-start-viewer-session-revocation", "--viewer-sessions", sessions)
    assert revoked == {"errors": []}
    aws("stop-stream", "--channel-arn", channel)
    assert aws("delete-channel", "--arn", channel) is None

    served = {xform_name(name, "-") for name in {*READING, *WRITING}}
    assert sorted(aws.called) == sorted(served)
    assert len(served) == 24


def test_the_aws_command_prints_the_name_of_an_error(aws: AwsCli) -> None:
    """And the operation, but no text: as on AWS, the model has no `message` for it."""
    missing = "arn:aws:ivs:us-west-2:123456789012:channel/doesNotExist"
    refused = subprocess.run(
        [AWS, "ivs", "get-channel", "--arn", missing, "--output", "json"],
        env=aws.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == ERROR_STATUS
    assert refused.stderr.strip() == (
        "An error occurred (ResourceNotFoundException) when calling the GetChannel operation:"
    )
