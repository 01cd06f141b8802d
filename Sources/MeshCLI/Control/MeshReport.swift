package import MeshAPI

/// `apus status`: what the control plane knows, as JSON and as tables. Times are Unix seconds.
package struct MeshReport: Encodable, Sendable {
  package struct Workload: Encodable, Sendable {
    package var name: String
    package var namespace: String
    package var service: String
    package var address: String
    package var identity: String
    package var ports: [UInt32]
    package var labels: [String: String]
    package var processID: Int64
    package var ready: Bool
    package var connected: Bool
    package var proxyVersion: String
    package var sentVersion: UInt64
    package var ackedVersion: UInt64
    package var synced: Bool
    package var rejected: String?
    package var certificateNotAfter: Int64?
    package var lastAck: Double?
  }

  package struct Service: Encodable, Sendable {
    package var name: String
    package var namespace: String
    package var ports: [UInt32]
    package var endpoints: UInt32
    package var routes: [String]
  }

  package struct ManifestError: Encodable, Sendable {
    package var file: String
    package var line: UInt32
    package var column: UInt32
    package var object: String
    package var field: String
    package var message: String
    package var fix: String
    package var stale: Bool
    /// In force, but not all of it means what its author may think.
    package var warning: Bool
  }

  package var version: String
  package var trustDomain: String
  package var manifestDirectory: String
  package var uptimeSeconds: Int64
  package var configurationAgeSeconds: Int64
  package var rootNotAfter: Int64
  package var workloads: [Workload]
  package var services: [Service]
  package var manifestErrors: [ManifestError]

  /// `now` in Unix seconds.
  package init(_ status: Apus_V1_StatusResponse, now: Double) {
    func age(_ milliseconds: Int64) -> Int64 { max(0, Int64(now - Double(milliseconds) / 1000)) }
    version = status.version
    trustDomain = status.trustDomain
    manifestDirectory = status.manifestDirectory
    uptimeSeconds = age(status.startedMs)
    configurationAgeSeconds = age(status.configTimeMs)
    rootNotAfter = status.rootNotAfter
    workloads = status.workloads.map(Self.workload).sorted { ($0.namespace, $0.name) < ($1.namespace, $1.name) }
    services = status.services.map {
      Service(name: $0.name, namespace: $0.namespace, ports: $0.ports, endpoints: $0.endpoints, routes: $0.routes)
    }.sorted { ($0.namespace, $0.name) < ($1.namespace, $1.name) }
    manifestErrors = status.errors.map {
      ManifestError(
        file: $0.file, line: $0.line, column: $0.column, object: $0.object, field: $0.field, message: $0.message,
        fix: $0.fix, stale: $0.stale, warning: $0.warning)
    }
  }

  private static func workload(_ w: Apus_V1_WorkloadStatus) -> Workload {
    Workload(
      name: w.name, namespace: w.namespace, service: w.service, address: w.address, identity: w.identity,
      ports: w.ports, labels: w.labels, processID: w.processID, ready: w.ready, connected: w.connected,
      proxyVersion: w.proxyVersion, sentVersion: w.sentVersion, ackedVersion: w.ackedVersion,
      synced: w.connected && w.sentVersion == w.ackedVersion && w.rejected.isEmpty,
      rejected: w.rejected.isEmpty ? nil : w.rejected,
      certificateNotAfter: w.certificateNotAfter > 0 ? w.certificateNotAfter : nil,
      lastAck: w.lastAckMs > 0 ? Double(w.lastAckMs) / 1000 : nil)
  }

  // MARK: - Tables

  package func render(now: Int64) -> String {
    var text = """
      control plane  \(version), up \(Format.duration(seconds: uptimeSeconds))
      manifests      \(manifestDirectory)
      configuration  \(Format.duration(seconds: configurationAgeSeconds)) old
      trust domain   \(trustDomain), root valid for \(Format.duration(seconds: rootNotAfter - now))


      """
    text += workloads.isEmpty ? "no workloads; start one with: apus run\n" : workloadTable(now: now)
    text += services.isEmpty ? "\nno services\n" : "\n" + serviceTable()
    if !manifestErrors.isEmpty {
      text += "\nproblems in manifests\n" + manifestErrors.map { "  \($0.text)\n" }.joined()
    }
    for workload in workloads {
      if let rejected = workload.rejected { text += "\n\(workload.name) rejected its configuration: \(rejected)\n" }
    }
    return text
  }

  private func workloadTable(now: Int64) -> String {
    var table = TextTable([
      .init("NAME"), .init("SERVICE"), .init("ADDRESS"), .init("READY"), .init("PROXY"), .init("CONFIG"),
      .init("CERT-LEFT", .right),
    ])
    for w in workloads {
      let left = w.certificateNotAfter.map { $0 > now ? Format.duration(seconds: $0 - now) : "expired" }
      table.add(
        w.name, "\(w.service).\(w.namespace)", w.address, w.ready ? "yes" : "no",
        w.connected ? w.proxyVersion.isEmpty ? "connected" : w.proxyVersion : "away",
        "\(w.sentVersion)/\(w.ackedVersion) \(w.state)", left ?? "-")
    }
    return table.render()
  }

  private func serviceTable() -> String {
    var table = TextTable([.init("SERVICE"), .init("PORTS"), .init("ENDPOINTS", .right), .init("ROUTES")])
    for s in services {
      table.add(
        "\(s.name).\(s.namespace)", s.ports.map(String.init).joined(separator: ","), "\(s.endpoints)",
        s.routes.joined(separator: ", "))
    }
    return table.render()
  }
}

extension MeshReport.Workload {
  /// One word on the configuration of the proxy.
  package var state: String {
    if rejected != nil { return "REJECTED" }
    return synced ? "SYNCED" : "STALE"
  }
}

extension MeshReport.ManifestError {
  package var text: String {
    var text = "\(file):\(line):\(column): "
    if !object.isEmpty { text += "\(object): " }
    if !field.isEmpty { text += "\(field): " }
    text += (warning ? "warning: " : "") + message
    if !fix.isEmpty { text += "; \(fix)" }
    if stale { text += " (the last good version stays in force)" }
    return text
  }
}
