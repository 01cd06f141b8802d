"""One run: where its files are, which cores it uses, which port is next."""

import dataclasses
import itertools
import os
import pathlib
import re
import resource
import shutil

CONFIGS = pathlib.Path(__file__).resolve().parent.parent / "peers" / "configs"

# On two cores the load generator and the programs behind share the first, and the proxies have the second for themselves.
LOAD_CORE, PROXY_CORE = ("0", "1") if (os.cpu_count() or 1) > 1 else ("0", "0")
BOTH_CORES = f"{LOAD_CORE},{PROXY_CORE}"

# What every TLS hop and handshake uses. Envoy and Traefik choose it themselves on a processor with AES instructions.
CIPHER = "TLS_AES_128_GCM_SHA256"

# 10,000 clients and their upstream connections, in one process.
FILES_WANTED = 65536


class BenchError(Exception):
    """A measurement that cannot be trusted, or a program that does not do what it should: the run ends and says why."""


def find(program):
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/sbin")


def raise_file_limit():
    """As many open files as this user may have. The proxies inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (FILES_WANTED, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@dataclasses.dataclass(frozen=True)
class Context:
    root: pathlib.Path
    work: pathlib.Path
    file_limit: int
    ports: object = dataclasses.field(default_factory=lambda: itertools.count(18100))

    @property
    def binaries(self):
        return pathlib.Path(os.environ.get("APUS_BIN_DIR", self.root / ".build" / "release"))

    @property
    def loadgen(self):
        return str(self.root / ".build-bench" / "loadgen")

    @property
    def environment(self):
        """Where pip put the peers that come as Python packages."""
        return self.root / ".venv-bench"

    def next_port(self):
        return next(self.ports)

    def render(self, template, name, **values):
        """A file of peers/configs with this run's values in place of @KEY@ and its @include lines filled in."""
        values = {"DIR": self.work, "FILES": self.file_limit, "CIPHER": CIPHER, "ID": name.rsplit(".", 1)[0], **values}
        text = expand(template, values)
        left = re.search(r"@[A-Z_]+@", text)
        if left:
            raise BenchError(f"{template}: nothing to put in place of {left.group()}")
        path = self.work / name
        path.write_text(text)
        return str(path)


def expand(template, values):
    out = []
    for line in (CONFIGS / template).read_text().splitlines():
        for key, value in values.items():
            line = line.replace(f"@{key}@", str(value))
        included = re.fullmatch(r"(\s*)@include\s*(\S*)", line)
        if not included:
            out.append(line)
        elif included.group(2):
            out += [included.group(1) + inner for inner in expand(included.group(2), values).splitlines()]
    return "\n".join(out) + "\n"
