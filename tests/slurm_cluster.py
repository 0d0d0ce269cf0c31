"""A SLURM cluster of one node on this machine, for as long as a test needs it.

``python tests/slurm_cluster.py start FOLDER`` starts munge, slurmctld and slurmd with all their files in FOLDER
and prints the environment variable that points SLURM's commands at it; ``stop FOLDER`` ends them. Needs root
and Debian's slurm-wlm and munge (``apt-get install slurm-wlm munge``).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

SYSTEM_CONFIGURATION = Path("/etc/slurm/slurm.conf")
"""Jobs find the cluster here: SLURM's own variables do not survive from a batch job to its steps."""

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
ReturnToService=2
MinJobAge=600
KillWait=5
MaxArraySize=1001
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=1-0 State=UP
"""


def why_not() -> str | None:
    """The reason why no cluster can be started here, or None."""
    if os.geteuid() != 0:
        return "SLURM's daemons need root here"
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (apt-get install slurm-wlm munge)"
    if SYSTEM_CONFIGURATION.exists():
        return f"this machine has a SLURM configuration of its own, {SYSTEM_CONFIGURATION}"
    return None


def start(folder: Path) -> dict[str, str]:
    """Start the cluster and wait until its node is idle.

    Returns
    -------
    dict
        Environment variables that point SLURM's commands at it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("state", "spool"):
        (folder / name).mkdir(exist_ok=True)
    os.chmod(folder, 0o755)
    pids = {"munged": _start_munge(folder)}
    _write(folder, pids)
    text = CONFIGURATION.format(
        host=socket.gethostname().split(".")[0], folder=folder, ports=_free_ports(2), cpus=os.cpu_count(),
        memory=int(0.9 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20),
    )  # fmt: skip
    (folder / "slurm.conf").write_text(text)
    SYSTEM_CONFIGURATION.parent.mkdir(parents=True, exist_ok=True)
    SYSTEM_CONFIGURATION.unlink(missing_ok=True)  # a link left by a test that was killed points nowhere
    SYSTEM_CONFIGURATION.symlink_to(folder / "slurm.conf")
    environment = {"SLURM_CONF": str(folder / "slurm.conf")}
    for name in ("slurmctld", "slurmd"):
        pids[name] = _daemon(
            [name, "-D", "-f", str(folder / "slurm.conf")], folder / f"{name}.out", environment
        )
        _write(folder, pids)
    _wait(lambda: "idle" in _ask(environment, "sinfo", "-h", "-o", "%T"), "the node is not idle", folder)
    return environment


def stop(folder: Path) -> None:
    """End the daemons of a cluster, by the process numbers noted at its start."""
    noted = folder / "pids.json"
    if not noted.exists():
        return
    pids = json.loads(noted.read_text())
    for name in ("slurmd", "slurmctld", "munged"):
        if name in pids:
            _end(pids[name])
    noted.unlink()
    if SYSTEM_CONFIGURATION.is_symlink() and SYSTEM_CONFIGURATION.readlink() == folder / "slurm.conf":
        SYSTEM_CONFIGURATION.unlink()


def _start_munge(folder: Path) -> int:
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    command = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"]
    command += [
        f"--pid-file={folder}/munge.pid",
        f"--log-file={folder}/munge.log",
        f"--seed-file={folder}/munge.seed",
    ]
    pid = _daemon(command, folder / "munged.out", {})
    _wait((folder / "munge.socket").exists, "munged has no socket", folder)
    return pid


def _daemon(command: list[str], log: Path, environment: dict[str, str]) -> int:
    variables = {**os.environ, **environment, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    with open(log, "wb") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            env=variables,
            start_new_session=True,
        )
    return process.pid


def _ask(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    return done.stdout


def _wait(condition, complaint: str, folder: Path, seconds: float = 30) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            logs = "\n".join(f.read_text(errors="replace")[-1500:] for f in sorted(folder.glob("*.out")))
            logs += "\n".join(f.read_text(errors="replace")[-1500:] for f in sorted(folder.glob("*.log")))
            raise RuntimeError(f"{complaint} after {seconds} s\n{logs}")
        time.sleep(0.1)


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def _end(pid: int) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            return
        for _ in range(50):
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    return
            except ChildProcessError:
                if not Path(f"/proc/{pid}").exists():
                    return
            time.sleep(0.1)


def _write(folder: Path, pids: dict[str, int]) -> None:
    (folder / "pids.json").write_text(json.dumps(pids))


if __name__ == "__main__":
    action, where = sys.argv[1], Path(sys.argv[2]).resolve()
    if action == "start":
        reason = why_not()
        if reason:
            sys.exit(reason)
        for variable, value in start(where).items():
            print(f"export {variable}={value}")
    else:
        stop(where)
