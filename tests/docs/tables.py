"""What the commands of each page need, and which commands can't be run here, with the reason.

The commands of every block are checked by `checked_commands.py`, whether they are run or not.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.docs.blocks import Block
from tests.docs.sessions import Session

DEMO = "starts programs until it is interrupted; tests/demo runs it"
INSTALLS = "installs packages; tests/packaging installs the same"
MINUTES = "measures for minutes; tests/benchmarks runs the programs at a small size"
ROOT_OF_A_HOST = "changes the host as root; tests/deploy runs the units' commands"
AWS_ACCOUNT = "needs an AWS account; tests/deploy/test_cloudformation.py makes the stack in moto"
CLUSTER = "needs a cluster; tests/deploy/test_kubernetes.py checks the manifests"
CONTAINERS = "needs a container engine; tests/deploy/test_compose.py runs its services"
GENERATES = "generates for seconds; tests/web/openapi generates and uses the client"

NOT_RUN: Mapping[tuple[str, str], str] = {
    # The page, and how the first line of the block begins.
    ("README.md", "make run "): DEMO,
    ("demo/README.md", "make run "): DEMO,
    ("demo/README.md", "make run-aws"): DEMO,
    ("docs/index.md", "make run "): DEMO,
    ("docs/tutorial.md", "python3 -m venv .tutorial/env"): INSTALLS,
    ("docs/library.md", "pip install ."): INSTALLS,
    ("docs/traces.md", "pip install"): INSTALLS,
    ("docs/library.md", "(umask 077; openssl ecparam"): "tests/test_library.py runs it",
    ("local_ivs/README.md", "python3 -m venv ivs"): INSTALLS,
    ("local_ivs/README.md", "cd local_ivs && ../.venv/bin/pytest"): "make test runs the same",
    ("local_ivs/benchmarks/README.md", "cd local_ivs"): MINUTES,
    ("docs/benchmarks.md", "make bench"): MINUTES,
    ("docs/benchmarks.md", ".venv/bin/python -m benchmarks."): MINUTES,
    ("docs/reliability.md", "make reliability"): MINUTES,
    ("docs/deploy.md", "useradd "): ROOT_OF_A_HOST,
    ("docs/deploy.md", "cp deploy/systemd/"): ROOT_OF_A_HOST,
    ("docs/deploy.md", "aws cloudformation deploy"): AWS_ACCOUNT,
    ("docs/deploy.md", "$EDITOR deploy/kubernetes/"): CLUSTER,
    ("docs/deploy.md", "docker compose up"): CONTAINERS,
    ("docs/how-to/kubernetes.md", "kubectl "): CLUSTER,
    ("docs/http.md", "openapi-python-client generate"): GENERATES,
}

SETTINGS = """
tokensvc init --account-id 123456789012 --region us-west-2 > init.log
(umask 077; openssl rand -base64 32 > key-encryption-secret)
ARN=$(tokensvc channels create demo --json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["channel"]["arn"])')
sed --in-place "s|^.channels.$|&\\ndemo = \\"$ARN\\"|" tokensvc.toml
printf '\\n[grants.web]\\nchannels = ["demo"]\\n' >> tokensvc.toml
"""
FIRST_KEYS = """
tokensvc keys reconcile > reconcile.log 2>&1
tokensvc api-keys create my-backend --grant web > api-key
"""
ISSUER = """
cat >> tokensvc.toml <<'END'
[issuers.main]
issuer = "https://login.example.com"
audience = "tokensvc"
grants = ["members"]
[grants.members]
channels = ["demo"]
END
(umask 077; openssl rand -base64 32 > viewer-id-secret)
export TOKENSVC_VIEWER_IDS__SECRET_FILE=viewer-id-secret
tokensvc viewers record-secrets
"""
# Of those that were made in the same second any may be the first, and a kick can't be lifted.
BAN = """$(tokensvc bans list --json | python3 -c 'import json, sys
print(next(ban["ban_id"] for ban in json.load(sys.stdin) if ban["kind"] == "ban"))')"""

ACTIVE = """$(tokensvc keys list | grep --only-matching --perl-regexp 'k\\w{12}(?= *active)')"""
OWN_KEY = """
openssl ecparam -name secp384r1 -genkey -noout -out key.pem
openssl ec -in key.pem -pubout -out public.pem
own_key() { aws ivs list-playback-key-pairs --query 'keyPairs[0].arn' --output text; }
aws ivs import-playback-key-pair --name own --public-key-material file://public.pem > imported.json
"""
SAME_MEMBERS = (
    "import json, sys; a, b = (list(json.load(open(x))) for x in sys.argv[1:]); assert a == b"
)
RECEIVER = """
export TOKENSVC_NOTIFY__WEBHOOK_URL=http://127.0.0.1:$FREE_PORT/tokensvc
export TOKENSVC_NOTIFY__WEBHOOK_SECRET_FILE=webhook-secret PYTHONUNBUFFERED=1
receive() {
    export WEBHOOK_SECRET=$(cat webhook-secret)
    flask --app python_0 run --port $FREE_PORT > received.log 2>&1 &
    curl --silent --retry 20 --retry-connrefused --output not-found http://127.0.0.1:$FREE_PORT/
}
"""


def moves_to(custody: str) -> Session:
    """The session of a page that moves the keys of a service to another custody."""
    settings = f"export TOKENSVC_CUSTODY__FORMER_URL=file:keys TOKENSVC_CUSTODY__URL={custody}"
    return Session(
        given=("deployment", "aws"),
        before=settings,
        after=f"tokensvc keys show {ACTIVE} | grep arn:aws:{custody.partition(':')[0]}:",
    )


SESSIONS: Mapping[str, Session] = {
    "README.md": Session(
        given=("service",),
        before="mkdir -p .venv/bin; touch .venv/bin/activate",
        after=f"""
tokensvc keys list | grep active
python3 -c '{SAME_MEMBERS}' printed-0 json_0.json
""",
    ),
    "deploy/iam/README.md": Session(
        before="ln -s $ROOT/deploy deploy",
        after="! grep --fixed-strings '${' printed-0 && python3 -m json.tool printed-0",
    ),
    "docs/bans.md": Session(
        given=("deployment",),
        replaced={"lift BAN": f"lift {BAN}"},
        after="tokensvc bans list | grep viewer-8",
    ),
    "docs/custody-kms.md": moves_to("kms:alias/tokensvc/"),
    "docs/custody-secrets-manager.md": moves_to("secretsmanager:tokensvc/"),
    "docs/deploy.md": Session(
        given=("deployment",), replaced={"create my-backend": "create other"}
    ),
    "docs/end-sessions.md": Session(
        given=("deployment",), before=f"{ISSUER}\necho viewer-9 > viewers.txt"
    ),
    "docs/entitlement-hook.md": Session(after="grep '^whsec_' entitlement-secret"),
    "docs/grants.md": Session(given=("deployment",), before=ISSUER),
    "docs/how-to/adopt.md": Session(
        before=f"{SETTINGS}\n{OWN_KEY}",
        replaced={
            "ARN=arn:aws:ivs:us-west-2:123456789012:playback-key/abcdEFGHijkl": "ARN=$(own_key)"
        },
        after="tokensvc keys list | grep 'active *yes'",
    ),
    "docs/how-to/emergency.md": Session(
        given=("deployment",),
        before="tokensvc tokens sign demo --viewer-id viewer-7 2> audit.log",
        replaced={"revoke KEY": f"revoke --yes {ACTIVE}"},
        after="tokensvc keys history | grep 'found in a log'",
    ),
    "docs/how-to/fleet.md": Session(given=("aws",)),
    "docs/how-to/kubernetes.md": Session(given=("aws",), before="ln -s $ROOT/deploy deploy"),
    "docs/how-to/regions.md": Session(
        given=("deployment",), after="tokensvc keys list --region us-west-2 | grep active"
    ),
    "docs/how-to/revoke-a-viewer.md": Session(
        given=("deployment",), replaced={"lift BAN": f"lift {BAN}"}
    ),
    "docs/how-to/roll-back.md": Session(given=("deployment",), before="tokensvc keys rotate"),
    "docs/how-to/rotate.md": Session(given=("deployment",)),
    "docs/how-to/your-application.md": Session(
        given=("deployment", "service"), before="ln -s python_0.py watch.py"
    ),
    "docs/oidc.md": Session(
        given=("deployment", "service"),
        before=f"{ISSUER}\nTOKEN=tsk_…",  # The service of the other pages has no issuer.
        replaced={"https://playback.example.com": "http://127.0.0.1:8000"},
        after="grep playback_url printed-0",
    ),
    "docs/ops-page.md": Session(given=("deployment",)),
    "docs/recovery.md": Session(
        given=("deployment",),
        before="mkdir backup",
        before_block={1: "rm keys/state.sqlite3*"},
        replaced={
            "/backup/": "backup/",
            "state restore": "state restore --yes",
            "confirm my-backend": "confirm --yes my-backend",
        },
        after="tokensvc keys list | grep active",
    ),
    "docs/rotation.md": Session(
        given=("deployment",),
        before=RECEIVER,
        replaced={"tokensvc keys test": "receive; tokensvc keys test"},
        after="grep '^test ' received.log",
    ),
    "docs/state-dynamodb.md": Session(
        given=("deployment", "aws"),
        before="mv tokensvc.toml services.toml",
        before_block={1: "cp services.toml tokensvc.toml"},
        replaced={"tokensvc state copy": "tokensvc state copy --yes"},
    ),
    "docs/tutorial.md": Session(
        after="""
grep '"decision":"granted"' audit.log
test $(cat printed-* | grep --count 'IVS would accept this token.') = 2
STATES=$(cat printed-* | grep --only-matching --extended-regexp ' (active|published|retiring) ')
test "$(echo $STATES)" = 'active published retiring active published'
""",
    ),
    "docs/viewer-ids.md": Session(
        given=("deployment",),
        before="SECRET=$(openssl rand -hex 32)",
        after="""
export TOKENSVC_VIEWER_IDS__SECRET=$SECRET
tokensvc viewers record-secrets
test "$(cat printed-0)" = "$(tokensvc viewers id https://issuer.example.com/ ann@example.com)"
""",
    ),
    "local_ivs/README.md": Session(after="aws ivs list-streams | grep LIVE"),
}


def reason_not_to_run(block: Block) -> str | None:
    """Why the block is not run here, by the table."""
    page, first = block.place
    reasons = [NOT_RUN[key] for key in NOT_RUN if key[0] == page and first.startswith(key[1])]
    return reasons[0] if reasons else None
