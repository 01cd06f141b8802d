/// What a demo shows, besides a mesh that works.
package enum DemoScenario: String, Hashable, Sendable, CaseIterable {
  /// A canary that is moved by hand.
  case split
  /// Faults on the way to payments, and how little of them customers see.
  case chaos
  /// A canary that moves by itself, and one that is rolled back.
  case canary

  package var summary: String {
    switch self {
    case .split: "orders 90/10 -> 50/50 -> 10/90 -> 0/100, by hand"
    case .chaos: "slow and broken answers of payments, on purpose; web repeats what failed"
    case .canary: "a good version of orders is promoted by itself, a bad one is rolled back"
    }
  }

  /// What this scenario writes beside, or in the place of, the manifests of the shop. Nil: not there.
  package var manifests: [String: String?] {
    switch self {
    case .split: [:]
    case .chaos: [DemoShop.chaosRouteFile: DemoShop.chaosRoute]
    case .canary: [DemoShop.splitFile: nil, DemoShop.candidatesFile: DemoShop.candidates]
    }
  }

  package var members: [DemoShop.Member] { self == .canary ? DemoShop.canaryMembers : DemoShop.members }
}

/// The experiment of the scenario `chaos`: of the calls from orders to payments a fifth is slow and some are answered 503 by
/// the proxy, so some of what web asks of orders fails; the route lets web's proxy repeat that.
extension DemoShop {
  package static let chaosRouteFile = "chaos-route.yaml"
  package static let chaosFile = "chaos.yaml"
  package static let brokenPercent = 10

  static let chaosRoute = """
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata:
      name: orders
      namespace: \(namespace)
    spec:
      parentRefs:
        - group: ""
          kind: Service
          name: orders
      rules:
        - backendRefs:
            - name: orders-v1
              port: 80
          retry:
            attempts: 5
            codes: [500, 502, 503]

    """

  /// `end` is in RFC 3339: proxies stop by themselves then, even if the demo could not tell them.
  package static func chaos(end: String) -> String {
    fault(
      "slow-payments", percent: 20, "delay:\n    percentiles:\n      p50: 40ms\n      p90: 120ms\n      p99: 400ms", end
    )
      + "---\n" + fault("broken-payments", percent: brokenPercent, "abort:\n    httpStatus: 503", end)
  }

  private static func fault(_ name: String, percent: Int, _ fault: String, _ end: String) -> String {
    """
    apiVersion: mesh.apus.dev/v1alpha1
    kind: FaultInjection
    metadata:
      name: \(name)
      namespace: \(namespace)
    spec:
      targetRefs:
        - group: ""
          kind: Service
          name: payments
      match:
        clients: [\(namespace)/orders-v1]
      percent: \(percent)
      \(fault)
      schedule:
        end: "\(end)"

    """
  }
}
