"""The tours of README and guide work by copy and paste, in order, in one shell."""

import os
import re
import signal
import subprocess

from support.mesh import ROOT

TOUR = re.compile(r"<!-- tour -->\n```sh\n(.*?)```", re.S)


def follow(mesh, page):
    """What the tour of a page prints. It must end with 0, as each of its commands must."""
    steps = TOUR.findall((ROOT / page).read_text())
    assert len(steps) >= 6
    # The binaries are built already, and maybe elsewhere.
    script = "\n".join(steps).replace("make build\n", "").replace("$PWD/.build/release:", "")
    tour = subprocess.Popen(["bash", "-euo", "pipefail", "-c", script], env=mesh.environment, cwd=ROOT, start_new_session=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        output, _ = tour.communicate(timeout=100)
    finally:
        try:
            os.killpg(tour.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        subprocess.run(["rm", "-rf", "/tmp/tour"], check=False)
    assert tour.returncode == 0, output
    return output


def counts(output):
    """Of each `sort | uniq -c` in the output, what it counted."""
    found = []
    for number, word in re.findall(r"^ +(\d+) (one|two)$", output, re.M):
        if not found or word in found[-1]:
            found.append({})
        found[-1][word] = int(number)
    return found


def test_the_tour_of_the_readme_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "README.md")
    split, shifted = counts(output)
    assert sum(split.values()) == 200 and 5 <= split["two"] <= 40, output
    assert shifted == {"two": 50}, output
    assert re.search(r"orders\.yaml:\d+:\d+: .*TrafficSplit shop/orders", output), output


def test_the_tour_of_the_guide_to_routes_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/routes.md")
    split, without, session = counts(output)
    assert sum(split.values()) == 200 and 5 <= split["two"] <= 40, output
    assert without == {"one": 50} and session == {"one": 50}, output
    assert "\ntwo\ntwo\n301 http://orders.shop/api/list\n" in output, output
    assert "x-served-by: mesh" in output and "\nlist of one\n1\n" in output, output
    for condition in ("Accepted", "ResolvedRefs"):
        assert condition in output, output
    assert "orders-v3" in output, output


def test_the_tour_of_troubleshooting_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/troubleshooting.md")
    before, while_running = output.split("exit code 1\n")
    for code, severity in (("APUS0201", "warning"), ("APUS0301", "warning"), ("APUS0304", "warning")):
        assert re.search(rf"orders\.yaml:\d+:\d+: {severity} {code}: HTTPRoute shop/orders: ", before), output
    for code in ("APUS0201", "APUS0401"):
        assert re.search(rf"orders\.yaml:\d+:\d+: error {code}: ", while_running), output
    assert "orders-v1.shop:80 has no endpoint" in output and "\n503\n" in output, output
    assert re.search(r"^rule +httproute/shop/orders#list +\(.*orders\.yaml:\d+\)$", output, re.M), output
    assert "✔ delivered\n" in output and "✘ 10 % of such requests fail: the backend orders-v2.shop:80" in output, output
    assert output.rstrip().splitlines()[-1] == "mended" or "\nmended\n" in output, output


def test_the_tour_of_the_guide_to_policies_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/policies.md")
    turns, after = counts(output)
    assert turns == {"one": 25, "two": 25}, output
    # The default algorithm goes by latency: of two programs that answer one at a time, one may get everything.
    assert sum(after.values()) == 200 and after.keys() <= {"one", "two"}, output
    assert re.search(r"^1$", output, re.M), output
    assert re.search(r"^everyone +apus-system +Mesh/default +True +True ", output, re.M), output
    assert "goes before in timeouts.request" in output, output
    assert re.search(r'orders\.yaml:\d+:\d+: error APUS0001: TrafficPolicy shop/orders: .*did you mean ringHash',
                     output), output


def test_the_tour_of_the_guide_to_chaos_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/chaos.md")
    assert re.search(r"fault +100 %  answered 503  by shop/orders", output), output
    statuses = dict(reversed(pair) for pair in re.findall(r"^ +(\d+) (200|503)$", output, re.M))
    assert set(statuses) == {"200", "503"} and 25 <= int(statuses["503"]) <= 75, output
    assert 'fault_injection="shop/orders",fault="abort"' in output and "\nno failures\n" in output, output
    assert re.search(r"^orders +shop +orders\.shop +True +True +False \(Stopped\) ", output, re.M), output
    assert float(re.search(r"^after the stop: ([\d.]+)$", output, re.M).group(1)) < 0.5, output
    assert "\nfaults: as the manifests say\n" in output, output
    assert re.search(r"chaos\.yaml:\d+:\d+: FaultInjection shop/orders: spec\.delay\.percentiles\.p99: is shorter than",
                     output), output


def test_the_tour_of_the_guide_to_locking_down_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/lock-down.md")
    assert 'matched="false"\nmatched="true"\none\nforbidden: no authorization policy' in output, output
    assert re.search(r"^callers-of-orders +shop +Service/orders +True +True ", output,
                     re.M) or "callers-of-orders" in output, output
    assert "denied, as no allow policy matches: not shop/callers-of-orders rule 1 (by from)" in output, output
    assert "denied GET / to port 9001 of spiffe://cluster.local/ns/guest/sa/visitor" in output, output
    statuses = dict(re.findall(r"^(/\S+) (\d+)$", output, re.M))
    assert statuses == {"//admin/": "403", "/x/../admin/": "403", "/%61dmin/": "403", "/admin;x/": "400", "/%2e/admin/": "403",
                        "/admin%2f": "400"}, output
    assert "denied by defaultMode: deny of shop/closed" in output, output
    assert "spec.rules[0].from[0].namespaces: must not be empty" in output and "has a wildcard" in output, output
    assert "every call to the namespace shop is refused" in output, output
    assert "the AuthorizationPolicy shop/mistake has a mistake and no version before it" in output, output


def test_the_tour_of_the_guide_to_access_with_smi_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/smi-access.md")
    statuses = dict(re.findall(r"^(808\d/\S+) (\d+)$", output, re.M))
    assert statuses == {"8081/api/": "200", "8081/metrics/": "403", "8082/api/": "403", "8082/metrics/": "200",
                        "8083/metrics/": "403"}, output
    assert re.search(r"^ +allow +shop/website +\S.*/api.* traffictarget/shop/orders-api$", output, re.M), output
    assert "everybody else is refused" in output and "has no match metric" in output, output


def test_the_tour_of_the_guide_to_servers_outside_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/external.md")
    assert "the DNS has no address for the host" in output, output
    assert "TLS to 127.77.0.9:8443 failed: unknown_authority" in output and "\nhello from outside\n" in output, output
    assert re.search(r"^api +shop +ExternalService/api +True +True ", output, re.M), output
    assert "expected www.example.com, the certificate is for api.example.com" in output, output
    assert "has no key ca.crt" in output, output
    assert re.search(r"^api\.shop:80 +127\.77\.0\.9:8443 .* TLS api\.example\.com\b", output, re.M), output
    assert "policy timeouts.request 5s" in output or "TrafficPolicy shop/api" in output, output
    assert "✔ delivered" in output, output


def test_the_tour_of_the_guide_to_tokens_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/jwt.md")
    assert re.search(r'^www-authenticate: Bearer realm="orders\.shop"', output, re.M | re.I), output
    assert '["x-user", "ada"]' in output, output
    for reason in ("the token has expired", "the token is for another audience", "the token's algorithm is not accepted",
                   "the token's signature is not valid"):
        assert f"\n{reason}\n" in output, output
    assert 'result="audience"\n' in output and 'result="expired"\n' in output, output
    assert "a token of https://login.example.com is required" in output, output


def test_the_tour_of_the_guide_to_rollouts_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/rollouts.md")
    by_hand, blue_green, at_last = counts(output)
    assert sum(by_hand.values()) == 100 and 1 <= by_hand["two"] <= 30, output
    assert blue_green == at_last == {"two": 20}, output
    assert "GET /shadow" in output and "step 2 of 2" in output, output
    assert "weights by the rollout shop/orders (Paused, 50 % to orders-v2)" in output, output
    assert "shop/orders: Promoted: every request goes to orders-v2" in output, output
    assert "exit code 1\n" in output, output
    assert "shop/orders: RolledBack: every request goes to orders-v2 again: success rate 0 %" in output, output


def test_the_tour_of_the_guide_to_rotating_the_root_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/rotate-root.md")
    assert "✔ root certificate is valid for 60 days" in output and "✔ issuer certificate is valid for 60 days" in output, output
    assert "rotation  of the issuer: reissue" in output and "rotation  of the root: trust" in output, output
    assert "trust the roots of now  2/2" in output and "\nrefused, exit code 1\n" in output, output
    assert output.count("\nrotation  none\n") >= 3, output
    answers = dict(reversed(pair) for pair in re.findall(r"^ +(\d+) (\d{3})$", output, re.M))
    assert set(answers) == {"200"}, output
    assert re.search(r"^[0-9a-f]{32} +spiffe://cluster\.local/ns/shop/sa/", output, re.M), output


def test_the_tour_of_the_guide_to_a_ca_of_ones_own_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/bring-your-own-ca.md")
    assert output.count("\none\n") >= 3, output
    assert "source    imported; the root's key is not here" in output and "CN=Company root" in output, output
    assert "CN=Mesh issuer 2" in output, output
    assert output.count("\nrefused\n") == 2 and "the key is not the key of the chain's first certificate" in output, output
    assert "the root's key is not in the state directory" in output and "revoked   1 lists" in output, output


def test_the_tour_of_the_guide_to_joining_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/join.md")
    assert re.search(r"^\w{8}  active  shop/web +web +- +0/1  in ", output, re.M), output
    assert re.search(r"^\w{8}  spent +shop/web +web +- +1/1  in .*  web-\w{5}$", output, re.M), output
    assert "registration refused: join token" in output, output
    assert 'workload_join_refusals_total{reason="replayed"} 1' in output and "join refused" in output, output
    assert "is revoked; 1 workloads ended" in output, output


def test_the_tour_of_the_guide_to_strict_mode_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/strict-mode.md")
    assert re.search(r"‼ plaintext caller 127\.0\.0\.1 ?.*: \d+ requests? to port 9001 since .* \(permissive\)", output), output
    assert "‼ strict is safe: not yet: plaintext comes to orders-" in output, output
    assert re.search(r"^default +shop +Namespace/shop +True +True ", output, re.M), output
    assert "plaintext refused: MeshTLS is strict here" in output and "\none\n" in output, output
    assert re.search(r"plaintext from 127\.0\.0\.1:\d+ to port 9001 refused", output), output
    assert 'inbound_plaintext_requests_total{decision="refused"}' in output, output
    assert "meshTLS.mode: strict" in output, output
    told = re.findall(r"^By=.*URI=(\S+)$", output, re.M)
    assert told == ["spiffe://cluster.local/ns/shop/sa/client"] and "admin" not in output, output
    assert "did you mean strict?" in output and "exit code 1\n403\n" in output, output


def test_the_tour_of_the_guide_to_egress_can_be_followed_by_copy_and_paste(mesh):
    output = follow(mesh, "docs/guide/egress.md")
    assert 'host="127.77.0.8:8088",decision="allowed",reason="ALLOW_ANY"' in output, output
    assert "may leave the mesh for www.example.com:80: ALLOW_ANY" in output, output
    assert re.search(r"^default +apus-system +Mesh/default +True +True ", output, re.M), output
    assert "egress refused: the MeshConfig" in output and "refused by REGISTRY_ONLY" in output, output
    assert "for 127.77.0.8:8088: egress.allow[0]" in output and "nothing declares the host" in output, output
    assert 'decision="refused",reason="egress.deny[0]"' in output, output
    assert "did you mean REGISTRY_ONLY?" in output and output.count("exit code 1\n") == 2, output
