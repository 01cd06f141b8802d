package import MeshCore

/// The named limits of one proxy. Units are in the names; counters carry the same names in `limit_hits_total`.
package struct ProxyLimits: Sendable {
  /// Open downstream connections per worker; further ones are closed at once.
  package var maximumDownstreamConnections = 20_000
  /// A request head must be complete within this time of its first byte, or of the connection's start.
  package var headerTimeout = TimeSpan.seconds(10)
  /// A downstream connection without a request is closed after this time.
  package var downstreamIdleTimeout = TimeSpan.seconds(300)
  /// A stream without a byte in either direction ends after this time. Tunnels have `tunnelIdleTimeout`.
  package var streamIdleTimeout = TimeSpan.seconds(300)
  package var tunnelIdleTimeout = TimeSpan.seconds(3600)
  /// An idle connection to an application is closed after this time, which is shorter than servers' own limit,
  /// so that a request seldom meets a connection that its server is closing.
  package var upstreamIdleTimeout = TimeSpan.seconds(3)
  /// An idle connection to a peer proxy is closed after this time.
  package var peerIdleTimeout = TimeSpan.seconds(300)
  /// TCP connect and TLS handshake together.
  package var connectTimeout = TimeSpan.seconds(2)
  /// Idle connections kept per application address and worker.
  package var maximumIdlePerPool = 512
  /// Requests that wait for one peer connection to open.
  package var maximumPendingPerPeer = 10_000
  /// Connections to one peer workload per worker; more than one only when streams run out.
  package var maximumPeerConnections = 8
  /// Requests that wait for the configuration of one service.
  package var maximumWaitingForService = 10_000
  /// A request waits this long for the configuration of a service it asks for first.
  package var discoveryTimeout = TimeSpan.seconds(5)
  /// Services one proxy subscribes to; the least recently used leaves.
  package var maximumServices = 10_000
  /// Spellings of authorities remembered per worker.
  package var maximumAuthorities = 4_096
  /// Endpoints tried for one request when connecting fails; nothing has been sent then.
  package var maximumConnectAttempts = 3
  /// While draining, an idle HTTP/1 connection may bring one more request within this time: it may be on its way already.
  package var drainGrace = TimeSpan.milliseconds(500)
  /// Time given to streams in flight after SIGTERM.
  package var drainTimeout = TimeSpan.seconds(30)

  package init() {}
}
