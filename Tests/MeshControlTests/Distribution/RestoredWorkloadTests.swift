import Foundation
import Glibc
import Logging
import MeshAPI
import MeshControl
import MeshCore
import MeshIdentity
import MeshPolicy
import SwiftProtobuf
import Synchronization
import Testing

/// What a controller knows about the workloads of the one before it.
@Suite struct RestoredWorkloadTests {
  let scratch: StateScratch
  let machine = Machine()

  /// Time and processes that the tests make.
  final class Machine: Sendable {
    private let seconds = Mutex(UInt64(100))
    private let running = Mutex<Set<Int64>>([10])

    func advance(_ count: UInt64) { seconds.withLock { $0 += count } }
    func end(_ process: Int64) { running.withLock { _ = $0.remove(process) } }
    func start(_ process: Int64) { running.withLock { _ = $0.insert(process) } }
    func isRunning(_ process: Int64) -> Bool { running.withLock { $0.contains(process) } }
    var now: Instant { Instant(nanoseconds: seconds.withLock { $0 } * 1_000_000_000) }
  }

  init() throws { scratch = try StateScratch() }

  var file: String { scratch.path + "/registrations.json" }

  /// A controller's registry, as after a start.
  func registry(
    boot: String = "boot-1", calls: AtomicFile.Calls = .system, log: Logger = quietLog
  ) throws -> WorkloadRegistry {
    let machine = machine
    return try WorkloadRegistry(
      path: scratch.path + "/addresses.json", trustDomain: "cluster.local",
      clock: ControlClock(wall: { Date(timeIntervalSince1970: 1_800_000_000) }, monotonic: { machine.now }),
      log: log, calls: calls, isAddressFree: { _ in true },
      processes: ProcessProbe(isRunning: { machine.isRunning($0) }, boot: boot))
  }

  func request(
    _ name: String = "orders-a", process: Int64 = 10, token: String = ""
  ) throws -> WorkloadRequest {
    try WorkloadRequest(
      .with {
        $0.service = "orders"
        $0.namespace = "shop"
        $0.serviceAccount = "orders"
        $0.ports = [8080]
        $0.labels = ["version": "v1"]
        $0.processID = process
        $0.name = name
        $0.joinToken = token
      })
  }

  /// A first controller with one ready workload, killed after it saved.
  func killedController() async throws -> WorkloadRegistry.Grant {
    let registry = try registry()
    let grant = try await registry.register(request())
    #expect(await registry.renew(grant.lease.id, ready: true, draining: false))
    await registry.save()
    return grant
  }

  @Test("a restarted controller knows the living workloads as they were, and their tokens, at once")
  func restored() async throws {
    let grant = try await killedController()
    let restarted = try registry()
    let lease = try #require(await restarted.authenticate(grant.token))
    #expect(lease.isProvisional && lease.ready && !lease.draining)
    #expect(lease.name == "orders-a")
    #expect(lease.address == grant.lease.address)
    #expect(lease.identity == grant.lease.identity)
    #expect(lease.request == grant.lease.request)
    #expect(await restarted.workloads == [lease])
  }

  @Test("a restored workload leaves 15 s after the start unless it registers again")
  func expiry() async throws {
    let grant = try await killedController()
    let restarted = try registry()
    machine.advance(14)
    await restarted.expire()
    #expect(await restarted.workloads.count == 1)
    machine.advance(1)
    await restarted.expire()
    #expect(await restarted.workloads.isEmpty)
    #expect(await restarted.authenticate(grant.token) == nil)
    // And it may still come back afterwards.
    let again = try await restarted.register(request(token: grant.token.text))
    #expect(again.lease.address == grant.lease.address)
    #expect(!again.lease.ready && !again.lease.isProvisional)
  }

  @Test("a restored workload that registers again stays ready and is an ordinary one from then on")
  func takeOver() async throws {
    let grant = try await killedController()
    let restarted = try registry()
    machine.advance(10)
    let again = try await restarted.register(request(token: grant.token.text))
    #expect(again.lease.ready && !again.lease.isProvisional)
    #expect(await restarted.workloads.map(\.id) == [again.lease.id])
    machine.advance(14)
    machine.end(10)
    await restarted.expire()
    #expect(await restarted.authenticate(grant.token)?.id == again.lease.id)
    await restarted.release(again.lease.id)
    #expect(await restarted.workloads.isEmpty)
  }

  @Test("a workload that died with the controller is not restored")
  func deadProcess() async throws {
    let grant = try await killedController()
    machine.end(10)
    let restarted = try registry()
    #expect(await restarted.workloads.isEmpty)
    #expect(await restarted.authenticate(grant.token) == nil)
    await restarted.save()
    #expect(try saved().workloads.isEmpty)
  }

  @Test("a restored workload leaves with its process")
  func watchedProcess() async throws {
    _ = try await killedController()
    let restarted = try registry()
    var changes = restarted.changes.makeAsyncIterator()
    await restarted.expire()
    #expect(await restarted.workloads.count == 1)
    machine.end(10)
    await restarted.expire()
    #expect(await restarted.workloads.isEmpty)
    // The endpoints are compiled anew.
    await changes.next()
  }

