"""Programs that join with a token: made by the mesh's owner, run by another account."""

import json
import os
import re

from .controller import metrics
from .mesh import BINARIES, Workload
from .waiting import until


def token(mesh, *flags):
    return json.loads(mesh.apus("identity", "token", "create", "--service", "web", "-n", "shop", *flags).stdout)


def token_id(made):
    return made["token"].split(".")[1]


def another_account():
    """Only root can be somebody else, and only where others may read the programs. Anybody else is kept out by the
    other state directory alone."""
    public = all(parent.stat().st_mode & 0o001 for parent in (BINARIES / "apus").resolve().parents)
    return dict(user=65534, group=65534, extra_groups=[]) if os.geteuid() == 0 and public else {}


def join(mesh, made, *, program=("sleep", "infinity"), flags=(), name="joiner", wait=True):
    """`apus run` as another account, with a state directory of its own: it has the token and nothing of the mesh's owner's."""
    home = mesh.directory / f"home-{name}"
    home.mkdir(mode=0o700)
    file = home / "token"
    file.write_text(json.dumps(made))
    file.chmod(0o600)
    if account := another_account():
        for path in (home, file, *mesh.directory.glob("nginx-*"), *mesh.directory.glob("nginx-*/*")):
            os.chown(path, account["user"], account["group"])
        # Pytest's directories of the test, the process, the run and the user.
        for parent in list(home.parents)[:4]:
            parent.chmod(parent.stat().st_mode | 0o011)
    command = [BINARIES / "apus", "run", "--service", "web", "-n", "shop", "--join-token-file", file, "--state-dir",
               home / "state", "--workers", "1", *flags, "--", *program]
    process = mesh.start(name, ["env", "-u", "APUS_STATE_DIR", f"HOME={home}", *command], Workload, cwd=home, **account)
    return process.wait_until_ready() if wait else process


def refused(mesh, reason, action):
    """Runs `action`; its refusal is counted under `reason` and in the log."""
    before = metrics().sum("workload_join_refusals_total", reason=reason)
    logged = len(re.findall(f"reason={reason}\\b", mesh.controller.log()))
    answer = action()
    assert metrics().sum("workload_join_refusals_total", reason=reason) == before + 1, metrics().text
    until(lambda: len(re.findall(f"reason={reason}\\b", mesh.controller.log())) > logged, f"the log says {reason}", 5)
    return answer
