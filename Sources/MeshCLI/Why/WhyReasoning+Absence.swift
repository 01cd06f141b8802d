internal import MeshAPI
internal import MeshCore
internal import MeshPolicy
internal import MeshResources

extension WhyReasoning {
  /// Of a service port without endpoints, ready or not: workloads that were meant for it serve another port, or miss its selector; else
  /// there are none.
  func whyNobodyServes(_ port: ServicePort) -> (reason: String, fix: String) {
    let service = port.service
    let object = "Service \(service.namespace)/\(service.name)"
    let told = problems.first { problem in
      guard problem.object == object else { return false }
      return problem.code == FindingCode.selectorMisses.rawValue
        || problem.code == FindingCode.targetPortNotFound.rawValue && problem.message.hasPrefix("port \(port.port) ")
    }
    if let told { return (told.message, told.fix) }
    return ("no workload runs for it", "start one: apus run -n \(service.namespace) --service \(service.name)")
  }

  /// Rules that would take the request if there were not one before them. One that takes everything is there to come last.
  func laterMatches(_ config: ServiceConfig, after index: Int) -> [String] {
    config.rules[(index + 1)...].filter { rule in
      !rule.takesEverything && RouteExplanation([rule], head).rule != nil
    }.map(\.name)
  }
}

extension RouteRule {
  fileprivate var takesEverything: Bool {
    matches.isEmpty || matches.contains { $0 == RouteMatch() || $0 == RouteMatch(path: .prefix("/")) }
  }
}
