import MeshPolicy

extension ProxyWorker {
  /// Judges again what is under way at ports whose rules have changed: a stream or tunnel may last for days, and whoever is shut out must not
  /// stay for that long.
  func judgeAgain() {
    var forbidden: [(Exchange, PortAuthorizer)] = []
    forEachExchange { exchange in
      guard let old = exchange.inboundPort, !exchange.responseEnded || exchange.isTunnel,
        let new = inboundPort(old.config.port), new.config.authorization != old.config.authorization,
        let authorizer = new.authorizer
      else { return }
      forbidden.append((exchange, authorizer))
    }
    // Refusing one takes it from the list that is looked through above.
    for (exchange, authorizer) in forbidden { _ = authorizer.stillAdmits(exchange) }
  }
}
