import MeshPolicy

extension Exchange {
  /// Asks the provider of the `custom` policy `askedPolicy`: the call waits, or was answered. False: there is no such provider, and the call is
  /// refused.
  func asksProvider() -> Bool {
    guard let policies = inboundPort?.config.authorization?.policies, policies.indices.contains(askedPolicy),
      let authorizer = policies[askedPolicy].authorizer
    else { return false }
    ExternalCheck(authorizer).begin(self)
    return true
  }
}
