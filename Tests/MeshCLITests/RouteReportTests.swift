import MeshAPI
import SwiftProtobuf
import Testing

@testable import MeshCLI

@Suite struct RouteReportTests {
  private func condition(_ type: String, _ status: Bool, _ reason: String, _ message: String = "m") -> Apus_V1_Condition
  {
    .with {
      $0.type = type
      $0.status = status
      $0.reason = reason
      $0.message = message
      $0.sinceMs = 1_769_860_800_000
    }
  }

  private func route(_ name: String, _ parents: [[Apus_V1_Condition]]) -> Apus_V1_RouteStatus {
    .with {
      $0.apiVersion = "gateway.networking.k8s.io/v1"
      $0.kind = "HTTPRoute"
      $0.namespace = "shop"
      $0.name = name
      $0.file = "mesh/\(name).yaml"
      $0.line = 3
      $0.parents = parents.enumerated().map { index, conditions in
        .with {
          $0.kind = "Service"
          $0.namespace = "shop"
          $0.name = "orders"
          $0.port = index == 0 ? 80 : 0
          $0.sectionName = index == 0 ? "" : "http"
          $0.conditions = conditions
        }
      }
    }
  }

  private func report(_ routes: [Apus_V1_RouteStatus]) -> RouteReport {
    RouteReport(
      .with {
        $0.controllerName = "mesh.apus.dev/controller"
        $0.routes = routes
      })
  }

  @Test("the table sums up the parents, and the texts below say what is wrong, each once")
  func table() {
    let accepted = condition("Accepted", true, "Accepted")
    let missing = condition("ResolvedRefs", false, "BackendNotFound", "there is no Service shop/x; create it")
    let routes = [
      route("good", [[accepted, condition("ResolvedRefs", true, "ResolvedRefs")]]),
      route(
        "half", [[accepted, missing], [condition("Accepted", false, "NoMatchingParent", "no port http"), missing]]),
      route("old", [[accepted, condition("PartiallyInvalid", true, "UnsupportedValue", "Fall Back: x")]]),
    ]
    #expect(
      report(routes).table() == """
        NAME  NAMESPACE  PARENTS                          ACCEPTED                RESOLVED-REFS            FILE
        good  shop       orders.shop:80                   True                    True                     mesh/good.yaml:3
        half  shop       orders.shop:80,orders.shop:http  1/2 (NoMatchingParent)  False (BackendNotFound)  mesh/half.yaml:3
        old   shop       orders.shop:80                   True                    -                        mesh/old.yaml:3

        shop/half: BackendNotFound: there is no Service shop/x; create it
        shop/half: NoMatchingParent: no port http
        shop/old: UnsupportedValue: Fall Back: x

        """)
    #expect(report([]).table() == "no routes\n")
  }

  @Test("YAML has the status as a cluster writes it")
  func yaml() {
    var one = route("orders", [[condition("Accepted", true, "Accepted", "attached: \"80\"")]])
    one.generation = 2
    #expect(
      YAMLText.of(report([one]).document(ofOne: true)) == """
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata:
          name: orders
          namespace: shop
          annotations:
            apus.dev/source: "mesh/orders.yaml:3"
          generation: 2
        status:
          parents:
          - parentRef:
              group: ""
              kind: Service
              namespace: shop
              name: orders
              port: 80
            controllerName: mesh.apus.dev/controller
            conditions:
            - type: Accepted
              status: "True"
              reason: Accepted
              message: "attached: \\"80\\""
              lastTransitionTime: "2026-01-31T12:00:00Z"
              observedGeneration: 2

        """)
  }

  @Test("a policy has targets, and its status ancestors; what it lost to others is told")
  func policies() {
    var policy = route(
      "p",
      [
        [
          condition("Accepted", true, "Accepted"), condition("ResolvedRefs", true, "ResolvedRefs"),
          condition("Conflicted", true, "Conflicted", "the TrafficPolicy shop/a goes before in limits.connections"),
        ]
      ])
    policy.apiVersion = "mesh.apus.dev/v1alpha1"
    policy.kind = "TrafficPolicy"
    policy.isPolicy = true
    policy.parents.append(
      .with {
        $0.kind = "HTTPRoute"
        $0.group = "gateway.networking.k8s.io"
        $0.namespace = "shop"
        $0.name = "r"
        $0.sectionName = "first"
      })
    policy.parents.append(
      .with {
        $0.kind = "Mesh"
        $0.group = "mesh.apus.dev"
        $0.name = "default"
      })
    #expect(
      report([policy]).table() == """
        NAME  NAMESPACE  TARGETS                                        ACCEPTED  RESOLVED-REFS  FILE
        p     shop       orders.shop:80,HTTPRoute/r#first,Mesh/default  True      True           mesh/p.yaml:3

        shop/p: Conflicted: the TrafficPolicy shop/a goes before in limits.connections

        """)
    let text = YAMLText.of(report([policy]).document(ofOne: true))
    #expect(
      text.contains(
        """
        status:
          ancestors:
          - ancestorRef:
              group: ""
              kind: Service
              namespace: shop
              name: orders
        """))
    #expect(text.contains("group: mesh.apus.dev\n      kind: Mesh\n      name: default\n"))
    #expect(report([]).table(of: "policies") == "no policies\n")
  }

  @Test("several routes are a list, in JSON as in YAML")
  func list() throws {
    let document = report([route("a", [])]).document(ofOne: false)
    #expect(
      YAMLText.of(document) == """
        apiVersion: v1
        kind: List
        items:
        - apiVersion: gateway.networking.k8s.io/v1
          kind: HTTPRoute
          metadata:
            name: a
            namespace: shop
            annotations:
              apus.dev/source: "mesh/a.yaml:3"
          status:
            parents: []

        """)
    #expect(try JSONText.of(document).contains("\"parents\" : ["))
  }

  @Test(
    "a text that YAML would read as something else stands in quotes",
    arguments: [
      ("orders-v1", "orders-v1"), ("True", "\"True\""), ("no", "\"no\""), ("80", "\"80\""), ("", "\"\""),
      ("a: b", "\"a: b\""), ("a\nb\u{1B}", "\"a\\nb\\x1b\""), ("-a", "\"-a\""), ("\\", "\"\\\\\""),
    ])
  func scalars(text: String, yaml: String) {
    #expect(YAMLText.of(.text(text)) == yaml + "\n")
  }

  @Test(
    "kinds are named in lower case, in the singular or plural", arguments: ["httproute", "HTTPRoutes", "HTTPRoute"])
  func kinds(argument: String) {
    #expect(GetCommand.Kind(argument: argument) == .httproute)
    #expect(GetCommand.Kind(argument: "TrafficPolicies") == .trafficpolicy)
    #expect(GetCommand.Kind(argument: "service") == nil)
  }
}
