package import MeshCore

/// The named limits of one proxy. Units are in the names; counters carry the same names in `limit_hits_total`.
package struct ProxyLimits: Sendable {
  /// Open downstream connections per worker; further ones are closed at once.
  package var maximumDownstreamConnections = 20_000
  /// A request head must be complete within this time of its first byte, or of the connection's start.
  /// On HTTP/2: preface and SETTINGS, a field block with its CONTINUATION frames, and any frame but DATA.
  package var headerTimeout = TimeSpan.seconds(10)
  /// Of a TLS connection that is passed on by the server it asks for, the client's greeting must be complete within this time.
  package var clientHelloTimeout = TimeSpan.seconds(5)
  /// Bytes of that greeting, heads of its records included. With post-quantum key shares it has 2 KiB; a record has at most 16.
  package var maximumClientHelloBytes = 16 * 1024
  /// A TLS handshake must be done within this time of the connection's start.
  package var handshakeTimeout = TimeSpan.seconds(10)
  /// TLS handshakes of clients under way at once per worker, each of some 60 KiB: 15 MiB. While half of them are, one must answer within three
  /// seconds.
  package var maximumHandshakes = 256
  /// Clients that wait for one of those places, as mere connections; further ones are closed.
  package var maximumWaitingHandshakes = 4_096
  /// A connection whose peer was proven by a trust anchor that is trusted no more takes no more requests; those under way may end
  /// within this time.
  package var unprovenGrace = TimeSpan.seconds(30)
  /// A downstream connection without a request is closed after this time.
  package var downstreamIdleTimeout = TimeSpan.seconds(300)
  /// A stream without a byte in either direction ends after this time. Tunnels have `tunnelIdleTimeout`.
  package var streamIdleTimeout = TimeSpan.seconds(300)
  /// A gRPC call without a byte in either direction ends after this time: a call's own limits are its deadline and its
  /// cancellation, and a subscription may be silent for long.
  package var grpcIdleTimeout = TimeSpan.seconds(3600)
  package var tunnelIdleTimeout = TimeSpan.seconds(3600)
  /// A client that takes nothing of what waits for it for this time is cut off; tunnels are not. There is no least rate:
  /// what a slow reader makes us hold is bounded by the two limits below.
  package var flushTimeout = TimeSpan.seconds(300)
  /// Output of one connection past which no more of its input is looked at: answers that are written at once, such as
  /// those of the proxy itself, are not held up by flow control.
  package var maximumQueuedOutputBytes = 256 * 1024
  /// Bytes per worker that wait for slow receivers, over all exchanges: of bodies, and of heads past 4 KiB. Past it, the connection that makes us hold
  /// most loses its largest exchanges with 503: 64 streams of full windows, and 64 MiB for four workers.
  package var maximumBufferedBytes = 16 << 20
  /// Requests, and other events such as pieces of bodies, taken from one connection in one loop turn before the others
  /// have theirs. A turn's 64 KiB can hold 4,000 small requests, or 6,000 bodies' pieces. In a turn that has lasted for
  /// a millisecond it is two requests.
  package var maximumRequestsPerTurn = 64
  package var maximumEventsPerTurn = 1_024
  /// An idle connection to an application is closed after this time, which is shorter than servers' own limit,
  /// so that a request seldom meets a connection that its server is closing.
  package var upstreamIdleTimeout = TimeSpan.seconds(3)
  /// A pooled connection to a peer proxy is closed after this time without a stream. Shorter than the other side's
  /// `downstreamIdleTimeout`: the side that opens streams should be the one that closes.
  package var peerIdleTimeout = TimeSpan.seconds(240)
  /// A peer proxy from which nothing came for so long while streams were open is sent a PING (RFC 9113, section 6.7);
  /// so is one that a stream meets after such a silence. gRPC's clients take 10 s at the least; zero: never.
  package var keepaliveInterval = TimeSpan.seconds(10)
  /// Without a byte in this time after the PING the connection is dead. Six retransmissions of a lost packet fit in.
  package var keepaliveTimeout = TimeSpan.seconds(10)
  /// The interval towards applications. gRPC servers take PINGs less than five minutes apart for an attack; a host that
  /// vanished cannot be the own one.
  package var applicationKeepaliveInterval = TimeSpan.seconds(330)
  /// A connection to the mesh port takes no more streams after this time, 10 % earlier or later, so that load spreads
  /// over new workers and endpoints and no connection outlives its certificate by long. Zero: never.
  package var maximumMeshConnectionAge = TimeSpan.seconds(3600)
  /// The same for clients outside the mesh, which may take a closed connection amiss: off.
  package var maximumConnectionAge = TimeSpan.zero
  /// Streams of a connection past its age may go on for so long. Zero: to their own end, since a tunnel to a database
  /// is no better on a new connection.
  package var connectionAgeGrace = TimeSpan.zero
  /// TCP connect and TLS handshake together.
  package var connectTimeout = TimeSpan.seconds(2)
  /// An HTTP/2 server must send its SETTINGS within this time of the connection's start.
  package var settingsTimeout = TimeSpan.seconds(10)
  /// Before an application's connection that was idle longer than this is used again, the kernel is asked whether its
  /// server has ended it or sent something meanwhile.
  package var reuseCheckIdle = TimeSpan.milliseconds(100)
  /// Idle connections kept per application address and worker.
  package var maximumIdlePerPool = 512
  /// Connections to one application address that are being opened at once, per worker.
  package var maximumConnecting = 64
  /// Requests that wait for a connection to one peer or application.
  package var maximumPendingPerPeer = 10_000
  /// Connections to one peer workload per worker; more than one only when streams run out.
  package var maximumPeerConnections = 8
  /// Requests that wait for the configuration of one service.
  package var maximumWaitingForService = 10_000
  /// A request waits this long for the configuration of a service it asks for first.
  package var discoveryTimeout = TimeSpan.seconds(5)
  /// Services one proxy subscribes to; the least recently used leaves.
  package var maximumServices = 10_000
  /// Hosts that one worker keeps of an external service with a wildcard or several hosts; the one idle longest leaves.
  package var maximumHostsPerService = 256
  /// Such a host is forgotten, and asked for in the DNS no more, after this time without a request.
  package var hostIdleTimeout = TimeSpan.seconds(300)
  /// Ports of hosts outside the mesh that requests have named, per worker; the one used longest ago leaves.
  package var maximumOutsidePorts = 256
  /// Hosts outside the mesh that have series of their own in `egress_requests_total`, per worker; the rest are "overflow".
  package var maximumEgressLabels = 1_000
  /// Callers without a certificate of the mesh that one worker tells apart, by address and port; the one silent longest leaves.
  package var maximumPlaintextCallers = 256
  /// Spellings of authorities remembered per worker.
  package var maximumAuthorities = 4_096
  /// Endpoints tried for one request when connecting fails; nothing has been sent then.
  package var maximumConnectAttempts = 3
  /// Bytes of one request's body that are kept to be sent again, where the rule asks for retries. A longer request is not
  /// repeated once a part of it was sent. 64 KiB hold nearly every body of an API, and one read of the socket.
  package var maximumReplayBytes = 64 * 1024
  /// Callers or header values that one rate limit with keys tells apart, per proxy; 16 bytes each. Past it those that have been
  /// silent longest make room, and none of them gains by it.
  package var maximumRateLimitBuckets = 4_096
  /// Questions to services that count for global rate limits under way per worker; past it the policy's `onFailure` decides at once.
  package var maximumRateLimitCalls = 10_000
  /// Questions to external authorizers under way per worker; past it the policy's failure mode decides at once.
  package var maximumAuthorizationCalls = 10_000
  /// Copies of requests under way per worker; past it requests are not mirrored.
  package var maximumMirrors = 1_024
  /// Bytes of one copied body that wait for the mirror; one that takes less than the backend is given up. A stream's window.
  package var maximumMirrorBytes = 256 * 1024
  /// Answers that are compressed at a time, per worker; 128 KiB each. Those past it go out as they are.
  package var maximumCompressions = 128
  /// Requests per worker that meet injected faults at a time; those past it meet none. A delay holds each of them.
  package var maximumFaults = 10_000
  /// While draining, an idle HTTP/1 connection may bring one more request within this time: it may be on its way already.
  package var drainGrace = TimeSpan.milliseconds(500)
  /// Time given to streams in flight after SIGTERM.
  package var drainTimeout = TimeSpan.seconds(30)

  package init() {}
}

