"""What a token costs that was verified before."""

import json
import os
import subprocess
import time

from harness import generators
from harness.accounting import Meter, descendants
from harness.context import LOAD_CORE
from harness.rounds import order
from peers import topology
from peers.apus import is_proxy, wait_for_file
from workloads.base import Metric, Workload
from workloads.mesh import Mesh

CONNECTIONS = 32
ISSUER = "https://issuer.example"


class Tokens(Workload):
    """Two workloads with the same program behind their proxies, loaded in turn by their plaintext ports with the same
    requests, RS256 token included; one of them has a RequestAuthentication that requires it. Only these two proxies
    are counted."""

    letter, name = "t", "tokens"
    title = "Tokens: requests with one to a port that verifies it and to one that does not"
    topology = topology.ROUTES
    metrics = (
        Metric("added_us", "CPU us/request added", 2), Metric("cpu_us_open", "CPU us/request, not looked at", 2),
        Metric("cpu_us_guarded", "CPU us/request, verified", 2),
    )
    has_floor = False
    compares_peers = False

    def open(self, kind, lab):
        return TokenMesh.open(kind(self.topology, lab.context, lab.backends))

    def sample(self, subject, lab, seconds):
        costs, last = {}, {}
        subject.rounds += 1
        for name in order(list(subject.doors), subject.rounds):
            with Meter(subject, lab.backends, seconds / len(subject.doors)) as meter:
                load = generators.wrk(f"http://{subject.doors[name]}:15006/", CONNECTIONS, meter.seconds, script=subject.script)
            costs[name] = meter.cpu * 1e6 / load["requests"]
            last = {**meter.common(load["load_cpu_seconds"]), "load_cpu_seconds": load["load_cpu_seconds"]}
        return {**last, **{f"cpu_us_{name}": cost for name, cost in costs.items()},
                "added_us": costs["guarded"] - costs["open"]}


class TokenMesh(Mesh):
    def __init__(self, peer):
        super().__init__(peer)
        self.doors, self.script, self.workloads = {}, None, []

    def documents(self):
        key = self.context.work / f"{self.peer.id}-key.pem"
        self.token, jwks = make_token(key)
        return {"mesh.yaml": "".join(service(name) for name in ("open", "guarded")) + f"""---
apiVersion: mesh.apus.dev/v1alpha1
kind: RequestAuthentication
metadata: {{ name: guarded, namespace: bench }}
spec:
  targetRefs: [{{ group: "", kind: Service, name: guarded }}]
  required: true
  jwtRules: [{{ issuer: "{ISSUER}", audiences: [bench], jwks: '{jwks}',
               outputClaimToHeaders: [{{ header: x-user, claim: sub }}] }}]
"""}

    def start(self):
        self.manifests.mkdir()
        for name, text in self.documents().items():
            self.write(name, text)
        state = self.context.work / f"{self.peer.id}-state"
        environment = {**os.environ, "APUS_STATE_DIR": str(state)}
        apus, spawn = self.peer.program(self.context), self.peer.processes.spawn
        spawn(LOAD_CORE, [apus, "up", "-f", str(self.manifests)], env=environment)
        wait_for_file(state / "control.sock")
        for name in ("open", "guarded"):
            told = self.context.work / f"{self.peer.id}-{name}"
            command = f'echo "$http_proxy" > {told}.new; mv {told}.new {told}; exec sleep infinity'
            self.workloads.append(spawn(self.peer.core, [
                apus, "run", "--namespace", "bench", "--workers", "1", "--service", name, "--port", str(self.peer.backend_port),
                "--", "sh", "-c", command], env=environment))
            wait_for_file(told)
            self.doors[name] = told.read_text().strip().removeprefix("http://").split(":")[0]
        self.script = self.context.work / f"{self.peer.id}-token.lua"
        self.script.write_text(f'wrk.headers["Authorization"] = "Bearer {self.token}"\n')

    def pids(self):
        return [pid for workload in self.workloads for pid in descendants(workload.pid) if is_proxy(pid)]


def make_token(path):
    """A token of RS256 and the key set for it, by OpenSSL's command."""
    def openssl(*arguments, data=None):
        return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout

    def url64(data):
        return openssl("base64", "-A", data=data).decode().translate({43: "-", 47: "_", 61: None})

    path.write_bytes(openssl("genrsa", "2048"))
    modulus = bytes.fromhex(openssl("rsa", "-in", path, "-noout", "-modulus").decode().strip().removeprefix("Modulus="))
    claims = {"iss": ISSUER, "aud": "bench", "sub": "ada", "exp": int(time.time()) + 86_400, "scope": "read write",
              "email": "ada@example.com", "name": "Ada Lovelace", "roles": ["reader", "writer"]}
    text = ".".join(url64(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "bench", "typ": "JWT"}, claims))
    signature = url64(openssl("dgst", "-sha256", "-sign", path, data=text.encode()))
    return f"{text}.{signature}", json.dumps(
        {"keys": [{"kty": "RSA", "kid": "bench", "use": "sig", "n": url64(modulus), "e": "AQAB"}]})


def service(name):
    return f"""---
apiVersion: v1
kind: Service
metadata: {{ name: {name}, namespace: bench }}
spec:
  selector: {{ app: {name} }}
  ports: [{{ name: bench, port: 80, targetPort: @BACKEND_PORT@, appProtocol: http }}]
"""
