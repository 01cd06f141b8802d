import Foundation
import Logging
import MeshAPI
import MeshControl
import MeshCore
import MeshIdentity
import SwiftProtobuf
import Synchronization
import Testing

/// A directory that vanishes with the test.
final class StateScratch: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/apus-test-XXXXXX".utf8CString)
    path = try #require(mkdtemp(&template).map { String(cString: $0) })
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

let quietLog = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

@Suite struct WorkloadRegistryTests {
  let scratch: StateScratch
  /// Monotonic seconds since the start of the test.
  let time = SharedSeconds()

  final class SharedSeconds: Sendable {
    private let value = Mutex(UInt64(100))
    func advance(_ seconds: UInt64) { value.withLock { $0 += seconds } }
    var now: Instant { Instant(nanoseconds: value.withLock { $0 } * 1_000_000_000) }
  }

  init() throws { scratch = try StateScratch() }

  func registry(
    calls: AtomicFile.Calls = .system, isAddressFree: @escaping @Sendable (SocketAddress) -> Bool = { _ in true }
  ) throws -> WorkloadRegistry {
    let time = time
    return try WorkloadRegistry(
      path: scratch.path + "/addresses.json", trustDomain: "cluster.local",
      clock: ControlClock(wall: { Date(timeIntervalSince1970: 1_800_000_000) }, monotonic: { time.now }),
      log: quietLog, calls: calls, isAddressFree: isAddressFree)
  }

  func request(
    _ service: String = "orders", name: String = "", account: String = "orders", process: Int64 = 10,
    address: String = "", token: String = ""
  ) throws -> WorkloadRequest {
    try WorkloadRequest(
      .with {
        $0.service = service
        $0.namespace = "shop"
        $0.serviceAccount = account
        $0.ports = [8080]
        $0.processID = process
        $0.name = name
        $0.address = address
        $0.joinToken = token
      })
  }

  @Test("workloads get names of their service and addresses of their own from 127.66.0.2 on")
  func grants() async throws {
    let registry = try registry()
    let first = try await registry.register(request())
    let second = try await registry.register(request())
    #expect(first.lease.name.wholeMatch(of: /orders-[a-z0-9]{5}/) != nil)
    #expect(first.lease.address.host == "127.66.0.2")
    #expect(second.lease.address.host == "127.66.0.3")
    #expect(first.token.text.count == 43)
    #expect(first.token != second.token)
    #expect(first.lease.identity.description == "spiffe://cluster.local/ns/shop/sa/orders")
  }

  @Test("an address in use by somebody else is passed over")
  func usedAddress() async throws {
    let registry = try registry(isAddressFree: { $0.host != "127.66.0.2" })
    #expect(try await registry.register(request()).lease.address.host == "127.66.0.3")
  }

  @Test("a restarted workload name keeps its address and gets a new token")
  func restartedWorkload() async throws {
    let registry = try registry()
    let other = try await registry.register(request())
    let first = try await registry.register(request(name: "orders-a"))
    await registry.release(first.lease.id)
    await registry.release(other.lease.id)
    let again = try await registry.register(request(name: "orders-a", process: 11))
    #expect(again.lease.address == first.lease.address)
    #expect(await registry.authenticate(first.token) == nil)
    #expect(await registry.authenticate(again.token)?.name == "orders-a")
  }

  @Test("a token opens its own workload, and only while the lease lives")
  func tokens() async throws {
    let registry = try registry()
    let grant = try await registry.register(request())
    #expect(await registry.authenticate(grant.token)?.id == grant.lease.id)
    #expect(await registry.authenticate(WorkloadToken(text: "guess")) == nil)
    await registry.release(grant.lease.id)
    #expect(await registry.authenticate(grant.token) == nil)
  }