extension ProxyLimits {
  /// Of a connection that an application or a peer proxy opened. The client asks first when both sides are silent.
  func downstreamLifetime(isMesh: Bool) -> ConnectionLifetime.Limits {
    ConnectionLifetime.Limits(
      keepaliveInterval: isMesh ? .nanoseconds(keepaliveInterval.nanoseconds * 2) : applicationKeepaliveInterval,
      keepaliveTimeout: keepaliveTimeout, idleTimeout: downstreamIdleTimeout,
      maximumAge: isMesh ? maximumMeshConnectionAge : maximumConnectionAge, ageGrace: connectionAgeGrace)
  }

  /// Of a pooled HTTP/2 connection. Its age is the server's business.
  func upstreamLifetime(isMesh: Bool) -> ConnectionLifetime.Limits {
    ConnectionLifetime.Limits(
      keepaliveInterval: isMesh ? keepaliveInterval : applicationKeepaliveInterval,
      keepaliveTimeout: keepaliveTimeout, idleTimeout: peerIdleTimeout)
  }

  /// When the age of one HTTP/1 connection is reached, or `ConnectionLifetime.never`.
  func clientConnectionEnd(_ now: Instant, _ random: inout SeededRandom) -> Instant {
    guard maximumConnectionAge > .zero else { return ConnectionLifetime.never }
    return now + .nanoseconds(Int64(Double(maximumConnectionAge.nanoseconds) * (0.9 + 0.2 * random.unit())))
  }
}
