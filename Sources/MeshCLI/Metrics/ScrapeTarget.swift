package import MeshControl
internal import MeshCore

/// A workload whose proxy can be asked.
package struct ScrapeTarget: Hashable, Sendable {
  package var workload: String
  package var service: String
  package var namespace: String
  package var address: String
  package var isReady: Bool
  package var isConnected: Bool

  package init(
    workload: String, service: String, namespace: String, address: String, isReady: Bool = true,
    isConnected: Bool = true
  ) {
    self.workload = workload
    self.service = service
    self.namespace = namespace
    self.address = address
    self.isReady = isReady
    self.isConnected = isConnected
  }

  package func fetch() async throws -> Scrape {
    guard let address = SocketAddress(address, defaultPort: RunPlan.metricsPort) else {
      throw CLIFailure("workload \(workload) has no valid address: \"\(self.address)\"")
    }
    let response = try await HTTPFetch.get(address, path: "/metrics")
    guard response.status == 200 else {
      throw CLIFailure("http://\(address)/metrics of \(workload) answered \(response.status)")
    }
    return Scrape(PrometheusText.parse(response.body))
  }

  /// All targets at once; a target that does not answer is missing from the result.
  package static func fetchAll(_ targets: [ScrapeTarget]) async -> [String: Scrape] {
    await withTaskGroup(of: (String, Scrape?).self) { group in
      for target in targets { group.addTask { (target.workload, try? await target.fetch()) } }
      var out: [String: Scrape] = [:]
      for await (name, scrape) in group { out[name] = scrape }
      return out
    }
  }
}
