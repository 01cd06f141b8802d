package import MeshCore

// What active checks say.
extension EndpointBalancer {
  /// False: no endpoint has this address, or its health is known already.
  @discardableResult
  package func setHealth(of address: SocketAddress, to health: EndpointHealth, now: Instant) -> Bool {
    var isNews = false
    for slot in live where endpoints[slot].address == address && states[slot].health != health {
      isNews = true
      let wasOut = states[slot].health.isUnhealthy
      states[slot].health = health
      isStale = true
      if wasOut, !health.isUnhealthy { startSlowly(slot, now: now) }
    }
    return isNews
  }

  /// Nobody asks any more, but for those that have a check of their own.
  func forgetHealth() {
    for slot in live where endpoints[slot].healthCheck == nil { states[slot].health = .unknown }
  }
}
