"""A mistake in a manifest is told with its place and its fix, and changes nothing that runs."""

import json
import subprocess

from support import http, manifests
from support.mesh import BINARIES
from support.waiting import until

BROKEN = manifests.http_route("orders", """
    - matches:
        - path: { type: PathPrefix, value: orders }
      backendRefs: [{ name: orders, port: 80 }]
    """)


def route(value):
    return manifests.http_route("orders", f"""
        - filters:
            - type: ResponseHeaderModifier
              responseHeaderModifier: {{ set: [{{ name: x-route, value: {value} }}] }}
          backendRefs: [{{ name: orders, port: 80 }}]
        """)


def test_the_old_configuration_serves_on_while_a_manifest_is_broken(mesh):
    mesh.up(manifests.service("orders"))
    mesh.write("route.yaml", route("one"))
    mesh.serve("orders")
    _, port = mesh.client("orders.shop:80")

    def value():
        return http.get("127.0.0.1", port).headers.get("x-route")

    until(lambda: value() == "one", "the route in force")
    mesh.write("route.yaml", BROKEN)
    errors = until(lambda: mesh.json("status")["manifestErrors"], "the error in apus status")
    assert len(errors) == 1
    line = BROKEN.splitlines().index(next(text for text in BROKEN.splitlines() if "PathPrefix" in text)) + 1
    assert errors[0]["file"].endswith("route.yaml") and errors[0]["line"] == line and errors[0]["column"] > 1
    assert errors[0]["object"] == "HTTPRoute shop/orders" and "path" in errors[0]["field"] and errors[0]["fix"]
    check = mesh.apus("check", check=False)
    assert check.returncode != 0 and f"route.yaml:{line}:" in check.stdout + check.stderr
    assert value() == "one"

    mesh.write("route.yaml", route("two"))
    until(lambda: value() == "two", "the mended route in force")
    assert mesh.json("status")["manifestErrors"] == []
    assert mesh.apus("check").returncode == 0


def test_a_broken_document_leaves_the_others_of_its_file_in_force(mesh):
    mesh.up(manifests.service("orders"))
    mesh.serve("orders")
    mesh.write("mesh.yaml", manifests.service("orders"), BROKEN, manifests.service("late"))
    until(lambda: any(s["name"] == "late" for s in mesh.json("status")["services"]), "the other document in force")
    assert len(mesh.json("status")["manifestErrors"]) == 1


def test_files_come_change_move_and_go(mesh):
    mesh.up(manifests.service("orders"))

    def services():
        return {service["name"] for service in mesh.json("status")["services"]}

    mesh.write("more.yaml", manifests.service("more"))
    until(lambda: "more" in services(), "created")
    (mesh.manifests / "more.yaml").rename(mesh.manifests / "moved.yaml")
    mesh.write("moved.yaml", manifests.service("moved"))
    until(lambda: services() >= {"moved"} and "more" not in services(), "changed under another name")
    (mesh.manifests / "moved.yaml").unlink()
    until(lambda: "moved" not in services(), "deleted")
    # Editors' temporary files mean nothing.
    for name in (".swap.yaml.swp", "draft.yaml~", "#draft.yaml#", "notes.txt"):
        (mesh.manifests / name).write_text("kind: Nonsense\n")
    mesh.write("last.yaml", manifests.service("last"))
    until(lambda: "last" in services(), "a later file in force")
    assert mesh.json("status")["manifestErrors"] == []


def test_validate_needs_no_controller(mesh):
    good, bad = mesh.directory / "good.yaml", mesh.directory / "bad.yaml"
    good.write_text(manifests.service("orders"))
    bad.write_text(BROKEN)
    assert mesh.apus("validate", "-f", good).returncode == 0
    refused = mesh.apus("validate", "-f", bad, check=False)
    assert refused.returncode == 1 and "bad.yaml:" in refused.stdout
    # The same as arguments and as standard input.
    assert mesh.apus("validate", good).returncode == 0
    assert mesh.apus("validate", good, bad, check=False).returncode == 1
    assert mesh.apus("validate", mesh.directory / "none.yaml", check=False).returncode == 1
    assert mesh.apus("validate", check=False).returncode == 64


def test_validate_reads_standard_input_and_is_as_strict_as_it_is_told_to_be(mesh):
    def validate(text, *flags):
        done = subprocess.run([str(BINARIES / "apus"), "validate", "-", *flags], input=text, capture_output=True, text=True,
                              timeout=30, env=mesh.environment)
        return done.returncode, done.stdout

    assert validate(manifests.service("orders")) == (0, "1 object in 1 file: no errors\n")
    code, said = validate(BROKEN)
    assert code == 1 and said.startswith("<stdin>:") and "error APUS0001: HTTPRoute shop/orders: spec.rules[0]" in said
    # A route whose service stands elsewhere is worth a warning.
    code, said = validate(route("one"))
    assert code == 0 and "warning APUS0101: HTTPRoute shop/orders: spec.parentRefs[0]: there is no Service shop/orders" in said
    code, said = validate(route("one"), "--strict", "-o", "json")
    report = json.loads(said)
    assert code == 1 and (report["files"], report["objects"]) == (1, 1)
    assert {"APUS0101", "APUS0105", "APUS0201"} == {problem["code"] for problem in report["problems"]}
