/// The proxy's and the program's command lines and environments, from the options and the grant. Pure.
package struct RunPlan: Sendable {
  package var options: RunOptions
  package var grant: Grant
  /// One listener per declared upstream, on the workload's address.
  package var upstreamPorts: [UInt16]

  package static let firstUpstreamPort: UInt16 = 20_001
  package static let proxyPort: UInt16 = 15_001
  package static let metricsPort: UInt16 = 15_020
  package static let adminPort: UInt16 = 15_000
  package static let meshPort: UInt16 = 15_008

  /// `isFree` tells whether a port of the workload's address can be bound.
  package init(options: RunOptions, grant: Grant, isFree: (UInt16) -> Bool) throws {
    self.options = options
    self.grant = grant
    upstreamPorts = []
    var taken = Set(options.listeners.filter { $0.host == nil || $0.host == grant.address }.map(\.port))
    if options.appAddress == RunOptions.ownAddress { taken.formUnion(options.ports) }
    var candidate = Self.firstUpstreamPort
    for upstream in options.upstreams {
      while taken.contains(candidate) || !isFree(candidate) {
        guard candidate < Self.firstUpstreamPort + 1000 else {
          throw CLIFailure(
            "no free port for the upstream \(upstream.service) on \(grant.address)",
            fix: "see what listens there: ss -ltnp src \(grant.address)")
        }
        candidate += 1
      }
      upstreamPorts.append(candidate)
      candidate += 1
    }
  }

  /// Where the program listens.
  package var appAddress: String {
    options.appAddress == RunOptions.ownAddress ? grant.address : options.appAddress
  }

  package func proxyArguments(trustAnchorsFile: String, adminTokenFile: String) -> [String] {
    var arguments = [
      "apus-proxy", "--workload", grant.workload, "--namespace", options.namespace, "--identity", grant.identity,
      "--address", grant.address, "--controller", grant.controller, "--trust-anchors", trustAnchorsFile,
      "--admin-token-file", adminTokenFile, "--app-address", appAddress,
      "--access-log", options.accessLog,
    ]
    for server in options.dnsServers { arguments += ["--dns-server", server] }
    if let workers = options.workers { arguments += ["--workers", String(workers)] }
    for (upstream, port) in zip(options.upstreams, upstreamPorts) {
      arguments += ["--listen", "\(grant.address):\(port)=\(upstream.service)"]
    }
    for listener in options.listeners {
      arguments += ["--listen", listener.argument(workloadAddress: grant.address)]
    }
    return arguments
  }

  package func proxyEnvironment(_ inherited: [String: String]) -> [String: String] {
    var environment = inherited
    environment["APUS_JOIN_TOKEN"] = grant.token
    return environment
  }

  package func programEnvironment(_ inherited: [String: String]) -> [String: String] {
    var environment = inherited
    environment["APUS_JOIN_TOKEN"] = nil
    let proxy = "http://\(grant.address):\(Self.proxyPort)"
    environment["http_proxy"] = proxy
    environment["HTTP_PROXY"] = proxy
    let direct = Self.merge(
      inherited["no_proxy"] ?? inherited["NO_PROXY"], adding: ["localhost", "127.0.0.1", grant.address])
    environment["no_proxy"] = direct
    environment["NO_PROXY"] = direct
    for (upstream, port) in zip(options.upstreams, upstreamPorts) {
      environment[upstream.variable] = "http://\(grant.address):\(port)"
    }
    environment["APUS_WORKLOAD"] = grant.workload
    environment["APUS_WORKLOAD_ADDRESS"] = grant.address
    environment["APUS_SERVICE"] = options.service
    environment["APUS_NAMESPACE"] = options.namespace
    return environment
  }

  /// The caller's exceptions stay; localhost and the workload's own listeners are never sent through the proxy.
  private static func merge(_ existing: String?, adding: [String]) -> String {
    var entries = (existing ?? "").split(separator: ",").map { $0.drop { $0 == " " } }.map(String.init)
    for entry in adding where !entries.contains(entry) { entries.append(entry) }
    return entries.joined(separator: ",")
  }
}
