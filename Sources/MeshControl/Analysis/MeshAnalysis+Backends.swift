import MeshCore
import MeshPolicy
import MeshResources

// MARK: - Services without endpoints

extension MeshAnalysis {
  /// Service ports that some rule sends requests to and that nobody serves.
  func unservedBackends() -> [Finding] {
    var used: [ServicePort: String] = [:]
    for config in (Array(mesh.services.values) + Array(mesh.consumers.values)).sorted(by: { $0.key < $1.key }) {
      for rule in config.rules where rule.failureStatus == nil {
        for backend in rule.backends where backend.weight > 0 && backend.failureStatus == nil {
          if used[backend.backend] == nil { used[backend.backend] = rule.name }
        }
      }
    }
    return used.sorted { $0.key < $1.key }.compactMap { port, rule in
      guard let manifest = table.services[port.service]?.manifest, mesh.endpoints[port]?.endpoints.isEmpty ?? true
      else {
        return nil
      }
      let waiting = mesh.unready[port]?.count ?? 0
      // Without a mesh a selector says only that workloads are meant to come.
      if !isLive, waiting == 0, !manifest.value.selector.isEmpty { return nil }
      let sent = rule.hasPrefix("service/") ? "" : "; \(rule) sends requests there"
      return Finding(
        waiting > 0 ? .noReadyEndpoint : .noEndpoint, at: manifest.position,
        Resource.service(manifest.value).key.description,
        "spec.selector",
        waiting > 0
          ? "none of the \(waiting) workloads behind port \(port.port) is ready\(sent)"
          : "no workload stands behind port \(port.port)\(sent)",
        fix: waiting > 0
          ? "see apus endpoints \(port.service)"
          : "apus run -n \(port.service.namespace) --service \(port.service.name)",
        isLive: isLive)
    }
  }
}

// MARK: - Times and retries

extension MeshAnalysis {
  func contradictions() -> [Finding] {
    attachments.routes.flatMap { route in
      route.rules.enumerated().flatMap { index, rule in contradictions(route, index, rule) }
    }
  }

  private func contradictions(_ route: MeshRoute, _ index: Int, _ rule: MeshRoute.Rule) -> [Finding] {
    let field = "spec.rules[\(index)]"
    guard let retry = rule.retry else { return [] }
    if retry.attempts == 0, !retry.statusCodes.isEmpty {
      return [finding(.retriesAreOff, route, "\(field).retry", "names codes, and attempts is 0")]
    }
    guard retry.attempts > 0, let request = rule.timeouts.request, request > .zero else { return [] }
    if let attempt = rule.timeouts.backendRequest, attempt >= request {
      return [
        finding(
          .attemptOutlastsRequest, route, "\(field).timeouts.backendRequest",
          "an attempt may take \(attempt.text), and the whole request \(request.text): a slow one is never repeated",
          fix: "write at most \(request.part(of: Int64(retry.attempts) + 1).text)")
      ]
    }
    // Without a limit of its own an attempt may be quick; the waits are certain.
    let attempts = (rule.timeouts.backendRequest?.nanoseconds ?? 0) &* (Int64(retry.attempts) + 1)
    let needed = attempts &+ retry.backoff.nanoseconds &* Int64(retry.attempts)
    guard needed > request.nanoseconds else { return [] }
    return [
      finding(
        .retriesDoNotFit, route, "\(field).retry",
        "\(retry.attempts + 1) attempts with their waits take \(TimeSpan.nanoseconds(needed).text), the request has "
          + request.text,
        fix: "lower attempts or backendRequest, or raise timeouts.request")
    ]
  }
}

extension TimeSpan {
  fileprivate var text: String {
    let milliseconds = nanoseconds / 1_000_000
    return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
  }

  fileprivate func part(of count: Int64) -> TimeSpan { .nanoseconds(nanoseconds / count) }
}
