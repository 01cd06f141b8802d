"""Where and with what a run was made."""

import os
import pathlib
import platform
import re
import subprocess

import peers
from harness.context import LOAD_CORE, PROXY_CORE, find


def output_of(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip()


def machine(context):
    processor = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    memory = re.search(r"^MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)
    return {
        "cores": os.cpu_count(), "processor": processor.group(1) if processor else platform.machine(),
        "memory_mib": int(memory.group(1)) // 1024, "kernel": platform.release(), "open_files": context.file_limit,
        "load_core": LOAD_CORE, "proxy_core": PROXY_CORE, "load_average_at_end": os.getloadavg()[0],
    }


def version_of(command, pattern=peers.Peer.version_pattern):
    found = re.search(pattern, output_of(command)) if command and command[0] else None
    return found.group() if found else "?"


def versions(names, context):
    """Of the peers that were measured, the load generators, the TLS library and this tree."""
    kinds = [peers.KINDS[name] for name in names if name != "direct"]
    known = {kind.name: version_of(kind.version_command(context), kind.version_pattern) for kind in kinds}
    tools = {"wrk": [find("wrk"), "-v"], "h2load": [find("h2load"), "--version"], "openssl": [find("openssl"), "version"]}
    known.update({name: version_of(command) for name, command in tools.items()})
    known["commit"] = output_of(["git", "-C", str(context.root), "describe", "--always", "--dirty"])
    return known
