package import MeshCore

/// Everything `apus run` was asked for, checked.
package struct RunOptions: Sendable {
  package var service: String
  package var namespace: String
  package var serviceAccount: String
  /// The program's ports; the first one tells readiness. Empty: a client that serves nothing.
  package var ports: [UInt16]
  package var labels: [String: String] = [:]
  /// Where the program listens, `workload` for the workload's own address.
  package var appAddress = "127.0.0.1"
  package var upstreams: [UpstreamFlag] = []
  package var listeners: [ListenFlag] = []
  package var workers: Int?
  /// Asked for names outside the mesh; empty for those of the machine.
  package var dnsServers: [String] = []
  /// `off`, `sampled`, `sampled=RATE` or `all`.
  package var accessLog = "off"
  package var readyTimeout: TimeSpan = .seconds(30)
  package var drainDelay: TimeSpan = .seconds(1)
  package var drainTimeout: TimeSpan = .seconds(30)
  /// Set to join over TLS instead of registering over the control socket.
  package var joinFile: JoinFile?
  package var program: [String]

  package init(service: String, namespace: String, serviceAccount: String, ports: [UInt16], program: [String]) {
    self.service = service
    self.namespace = namespace
    self.serviceAccount = serviceAccount
    self.ports = ports
    self.program = program
  }

  package static func isAccessLog(_ text: String) -> Bool {
    if ["off", "sampled", "all"].contains(text) { return true }
    guard text.hasPrefix("sampled="), let rate = Double(text.dropFirst("sampled=".count)) else { return false }
    return rate > 0 && rate <= 1
  }

  /// The value of `--app-address` that stands for the workload's own address.
  package static let ownAddress = "workload"
}

/// What the controller granted: who the workload is and how its proxy gets in.
package struct Grant: Hashable, Sendable {
  package var workload: String
  package var address: String
  package var token: String
  package var controller: String
  package var trustAnchors: String
  package var identity: String

  package init(
    workload: String, address: String, token: String, controller: String, trustAnchors: String, identity: String
  ) {
    self.workload = workload
    self.address = address
    self.token = token
    self.controller = controller
    self.trustAnchors = trustAnchors
    self.identity = identity
  }

  /// Whether a proxy started for `self` goes on working under `other`. New anchors reach it by the discovery stream.
  package func keepsProxy(of other: Grant) -> Bool {
    workload == other.workload && address == other.address && token == other.token
      && controller == other.controller && identity == other.identity
  }
}
