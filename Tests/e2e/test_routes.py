"""Gateway API routes: whose requests they take."""

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
