#!/usr/bin/env python3
"""Import direction: who may import what, as docs/architecture.md lists the targets.

A target may import the modules of its row and nothing else. The data plane imports neither Foundation nor NIO: that is
part of its rows, and is said again in DATA_PLANE so that widening a row by mistake is caught.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What every target may import.
STANDARD = {"Swift", "_Concurrency", "Synchronization"}
LIBC = {"Glibc", "Musl"}
FOUNDATION = {"Foundation", "FoundationEssentials"}
DISPATCH = {"Dispatch"}
GRPC = {"GRPCCore", "GRPCNIOTransportHTTP2", "GRPCNIOTransportHTTP2Posix", "GRPCProtobuf"}
NIO = {"NIOCore", "NIOPosix", "NIOSSL", "NIOConcurrencyHelpers"}
CERTIFICATES = {"X509", "Crypto", "_CryptoExtras", "CryptoExtras", "SwiftASN1"}

DATA_PLANE = {
    "MeshCore": LIBC,
    "MeshHTTP": {"MeshCore"},
    "MeshPolicy": {"MeshCore", "MeshHTTP"},
    "MeshTelemetry": {"MeshCore", "MeshHTTP"},
    "MeshRuntime": {"CAres", "CLinux", "COpenSSL", "MeshCore"} | LIBC,
    "MeshAPI": {"MeshCore", "MeshHTTP", "MeshPolicy", "SwiftProtobuf"},
    "MeshProxy": {
        "CLinux", "CZlib", "MeshCore", "MeshHTTP", "MeshPolicy", "MeshTelemetry", "MeshRuntime", "MeshAPI",
        "SwiftProtobuf",
    } | LIBC,
    "apus-proxy": {"MeshCore", "MeshRuntime", "MeshProxy"} | LIBC,
}

CONTROL_PLANE = {
    "MeshControlAPI": {"MeshAPI", "SwiftProtobuf", "GRPCCore", "GRPCProtobuf"},
    "MeshResources": {"MeshCore", "MeshPolicy", "Yams"} | FOUNDATION | LIBC,
    "MeshIdentity": {"CLinux", "MeshCore"} | CERTIFICATES | FOUNDATION | LIBC,
    "MeshControl": {
        "CLinux", "MeshCore", "MeshHTTP", "MeshPolicy", "MeshAPI", "MeshControlAPI", "MeshResources", "MeshIdentity",
        "SwiftProtobuf", "Logging", "NIOHTTP1",
    } | GRPC | NIO | CERTIFICATES | FOUNDATION | DISPATCH | LIBC,
    "MeshCLI": {
        "CLinux", "CProcess", "MeshCore", "MeshHTTP", "MeshPolicy", "MeshAPI", "MeshControlAPI", "MeshResources",
        "MeshIdentity",
        "MeshControl", "SwiftProtobuf", "ArgumentParser", "Logging",
    } | GRPC | NIO | CERTIFICATES | FOUNDATION | DISPATCH | LIBC,
    "apus": {"MeshCLI", "ArgumentParser"} | FOUNDATION,
    "apus-controller": {"MeshCore", "MeshControl", "MeshResources", "MeshCLI", "ArgumentParser", "Logging"} | FOUNDATION,
    # The demonstration's services: ordinary programs that know nothing of the mesh.
    "apus-shop": {"NIOHTTP1"} | NIO | FOUNDATION | LIBC,
}

ALLOWED = {**DATA_PLANE, **CONTROL_PLANE}

# `import X`, `package import struct X.Y`, `@preconcurrency import X`, ...
IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?"
    r"import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?([A-Za-z_]\w*)"
)


def imports(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = IMPORT.match(line)
        if match:
            yield number, match.group(1)


def main():
    complaints = []
    for target in sorted((ROOT / "Sources").iterdir()):
        swift_files = sorted(target.rglob("*.swift"))
        if not swift_files:
            continue
        if target.name not in ALLOWED:
            complaints.append(f"{target.relative_to(ROOT)}: no row in dev/check_imports.py; add one with what it may import")
            continue
        for path in swift_files:
            for number, module in imports(path):
                place = f"{path.relative_to(ROOT)}:{number}"
                if module in STANDARD | ALLOWED[target.name]:
                    if target.name in DATA_PLANE and (module.startswith("NIO") or module in FOUNDATION):
                        complaints.append(f"{place}: the data plane imports neither Foundation nor NIO ({module})")
                    continue
                complaints.append(f"{place}: {target.name} may not import {module}")
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
