/// What one workload's proxy told last, for `apus status`.
package struct ProxyStatus: Hashable, Sendable {
  package var connected = false
  package var proxyVersion = ""
  package var sentVersion: UInt64 = 0
  package var ackedVersion: UInt64 = 0
  package var rejection = ""
  /// Unix milliseconds; 0: never.
  package var lastAck: Int64 = 0
  /// What the proxy's workers use, as it said on this stream.
  package var identity: ReportedIdentity?
  /// Unix seconds; 0: none issued by this controller since it started.
  package var certificateNotAfter: Int64 = 0

  package init() {}
}

/// The meeting point of the compiler and the discovery streams: holds the newest snapshot, wakes every stream when
/// there is a newer one, and remembers what the proxies answered.
///
/// Waking coalesces: a stream that is still writing finds only the newest snapshot when it is done, so a slow proxy
/// costs no memory here.
package actor DiscoveryHub {
  package typealias StreamID = UInt64

  package private(set) var snapshot = DistributionSnapshot.empty
  package private(set) var statuses: [String: ProxyStatus] = [:]
  private var streams: [StreamID: AsyncStream<Void>.Continuation] = [:]
  /// The newest stream of each workload: only it speaks for the proxy.
  private var current: [String: StreamID] = [:]
  private var lastID: StreamID = 0
  private let clock: ControlClock

  package init(clock: ControlClock = .system) { self.clock = clock }

  package func publish(_ snapshot: DistributionSnapshot) {
    self.snapshot = snapshot
    wakeAll()
  }

  package func wakeAll() {
    for stream in streams.values { stream.yield() }
  }

  package func open(workload: String) -> (id: StreamID, wakes: AsyncStream<Void>) {
    lastID += 1
    let (wakes, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    streams[lastID] = wake
    current[workload] = lastID
    statuses[workload, default: ProxyStatus()].connected = true
    statuses[workload]?.identity = nil
    return (lastID, wakes)
  }

  package func close(_ id: StreamID, workload: String) {
    streams.removeValue(forKey: id)?.finish()
    guard current[workload] == id else { return }
    current[workload] = nil
    statuses[workload]?.connected = false
  }

  package func wake(_ id: StreamID) { streams[id]?.yield() }

  package func record(_ session: DiscoverySession, of id: StreamID) {
    guard current[session.workload] == id else { return }
    var status = statuses[session.workload] ?? ProxyStatus()
    if status.ackedVersion != session.ackedVersion { status.lastAck = clock.milliseconds }
    status.proxyVersion = session.proxyVersion
    status.sentVersion = session.sentVersion
    status.ackedVersion = session.ackedVersion
    status.rejection = session.rejection
    status.identity = session.identity
    statuses[session.workload] = status
  }

  package func recordCertificate(of workload: String, notAfter: Int64) {
    statuses[workload, default: ProxyStatus()].certificateNotAfter = notAfter
  }

  /// Forgets proxies of workloads that are gone.
  package func retain(workloads: Set<String>) {
    statuses = statuses.filter { workloads.contains($0.key) || current[$0.key] != nil }
  }

  /// Ends every stream in good order; the proxies come back to the next controller.
  package func closeAll() {
    streams.values.forEach { $0.finish() }
    streams.removeAll()
  }
}
