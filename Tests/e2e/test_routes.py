"""Gateway API routes: whose requests they take, and what `apus get` says of them."""

from support import http, manifests
from support.waiting import until


def route(name, namespace, backend="orders", parent="orders"):
    """A route for requests to `parent` in the namespace shop; answers carry its own path in x-route."""
    return manifests.text(f"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata:
          name: {name}
          namespace: {namespace}
        spec:
          parentRefs:
            - group: ""
              kind: Service
              namespace: shop
              name: {parent}
          rules:
            - filters:
                - type: ResponseHeaderModifier
                  responseHeaderModifier:
                    set:
                      - name: x-route
                        value: {namespace}/{name}
              backendRefs:
                - name: {backend}
                  namespace: shop
                  port: 80
        """)


def test_a_consumer_route_serves_the_clients_of_its_namespace_only(mesh):
    mesh.up(manifests.service("orders"), route("producer", "shop"))
    mesh.serve("orders")
    _, shop = mesh.client("orders.shop:80")
    _, web = mesh.client("orders.shop:80", namespace="web")

    def routes():
        return [http.get("127.0.0.1", port).headers.get("x-route") for port in (shop, web)]

    until(lambda: routes() == ["shop/producer"] * 2, "the producer's route for everyone")
    mesh.write("consumer.yaml", route("consumer", "web"))
    until(lambda: routes() == ["shop/producer", "web/consumer"], "the consumer's route for its namespace")
    (mesh.manifests / "consumer.yaml").unlink()
    until(lambda: routes() == ["shop/producer"] * 2, "the producer's route for everyone again")


def test_get_shows_the_status_of_routes(mesh):
    mesh.up(manifests.service("orders"), route("good", "shop"), route("lost", "shop", backend="ordres"),
            route("astray", "web", parent="order"))

    def conditions(name):
        parents = mesh.json("get", "httproute", name)["status"]["parents"]
        return [(c["type"], c["status"], c["reason"]) for parent in parents for c in parent["conditions"]]

    assert conditions("good") == [("Accepted", "True", "Accepted"), ("ResolvedRefs", "True", "ResolvedRefs")]
    assert conditions("lost") == [("Accepted", "True", "Accepted"), ("ResolvedRefs", "False", "BackendNotFound")]
    assert conditions("astray")[0] == ("Accepted", "False", "NoMatchingParent")
    assert len(mesh.json("get", "httproutes")["items"]) == 3
    assert len(mesh.json("get", "httproute", "-n", "web")["items"]) == 1

    table = mesh.apus("get", "httproute").stdout
    assert "shop/lost: BackendNotFound: spec.rules[0].backendRefs[0]: there is no Service shop/ordres" in table
    assert "did you mean orders?" in table
    assert "status: \"False\"\n" in mesh.apus("get", "httproute", "lost", "-o", "yaml").stdout
    assert "there is no Service shop/ordres" in mesh.apus("status").stdout
    missing = mesh.apus("get", "grpcroute", "none", check=False)
    assert missing.returncode != 0 and "there is no GRPCRoute none" in missing.stderr

    mesh.write("mesh.yaml", manifests.service("orders"), route("good", "shop").replace("port: 80", "port: eighty"))
    until(lambda: ("PartiallyInvalid", "True", "UnsupportedValue") in conditions("good"), "the refused change in status")