  @Test("the name of a restored workload is its own while its process lives, and free at once afterwards")
  func superseded() async throws {
    let grant = try await killedController()
    let restarted = try registry()
    machine.start(11)
    await #expect(throws: RegistryError.nameTaken("orders-a")) {
      try await restarted.register(request(process: 11))
    }
    machine.end(10)
    let other = try await restarted.register(request(process: 11))
    #expect(!other.lease.ready)
    #expect(await restarted.authenticate(grant.token) == nil)
    #expect(await restarted.authenticate(other.token)?.id == other.lease.id)
  }

  @Test("nothing is restored after the machine was restarted: process ids mean other processes")
  func otherBoot() async throws {
    _ = try await killedController()
    #expect(try await registry(boot: "boot-2").workloads.isEmpty)
  }

  @Test("what contradicts the address book is not restored")
  func contradictions() async throws {
    _ = try await killedController()
    let good = try saved()
    for change: (inout SavedRegistrations.Entry) -> Void in [
      { $0.address = "127.66.0.9" }, { $0.namespace = "bank" }, { $0.serviceAccount = "admin" }, { $0.ports = [0] },
    ] {
      var bad = good
      var entry = try #require(bad.workloads["orders-a"])
      change(&entry)
      bad.workloads["orders-a"] = entry
      try AtomicFile.write(bad.json(), to: file)
      #expect(try await registry().workloads.isEmpty)
    }
    var unknown = good
    unknown.workloads["orders-b"] = good.workloads["orders-a"]
    try AtomicFile.write(unknown.json(), to: file)
    #expect(try await registry().workloads.map(\.name) == ["orders-a"])
  }

  @Test("a damaged file of registrations costs nothing but the registrations")
  func damagedFile() async throws {
    let grant = try await killedController()
    try AtomicFile.write("{", to: file)
    let restarted = try registry()
    #expect(await restarted.workloads.isEmpty)
    _ = try await restarted.register(request(token: grant.token.text))
    await restarted.save()
    #expect(try await registry().workloads.map(\.name) == ["orders-a"])
  }

  @Test("workloads that leave because the controller stops are there for the next one")
  func stopped() async throws {
    let registry = try registry()
    let grant = try await registry.register(request())
    await registry.freeze()
    await registry.release(grant.lease.id)
    await registry.save()
    #expect(try await self.registry().workloads.map(\.name) == ["orders-a"])
  }

  @Test("the file is the owner's alone, holds no token, and is written only when something changed")
  func writing() async throws {
    let writes = Mutex(0)
    let registry = try registry(
      calls: AtomicFile.Calls(rename: { from, to in
        if to.hasSuffix("registrations.json") { writes.withLock { $0 += 1 } }
        return rename(from, to)
      }))
    await registry.save()
    #expect(writes.withLock { $0 } == 0)
    let grant = try await registry.register(request())
    await registry.save()
    await registry.save()
    _ = await registry.renew(grant.lease.id, ready: false, draining: false)
    await registry.save()
    #expect(writes.withLock { $0 } == 1)
    _ = await registry.renew(grant.lease.id, ready: true, draining: false)
    await registry.save()
    #expect(writes.withLock { $0 } == 2)
    let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? NSNumber
    #expect(mode?.intValue == 0o600)
    let content = String(decoding: try #require(try AtomicFile.read(file)), as: UTF8.self)
    #expect(!content.contains(grant.token.text) && !content.contains(grant.token.hash))
  }

  @Test("a full disk is logged once and breaks nothing, and is written when there is room again")
  func fullDisk() async throws {
    let isFull = Mutex(false)
    let lines = LineCount()
    let registry = try registry(
      calls: AtomicFile.Calls(write: { descriptor, bytes in
        guard isFull.withLock({ $0 }) else { return write(descriptor, bytes.baseAddress, bytes.count) }
        errno = ENOSPC
        return -1
      }), log: Logger(label: "test") { _ in ErrorLog(count: lines) })
    let grant = try await registry.register(request())
    isFull.withLock { $0 = true }
    for ready in [true, false, true] {
      #expect(await registry.renew(grant.lease.id, ready: ready, draining: false))
      await registry.save()
    }
    #expect(lines.count.withLock { $0 } == 1)
    #expect(await registry.workloads.map(\.ready) == [true])
    isFull.withLock { $0 = false }
    await registry.save()
    #expect(try saved().workloads["orders-a"]?.ready == true)
  }

  @Test("this process runs, an ended one and none do not")
  func probe() throws {
    let probe = ProcessProbe.system
    #expect(probe.isRunning(Int64(getpid())))
    #expect(!probe.boot.isEmpty)
    for none in [0, -1, Int64.max, Int64.min] { #expect(!probe.isRunning(none)) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/true")
    try process.run()
    process.waitUntilExit()
    #expect(!probe.isRunning(Int64(process.processIdentifier)))
  }

  private func saved() throws -> SavedRegistrations {
    try SavedRegistrations(json: #require(try AtomicFile.read(file)))
  }
}

final class LineCount: Sendable {
  let count = Mutex(0)
}

/// Counts the lines of level error.
private struct ErrorLog: LogHandler {
  let count: LineCount
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace

  init(count: LineCount) { self.count = count }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    if event.level == .error { count.count.withLock { $0 += 1 } }
  }
}
