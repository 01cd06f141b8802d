import Foundation
import Glibc
import Logging
import MeshAPI
import MeshControl
import MeshCore
import MeshIdentity
import SwiftProtobuf
import Synchronization
import Testing

/// Wall time that a test moves.
final class SharedWall: Sendable {
  private let value = Mutex<Int64>(1_800_000_000)
  func advance(_ seconds: Int64) { value.withLock { $0 += seconds } }
  var clock: ControlClock {
    ControlClock(
      wall: { Date(timeIntervalSince1970: TimeInterval(self.value.withLock { $0 })) },
      monotonic: { Instant(nanoseconds: 1_000_000_000) })
  }
}

@Suite struct JoinTokenStoreTests {
  let scratch: StateScratch
  let wall = SharedWall()

  init() throws { scratch = try StateScratch() }

  var path: String { scratch.path + "/join-tokens.json" }

  func store(calls: AtomicFile.Calls = .system, living count: Int = 0) throws -> JoinTokenStore {
    try JoinTokenStore(path: path, clock: wall.clock, log: quietLog, calls: calls) { _ in count }
  }

  func order(uses: Int? = 1, lifetime: Int64 = 3_600, labels: [String: String] = [:]) throws -> JoinTokenOrder {
    try JoinTokenOrder(
      namespace: "shop", serviceAccount: "web", service: "web", labels: labels, lifetime: lifetime, uses: uses)
  }

  func request(
    namespace: String = "shop", account: String = "web", service: String = "web", labels: [String: String] = [:],
    name: String = ""
  ) throws -> WorkloadRequest {
    try WorkloadRequest(
      .with {
        $0.namespace = namespace
        $0.serviceAccount = account
        $0.service = service
        $0.labels = labels
        $0.ports = [8080]
        $0.name = name
      })
  }

  @Test("a token of one use is good once, and the second showing is a replay")
  func once() async throws {
    let store = try store()
    let token = try await store.create(order())
    let attestation = try await store.attest(token.text, for: request())
    #expect(attestation.source == "join_token/\(token.id)")
    #expect(attestation.request.ports == [8080])
    await #expect(throws: AttestationRefusal.replayed(token.id)) { try await store.attest(token.text, for: request()) }
    #expect(await store.tokens.first?.state == .spent)
  }

  @Test("of fifty that show a token of one use at once, one gets in")
  func simultaneous() async throws {
    let store = try store()
    let token = try await store.create(order())
    let request = try request()
    let admitted = await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<50 {
        group.addTask { (try? await store.attest(token.text, for: request)) != nil }
      }
      return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
    #expect(admitted == 1)
  }

  @Test("a spent token is spent for the next controller, too")
  func replayAfterRestart() async throws {
    let token = try await { () async throws in
      let store = try store()
      let token = try await store.create(order(uses: 2))
      _ = try await store.attest(token.text, for: request())
      return token
    }()
    let second = try store()
    _ = try await second.attest(token.text, for: request())
    let third = try store()
    await #expect(throws: AttestationRefusal.replayed(token.id)) { try await third.attest(token.text, for: request()) }
  }

  @Test("a use that cannot be written down is refused, and is not lost")
  func fullDisk() async throws {
    let token = try await store().create(order())
    let calls = AtomicFile.Calls(write: { _, _ in
      errno = ENOSPC
      return -1
    })
    let full = try store(calls: calls)
    let error = await #expect(throws: AttestationRefusal.self) { try await full.attest(token.text, for: request()) }
    #expect(error?.reason == "storage")
    _ = try await store().attest(token.text, for: request())
  }

  @Test("a use whose registration failed is given back")
  func givenBack() async throws {
    let store = try store()
    let token = try await store.create(order())
    await store.restore(try await store.attest(token.text, for: request()))
    _ = try await store.attest(token.text, for: request())
  }

