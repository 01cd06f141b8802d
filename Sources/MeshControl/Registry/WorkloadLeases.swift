package import MeshCore

/// One living registration.
package struct WorkloadLease: Hashable, Sendable {
  package typealias ID = UInt64

  package var id: ID
  package var name: String
  package var request: WorkloadRequest
  package var address: SocketAddress
  package var identity: SPIFFEID
  package var tokenHash: String
  package var ready = false
  package var draining = false
  /// Taken from an earlier controller: the workload has not registered with this one yet.
  package var isProvisional = false
  var deadline: Instant
}

/// The living workloads: pure, with time passed in. A lease lives until it is released, taken over by the same
/// workload, or not renewed for `duration`. A provisional one, which nobody holds yet, lives for `duration` at most.
package struct WorkloadLeases: Sendable {
  package static let duration: TimeSpan = .seconds(15)
  package static let maximumCount = 4_096

  private var byName: [String: WorkloadLease] = [:]
  private var nameByID: [WorkloadLease.ID: String] = [:]
  private var nameByToken: [String: String] = [:]
  private var lastID: WorkloadLease.ID = 0

  package init() {}

  package var all: some Collection<WorkloadLease> { byName.values }
  package var names: Set<String> { Set(byName.keys) }
  package var isFull: Bool { byName.count >= Self.maximumCount }

  package subscript(name: String) -> WorkloadLease? { byName[name] }
  package subscript(id: WorkloadLease.ID) -> WorkloadLease? { nameByID[id].flatMap { byName[$0] } }
  package func lease(tokenHash: String) -> WorkloadLease? { nameByToken[tokenHash].flatMap { byName[$0] } }

  /// Adds a lease; one with the same name ends. It starts not ready, unless it continues a ready one.
  package mutating func add(
    name: String, request: WorkloadRequest, address: SocketAddress, identity: SPIFFEID, tokenHash: String, now: Instant
  ) -> WorkloadLease {
    lastID += 1
    let earlier = byName[name]
    if let earlier { remove(earlier) }
    let continues = earlier?.tokenHash == tokenHash
    let lease = WorkloadLease(
      id: lastID, name: name, request: request, address: address, identity: identity, tokenHash: tokenHash,
      ready: continues && earlier?.ready == true, draining: continues && earlier?.draining == true,
      deadline: now + Self.duration)
    byName[name] = lease
    nameByID[lease.id] = name
    nameByToken[tokenHash] = name
    return lease
  }

  /// Adds a provisional lease with the readiness that the workload told last. The name must be free.
  package mutating func restore(
    name: String, request: WorkloadRequest, address: SocketAddress, identity: SPIFFEID, tokenHash: String,
    ready: Bool, draining: Bool, now: Instant
  ) {
    lastID += 1
    byName[name] = WorkloadLease(
      id: lastID, name: name, request: request, address: address, identity: identity, tokenHash: tokenHash,
      ready: ready, draining: draining, isProvisional: true, deadline: now + Self.duration)
    nameByID[lastID] = name
    nameByToken[tokenHash] = name
  }

  package enum Renewal: Hashable, Sendable {
    /// Readiness changed with it: the endpoints change.
    case changed
    case unchanged
    /// The lease has expired or was taken over.
    case gone
  }

  package mutating func renew(_ id: WorkloadLease.ID, ready: Bool, draining: Bool, now: Instant) -> Renewal {
    guard var lease = self[id] else { return .gone }
    let changed = lease.ready != ready || lease.draining != draining
    lease.ready = ready
    lease.draining = draining
    lease.deadline = now + Self.duration
    byName[lease.name] = lease
    return changed ? .changed : .unchanged
  }

  /// Whether there was something to release.
  package mutating func release(_ id: WorkloadLease.ID) -> Bool {
    guard let lease = self[id] else { return false }
    remove(lease)
    return true
  }

  /// Ends what was not renewed in time, and says whose.
  package mutating func expire(now: Instant) -> [WorkloadLease] {
    let expired = byName.values.filter { $0.deadline <= now }
    expired.forEach { remove($0) }
    return expired.sorted { $0.name < $1.name }
  }

  /// Ends the provisional leases whose process has ended, and says whose.
  package mutating func endAbandoned(isRunning: (Int64) -> Bool) -> [WorkloadLease] {
    let abandoned = byName.values.filter { $0.isProvisional && !isRunning($0.request.processID) }
    abandoned.forEach { remove($0) }
    return abandoned.sorted { $0.name < $1.name }
  }

  private mutating func remove(_ lease: WorkloadLease) {
    byName[lease.name] = nil
    nameByID[lease.id] = nil
    nameByToken[lease.tokenHash] = nil
  }
}
