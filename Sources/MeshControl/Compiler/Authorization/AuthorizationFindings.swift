import MeshCore
import MeshPolicy
import MeshResources

/// What of an AuthorizationPolicy has no effect, or not the one that its author may expect.
enum AuthorizationFindings {
  static let closed = "until it is mended nobody may call what it is for"

  static func of(_ entry: AuthorizationTable.Entry, _ services: ServiceTable) -> [PolicyFinding] {
    if !entry.errors.isEmpty { return closes(entry) }
    guard let action = entry.policy.action else { return [] }
    let rules = entry.policy.rules.enumerated().filter { $0.element.readsRequests }
    guard let first = rules.first, targetsCarryTCP(entry, services) else { return [] }
    let field = "spec.rules[\(first.offset)]"
    let fix = "ask for callers and ports only, or write appProtocol: http, http2 or grpc on the Service's port"
    switch action {
    case .allow, .audit:
      return [
        PolicyFinding(
          field: field, message: "asks for attributes of requests, which byte streams do not have, so it matches none",
          fix: fix, code: .authorizationOfBytes)
      ]
    case .deny, .custom:
      return [
        PolicyFinding(
          field: field,
          message:
            "asks for attributes of requests, which byte streams do not have, so every stream of its callers matches",
          fix: fix, code: .authorizationOfBytes)
      ]
    }
  }

  private static func closes(_ entry: AuthorizationTable.Entry) -> [PolicyFinding] {
    guard entry.closes, entry.targets.contains(where: { $0.scope != nil }) else { return [] }
    let namespace = entry.policy.metadata.namespace
    let targets = zip(entry.policy.targets, entry.targets).compactMap {
      $1.scope == nil ? nil : $0.shown(in: namespace)
    }
    return [
      PolicyFinding(
        field: "spec",
        message:
          "has an error and no version before: every call to the \(targets.joined(separator: ", the ")) is refused",
        fix: "mend it, or remove it", code: .authorizationClosed)
    ]
  }

  /// All that the policy is for are ports whose bytes are not looked at.
  private static func targetsCarryTCP(_ entry: AuthorizationTable.Entry, _ services: ServiceTable) -> Bool {
    let protocols: [AppProtocol] = entry.targets.compactMap(\.scope).flatMap { scope -> [AppProtocol] in
      switch scope {
      case .service(let name): services.services[name]?.ports.map(\.appProtocol) ?? []
      case .port(let port): services.services[port.service]?.port(port.port).map { [$0.appProtocol] } ?? []
      // The services of a namespace may be of any kind, today or tomorrow.
      case .mesh, .namespace, .route, .rule: [.http]
      }
    }
    return !protocols.isEmpty && protocols.allSatisfy { $0 == .tcp }
  }
}

extension DeclaredAuthorization.Rule {
  /// It cannot be decided without a request.
  var readsRequests: Bool {
    !conditions.isEmpty || !operations.isEmpty && operations.allSatisfy { !$0.request.isEmpty }
  }
}
