"""Manifests as text."""

import textwrap


def text(value):
    return textwrap.dedent(value).lstrip("\n")


def service(name, target_port=8080, namespace="shop", port=80, app_protocol="http"):
    return text(f"""
        apiVersion: v1
        kind: Service
        metadata:
          name: {name}
          namespace: {namespace}
        spec:
          selector:
            app: {name}
          ports:
            - name: main
              port: {port}
              targetPort: {target_port}
              appProtocol: {app_protocol}
        """)


def traffic_split(service, backends, namespace="shop", version="v1alpha4"):
    lines = "".join(f"    - service: {name}\n      weight: {weight}\n" for name, weight in backends.items())
    return text(f"""
        apiVersion: split.smi-spec.io/{version}
        kind: TrafficSplit
        metadata:
          name: {service}
          namespace: {namespace}
        spec:
          service: {service}
          backends:
        """) + lines


def http_route(service, rules, namespace="shop"):
    """`rules` is the YAML list under `rules:`, unindented."""
    return text(f"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata:
          name: {service}
          namespace: {namespace}
        spec:
          parentRefs:
            - group: ""
              kind: Service
              name: {service}
              port: 80
          rules:
        """) + textwrap.indent(text(rules), "    ")


def workload(name, address, service_account, namespace="shop", port=8080):
    """A workload that was not started by `apus run`: where it is and the identity that it must prove."""
    return text(f"""
        apiVersion: mesh.apus.dev/v1alpha1
        kind: Workload
        metadata:
          name: {name}
          namespace: {namespace}
          labels:
            app: {name}
        spec:
          address: {address}
          serviceAccount: {service_account}
          ports:
            - name: main
              port: {port}
        """)