  @Test("no token stands in the state directory")
  func hashedTokens() async throws {
    let registry = try registry()
    let grant = try await registry.register(request())
    let content = String(decoding: try #require(try AtomicFile.read(scratch.path + "/addresses.json")), as: UTF8.self)
    #expect(!content.contains(grant.token.text))
    #expect(content.contains(grant.token.hash))
  }

  @Test("a lease ends 15 s after its last heartbeat")
  func expiry() async throws {
    let registry = try registry()
    let grant = try await registry.register(request())
    time.advance(14)
    #expect(await registry.renew(grant.lease.id, ready: true, draining: false))
    time.advance(14)
    await registry.expire()
    #expect(await registry.workloads.map(\.ready) == [true])
    time.advance(1)
    await registry.expire()
    #expect(await registry.workloads.isEmpty)
    #expect(await !registry.renew(grant.lease.id, ready: true, draining: false))
  }

  @Test("after a restart of the controller a running workload proves its claim and keeps everything")
  func restartedController() async throws {
    let grant = try await registry().register(request(name: "orders-a"))
    let restarted = try registry(isAddressFree: { _ in false })
    // Nothing was saved but the address book: the first controller was killed at once.
    #expect(await restarted.authenticate(grant.token) == nil)
    let again = try await restarted.register(
      request(name: "orders-a", address: "127.66.0.2", token: grant.token.text))
    #expect(again.lease.address == grant.lease.address)
    #expect(again.token == grant.token)
    #expect(await restarted.authenticate(grant.token)?.name == "orders-a")
  }

  @Test("a false claim is refused")
  func falseClaims() async throws {
    let registry = try registry()
    let grant = try await registry.register(request(name: "orders-a"))
    let token = grant.token.text
    for (claim, error) in [
      (try request(name: "orders-a", token: "guess"), RegistryError.wrongToken("orders-a")),
      (try request(name: "orders-a", account: "admin", token: token), .wrongToken("orders-a")),
      (try request(name: "orders-a", address: "127.66.0.9", token: token), .wrongToken("orders-a")),
      (try request(name: "orders-b", token: token), .unknownClaim("orders-b")),
      (try request(name: "orders-a", process: 11), .nameTaken("orders-a")),
    ] {
      await #expect(throws: error) { try await registry.register(claim) }
    }
    #expect(await registry.isLive(grant.lease.id))
  }

  @Test("the same process takes its lease over when its stream broke unnoticed")
  func takeOver() async throws {
    let registry = try registry()
    let first = try await registry.register(request(name: "orders-a"))
    _ = await registry.renew(first.lease.id, ready: true, draining: false)
    let second = try await registry.register(request(name: "orders-a", token: first.token.text))
    await registry.release(first.lease.id)
    #expect(await registry.workloads.map(\.id) == [second.lease.id])
    #expect(await registry.workloads.map(\.ready) == [true])
    #expect(await !registry.renew(first.lease.id, ready: true, draining: false))
  }

  @Test("a full disk refuses the registration and keeps the old state")
  func fullDisk() async throws {
    let working = try registry()
    _ = try await working.register(request(name: "orders-a"))
    let before = try AtomicFile.read(scratch.path + "/addresses.json")
    let full = try registry(
      calls: AtomicFile.Calls(write: { _, _ in
        errno = ENOSPC; return -1
      }))
    let error = await #expect(throws: RegistryError.self) { try await full.register(request(name: "orders-b")) }
    #expect(error?.description.contains("free some space") == true)
    #expect(await full.workloads.isEmpty)
    #expect(try AtomicFile.read(scratch.path + "/addresses.json") == before)
  }

  @Test("a damaged address file stops the start with advice")
  func damagedFile() throws {
    try AtomicFile.write("{", to: scratch.path + "/addresses.json")
    let error = #expect(throws: ControlPlaneError.self) { try registry() }
    #expect(error?.description.contains("remove it") == true)
  }

  @Test("registrations with impossible fields are refused")
  func invalidRequests() {
    let changes: [(inout Apus_V1_WorkloadRegistration) -> Void] = [
      { $0.service = "Orders" }, { $0.namespace = "a.b" }, { $0.serviceAccount = "a/b" }, { $0.name = "-x" },
      { $0.ports = [0] }, { $0.ports = [65_536] }, { $0.ports = Array(1...65) }, { $0.joinToken = "x" },
      { $0.labels = ["": "x"] },
    ]
    for change in changes {
      var message = Apus_V1_WorkloadRegistration.with { $0.service = "orders" }
      #expect(throws: Never.self) { try WorkloadRequest(message) }
      change(&message)
      #expect(throws: RegistryError.self) { try WorkloadRequest(message) }
    }
  }

  @Test("the address book forgets the longest unused name, never a living one")
  func bookLimit() {
    var book = AddressBook()
    for index in 0...AddressBook.maximumEntries {
      let entry = AddressBook.Entry(
        address: "127.66.0.2", namespace: "shop", serviceAccount: "a", tokenHash: "", registered: Int64(index))
      book.record(entry, for: "w\(index)", living: ["w0"])
    }
    #expect(book.entries.count == AddressBook.maximumEntries)
    #expect(book["w0"] != nil)
    #expect(book["w1"] == nil)
  }
}
