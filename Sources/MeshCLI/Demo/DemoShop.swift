/// The shop of `apus demo`: its services, its manifests and its command lines. Pure.
///
///     customers -> web -> orders (v1 90 %, v2 10 %) -> payments
///                      -> catalog
package enum DemoShop {
  package static let namespace = "shop"
  package static let port = 8080

  /// Weights of orders-v1 and orders-v2.
  package struct Split: Hashable, Sendable, CustomStringConvertible {
    package var v1: Int
    package var v2: Int

    package init(v1: Int, v2: Int) {
      self.v1 = v1
      self.v2 = v2
    }

    /// Reads `50/50`; at least one weight is not zero.
    package init?(_ text: String) {
      let parts = text.split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count == 2, let v1 = Int(parts[0]), let v2 = Int(parts[1]), (0...1000).contains(v1),
        (0...1000).contains(v2), v1 + v2 > 0
      else { return nil }
      self.init(v1: v1, v2: v2)
    }

    package var description: String { "\(v1)/\(v2)" }
    package var shareOfV2: Double { Double(v2) / Double(v1 + v2) }

    package static let first = Split(v1: 90, v2: 10)

    /// The next step of the canary, round again after the last.
    package var next: Split {
      let steps = [Split.first, Split(v1: 50, v2: 50), Split(v1: 10, v2: 90), Split(v1: 0, v2: 100)]
      guard let index = steps.firstIndex(of: self) else { return steps[0] }
      return steps[(index + 1) % steps.count]
    }
  }

  package struct Member: Hashable, Sendable {
    /// The workload's service.
    package var service: String
    package var upstreams: [String] = []
    package var labels: [String] = []
    package var arguments: [String]
  }

  /// In the order of the call chain, last first, as a person would start them.
  package static let members: [Member] = [
    Member(service: "payments", arguments: ["payments"]),
    Member(service: "catalog", arguments: ["catalog"]),
    Member(
      service: "orders-v1", upstreams: ["payments"], labels: ["shop-part=orders", "version=v1"],
      arguments: ["orders", "--version", "v1", "--latency-ms", "4"]),
    Member(
      service: "orders-v2", upstreams: ["payments"], labels: ["shop-part=orders", "version=v2"],
      arguments: ["orders", "--version", "v2", "--latency-ms", "25", "--error-percent", "2"]),
    Member(service: "web", upstreams: ["orders", "catalog"], arguments: ["web"]),
  ]

  package static func customers(requestsPerSecond: Int) -> Member {
    Member(
      service: "customers",
      arguments: ["load", "--url", "http://web.\(namespace)/", "--rps", String(requestsPerSecond)])
  }

  /// `apus run` of one member; `apus` and `shop` are paths of the executables.
  package static func runArguments(_ member: Member, shop: String, state: String) -> [String] {
    var arguments = [
      "apus", "run", "--state-dir", state, "--service", member.service, "--namespace", namespace, "--port",
      String(port), "--app-address", RunOptions.ownAddress, "--workers", "1", "--drain-delay", "0.2",
      "--drain-timeout", "3",
    ]
    for upstream in member.upstreams { arguments += ["--upstream", upstream] }
    for label in member.labels { arguments += ["--label", label] }
    return arguments + ["--", shop] + member.arguments + ["--port", String(port)]
  }

  // MARK: - Manifests

  /// File names and contents; the split has a file of its own, so that shifting rewrites only that.
  package static func manifests(_ split: Split) -> [String: String] {
    let accounts = members.map(\.service) + ["customers"]
    let services =
      members.map { service($0.service, selector: "app: \($0.service)") }
      + [service("orders", selector: "shop-part: orders")]
    return [
      "accounts.yaml": accounts.map(account).joined(separator: "---\n"),
      "services.yaml": services.joined(separator: "---\n"),
      splitFile: trafficSplit(split),
    ]
  }

  package static let splitFile = "split.yaml"

  package static func trafficSplit(_ split: Split) -> String {
    """
    apiVersion: split.smi-spec.io/v1alpha4
    kind: TrafficSplit
    metadata:
      name: orders
      namespace: \(namespace)
    spec:
      service: orders
      backends:
        - service: orders-v1
          weight: \(split.v1)
        - service: orders-v2
          weight: \(split.v2)

    """
  }

  static func account(_ name: String) -> String {
    """
    apiVersion: v1
    kind: ServiceAccount
    metadata:
      name: \(name)
      namespace: \(namespace)

    """
  }

  static func service(_ name: String, selector: String) -> String {
    """
    apiVersion: v1
    kind: Service
    metadata:
      name: \(name)
      namespace: \(namespace)
    spec:
      selector:
        \(selector)
      ports:
        - name: http
          port: 80
          targetPort: \(port)
          appProtocol: http

    """
  }
}
