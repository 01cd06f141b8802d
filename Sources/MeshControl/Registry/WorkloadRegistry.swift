package import Logging
package import MeshCore
package import MeshIdentity

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Who is in the local mesh: gives registered workloads a name, a loopback address and a join token, and holds their
/// leases. The only writer of `addresses.json` and `registrations.json`.
///
/// A grant is written to disk before it is given, so what a workload holds survives the controller. So do the living
/// registrations, which are written after each change: a controller that starts takes them over as provisional leases,
/// with their last readiness, so that proxies that reconnect at once find the mesh as it was. A provisional lease is
/// replaced when its workload registers again, and ends with its process or after `WorkloadLeases.duration`.
package actor WorkloadRegistry {
  /// What a registration was given. `token` is in no other place.
  package struct Grant: Sendable {
    package var lease: WorkloadLease
    package var token: WorkloadToken
  }

  private let path: String
  private let trustDomain: String
  private let clock: ControlClock
  private let calls: AtomicFile.Calls
  private let isAddressFree: @Sendable (SocketAddress) -> Bool
  private let processes: ProcessProbe
  private let log: Logger
  private var book: AddressBook
  private var leases: WorkloadLeases
  private var file: RegistrationFile
  /// Whether the living workloads may differ from what `file` holds.
  private var isUnsaved = true
  private var isFrozen = false
  private let changed: AsyncStream<Void>.Continuation
  package nonisolated let metrics: ControllerMetrics

  /// One element after every change of the living workloads; several changes may come as one. For a single reader.
  package nonisolated let changes: AsyncStream<Void>

  /// `path` is the file of addresses; a missing one is an empty one. The registrations stand beside it.
  package init(
    path: String, trustDomain: String, clock: ControlClock = .system, log: Logger, calls: AtomicFile.Calls = .system,
    isAddressFree: @escaping @Sendable (SocketAddress) -> Bool = AddressProbe.isFree,
    processes: ProcessProbe = .system, metrics: ControllerMetrics = ControllerMetrics()
  ) throws {
    self.metrics = metrics
    self.path = path
    self.trustDomain = trustDomain
    self.clock = clock
    self.calls = calls
    self.isAddressFree = isAddressFree
    self.processes = processes
    self.log = log
    if let content = try AtomicFile.read(path) {
      do {
        book = try AddressBook(json: content)
      } catch {
        throw ControlPlaneError(
          "\(path) cannot be understood; remove it (running workloads must then be restarted) and start again")
      }
    } else {
      book = AddressBook()
    }
    (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    file = RegistrationFile(path: AtomicFile.parent(of: path) + "/registrations.json", calls: calls, log: log)
    let restoration = LeaseRestoration(
      book: book, trustDomain: trustDomain, processes: processes, now: clock.monotonic(), log: log)
    leases = file.read().map { restoration.leases(from: $0) } ?? WorkloadLeases()
  }

  // MARK: - Leases

  /// `joinedBy` is the `Attestation.source` of a program that did not come through the control socket: its process id is not
  /// believed.
  package func register(_ request: WorkloadRequest, joinedBy source: String? = nil) throws(RegistryError) -> Grant {
    let name = request.name ?? newName(for: request)
    if let lease = leases[name], lease.isProvisional, !processes.isRunning(lease.request.processID) {
      release(lease.id)
    }
    try checkClaim(of: request, to: name, joinedBy: source)
    guard leases[name] != nil || !leases.isFull else { throw .tooManyWorkloads(WorkloadLeases.maximumCount) }

    let identity = SPIFFEID(
      trustDomain: trustDomain, namespace: request.namespace, serviceAccount: request.serviceAccount)
    let address = try address(for: name, claimed: request.claim != nil)
    let token = request.claim?.token ?? .random()
    try remember(name, request, address: address, token: token, joinedBy: source)

    let lease = leases.add(
      name: name, request: request, address: address, identity: identity, tokenHash: token.hash,
      now: clock.monotonic())
    noteChange()
    log.info(
      "workload registered",
      metadata: [
        "workload": "\(name)", "address": "\(address.host)", "identity": "\(identity)",
        "by": "\(source ?? "control socket")",
      ])
    return Grant(lease: lease, token: token)
  }

  /// False: the lease has ended and the workload must register again.
  package func renew(_ id: WorkloadLease.ID, ready: Bool, draining: Bool) -> Bool {
    let renewal = leases.renew(id, ready: ready, draining: draining, now: clock.monotonic())
    if renewal == .changed { noteChange() }
    return renewal != .gone
  }

  package func release(_ id: WorkloadLease.ID) {
    guard let lease = leases[id], leases.release(id) else { return }
    log.info("workload left", metadata: ["workload": "\(lease.name)"])
    noteChange()
  }

  /// Ends the leases that nobody renewed, and the provisional ones whose process has ended. Called about once a second.
  package func expire() {
    let abandoned = leases.endAbandoned(isRunning: processes.isRunning)
    for lease in abandoned {
      log.info("workload gone: its process ended", metadata: ["workload": "\(lease.name)"])
    }
    let expired = leases.expire(now: clock.monotonic())
    for lease in expired {
      log.warning("workload gone: no heartbeat", metadata: ["workload": "\(lease.name)"])
    }
    if !abandoned.isEmpty || !expired.isEmpty { noteChange() }
  }

  private func noteChange() {
    isUnsaved = true
    changed.yield()
  }

  /// Writes the living registrations down if they changed. Called after changes, which come in groups, and about once
  /// a second, which repeats failed writes.
  package func save() {
    guard isUnsaved, !isFrozen else { return }
    isUnsaved = !file.write(SavedRegistrations(boot: processes.boot, leases: leases.all))
  }

  /// Keeps what is saved now for the next controller: the streams that a shutdown ends are no departures.
  package func freeze() {
    save()
    isFrozen = true
  }

  package func isLive(_ id: WorkloadLease.ID) -> Bool { leases[id] != nil }

  /// The living workload that the token was given to.
  package func authenticate(_ token: WorkloadToken) -> WorkloadLease? { leases.lease(tokenHash: token.hash) }

  package var workloads: [WorkloadLease] { leases.all.sorted { $0.name < $1.name } }

  // MARK: - Steps of a registration

  private func newName(for request: WorkloadRequest) -> String {
    let stem = String((request.service ?? request.serviceAccount).prefix(57))
    let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
    while true {
      let suffix = String((0..<5).map { _ in alphabet.randomElement() ?? "x" })
      let name = "\(stem)-\(suffix)"
      if leases[name] == nil, book[name] == nil { return name }
    }
  }

  /// A name that lives belongs to whoever holds its token, or to the same process whose stream broke; the socket this
  /// comes over opens only for the mesh's owner, so the number can be believed.
  private func checkClaim(
    of request: WorkloadRequest, to name: String, joinedBy source: String?
  ) throws(RegistryError) {
    if let claim = request.claim {
      guard let entry = book[name] else { throw .unknownClaim(name) }
      guard entry.joinedBy == source, entry.tokenHash == claim.token.hash, entry.namespace == request.namespace,
        entry.serviceAccount == request.serviceAccount,
        claim.address == nil || claim.address?.ipv4 == book.address(of: name)?.ipv4
      else { throw .wrongToken(name) }
    } else if let lease = leases[name] {
      guard source == nil, request.processID > 0, lease.request.processID == request.processID else {
        throw .nameTaken(name)
      }
    }
  }

  private func address(for name: String, claimed: Bool) throws(RegistryError) -> SocketAddress {
    if let known = book.address(of: name) {
      // A claimed address is in use by the claimant's own proxy; any other must be free.
      let usable = claimed || leases[name] != nil || isAddressFree(known)
      let isSomebodys = leases.all.contains { $0.address == known && $0.name != name }
      if usable, !isSomebodys { return known }
    }
    let free = book.freeAddress(living: leases.names, isFree: isAddressFree)
    guard let free else { throw .addressesExhausted }
    return free
  }

  private func remember(
    _ name: String, _ request: WorkloadRequest, address: SocketAddress, token: WorkloadToken, joinedBy source: String?
  ) throws(RegistryError) {
    var updated = book
    updated.record(
      AddressBook.Entry(
        address: address.host, namespace: request.namespace, serviceAccount: request.serviceAccount,
        tokenHash: token.hash, registered: Int64(clock.wall().timeIntervalSince1970), joinedBy: source),
      for: name, living: leases.names)
    try write(updated)
  }

  private func write(_ updated: AddressBook) throws(RegistryError) {
    do {
      try AtomicFile.write(updated.json(), to: path, calls: calls)
    } catch {
      log.error("cannot save the addresses of workloads", metadata: ["error": "\(error)"])
      throw .storage("\(error)")
    }
    book = updated
  }

  // MARK: - Workloads that joined

  /// What the earlier registration under a name was proved by; nil for the owner's own, and for an unknown name.
  package func source(of name: String) -> String? { book[name]?.joinedBy }

  package func living(joinedBy source: String) -> [String] {
    leases.names.filter { book[$0]?.joinedBy == source }.sorted()
  }

  /// Ends all that joined by a source: their leases, and their claims to their names. Says how many lived.
  package func end(joinedBy source: String) throws(RegistryError) -> Int {
    var updated = book
    guard !updated.endClaims(joinedBy: source).isEmpty else { return 0 }
    let ended = living(joinedBy: source).compactMap { leases[$0] }
    try write(updated)
    for lease in ended {
      _ = leases.release(lease.id)
      log.notice("workload ended: its join token was revoked", metadata: ["workload": "\(lease.name)"])
    }
    if !ended.isEmpty { noteChange() }
    return ended.count
  }
}
