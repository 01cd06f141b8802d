import MeshCore
import MeshPolicy
import MeshResources

extension EffectivePolicy {
  /// The sessions of a rule of `port` that says nothing of them itself.
  ///
  /// Of a policy for a service, or for what is wider, all rules of the port share them, so that a client keeps its endpoint whichever rule
  /// takes its next request; of one for a route the route's rules do. A rule without the endpoint of a session begins another.
  func session(of rule: String, at port: ServicePort, _ key: SipKey) -> SessionPolicy? {
    guard let entry = entries[.sessionPersistence], case .sessionPersistence(let session?) = entry.setting else {
      return nil
    }
    let owner =
      switch entry.source.level {
      case .mesh, .namespace, .service, .port: "service/\(port.service.path):\(port.port)"
      case .route: rule.split(separator: "#", maxSplits: 1).first.map(String.init) ?? rule
      case .rule: rule
      }
    return session.policy(of: owner, key)
  }
}

extension RouteRule {
  /// Whether the rule has the sessions that policies say, and none of its own. Every rule has keys of its own, so these are not looked at.
  func followsSession(of policy: EffectivePolicy, at port: ServicePort) -> Bool {
    let said = policy.session(of: name, at: port, SipKey(0, 0))
    return session?.carrier == said?.carrier && session?.absoluteTimeout == said?.absoluteTimeout
      && session?.idleTimeout == said?.idleTimeout
  }
}