  @Test("neither the file nor a list holds the secret")
  func hashed() async throws {
    let store = try store()
    let token = try await store.create(order())
    let content = String(decoding: try #require(try AtomicFile.read(path)), as: UTF8.self)
    #expect(content.contains(token.id) && content.contains(Secret.hash(of: token.secret)))
    #expect(!content.contains(token.secret))
    #expect(token.secret.utf8.count == 43)
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
    #expect(mode?.intValue == 0o600)
  }

  @Test("a token ends with its time, and when it is revoked")
  func ends() async throws {
    let store = try store()
    let short = try await store.create(order(uses: nil, lifetime: 60))
    let long = try await store.create(order(uses: nil))
    _ = try await store.attest(short.text, for: request())
    wall.advance(59)
    _ = try await store.attest(short.text, for: request())
    wall.advance(1)
    await #expect(throws: AttestationRefusal.expired(short.id)) { try await store.attest(short.text, for: request()) }
    _ = try await store.attest(long.text, for: request())
    try await store.revoke(long.id)
    await #expect(throws: AttestationRefusal.revoked(long.id)) { try await store.attest(long.text, for: request()) }
    await #expect(throws: RegistryError.unknownJoinToken("zzzzzzzz")) { try await store.revoke("zzzzzzzz") }
  }

  @Test("what is no token, or not quite one, is refused without a word about tokens that exist")
  func guesses() async throws {
    let store = try store()
    let token = try await store.create(order())
    for (text, refusal) in [
      ("", AttestationRefusal.malformed), ("apus1.", .malformed), ("apus1.short.x", .malformed),
      (token.id, .malformed), (token.secret, .malformed), ("apus2.\(token.id).\(token.secret)", .malformed),
      ("apus1.\(token.id).", .malformed), ("apus1.\(token.id).\(token.secret).x", .malformed),
      ("apus1.\(token.id.uppercased()).\(token.secret)", .malformed),
      ("apus1.../../x.\(token.secret)", .malformed),
      (token.text + String(repeating: "A", count: 128), .malformed),
      ("apus1.bbbbbbbb.\(token.secret)", .unknown), ("apus1.\(token.id).\(token.secret)A", .unknown),
      ("apus1.\(token.id).\(token.secret.dropLast())", .unknown), ("apus1.\(token.id).A", .unknown),
    ] {
      await #expect(throws: refusal, "\(text)") { try await store.attest(text, for: request()) }
    }
    _ = try await store.attest(token.text, for: request())
  }

  @Test("a token is good for nothing but its own account, service and labels, and a wrong try does not spend it")
  func bound() async throws {
    let store = try store()
    let token = try await store.create(order(labels: ["version": "v1"]))
    for (request, reason) in [
      (try request(namespace: "payments"), "wrong_namespace"),
      (try request(account: "admin"), "wrong_service_account"),
      (try request(service: "orders"), "wrong_service"),
      (try request(service: ""), "wrong_service"),
      (try request(labels: ["app": "orders"]), "wrong_label"),
      (try request(labels: ["version": "v2"]), "wrong_label"),
      (try request(labels: ["version": "v1", "topology.kubernetes.io/zone": "a"]), "wrong_label"),
      (try request(name: "orders-abcde"), "wrong_name"),
    ] {
      let refusal = await #expect(throws: AttestationRefusal.self) { try await store.attest(token.text, for: request) }
      #expect(refusal?.reason == reason)
    }
    let attestation = try await store.attest(token.text, for: request())
    #expect(attestation.request.labels == ["version": "v1"])
  }

  @Test("who joined may register again after its token has ended, as what the token made it and nothing more")
  func again() async throws {
    let store = try store()
    let token = try await store.create(order())
    let source = try await store.attest(token.text, for: request()).source
    try await store.revoke(token.id)
    #expect(try await store.confirm(source, for: request(name: "web-abcde")).source == source)
    let refusal = await #expect(throws: AttestationRefusal.self) {
      try await store.confirm(source, for: request(service: "orders", name: "web-abcde"))
    }
    #expect(refusal?.reason == "wrong_service")
    await #expect(throws: AttestationRefusal.unknown) { try await store.confirm("join_token/bbbbbbbb", for: request()) }
    await #expect(throws: AttestationRefusal.unknown) { try await store.confirm("other/\(token.id)", for: request()) }
  }

  @Test("one token has a limit of living workloads")
  func crowd() async throws {
    let store = try store(living: JoinTokenStore.maximumWorkloads)
    let token = try await store.create(order(uses: nil))
    await #expect(throws: AttestationRefusal.tooManyWorkloads(JoinTokenStore.maximumWorkloads)) {
      try await store.attest(token.text, for: request())
    }
  }

  @Test("orders that make no sense are refused")
  func orders() throws {
    for (lifetime, uses) in [(Int64(0), 1), (-1, 1), (JoinTokenOrder.maximumLifetime + 1, 1), (60, 0), (60, -1)] {
      #expect(throws: RegistryError.self) { try order(uses: uses, lifetime: lifetime) }
    }
    #expect(throws: RegistryError.self) {
      try JoinTokenOrder(namespace: "Shop", serviceAccount: "web", service: "web", lifetime: 60, uses: 1)
    }
    #expect(throws: RegistryError.self) {
      try JoinTokenOrder(namespace: "shop", serviceAccount: "web", service: "", lifetime: 60, uses: 1)
    }
  }

  @Test("a damaged file stops the start with advice")
  func damaged() throws {
    try AtomicFile.write("{", to: path)
    #expect(throws: ControlPlaneError.self) { try store() }
  }
}
