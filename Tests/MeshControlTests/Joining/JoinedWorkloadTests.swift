import Foundation
import MeshAPI
import MeshControl
import MeshCore
import SwiftProtobuf
import Testing

/// What the registry makes of workloads that joined without the control socket.
@Suite struct JoinedWorkloadTests {
  let scratch: StateScratch

  init() throws { scratch = try StateScratch() }

  func registry() throws -> WorkloadRegistry {
    try WorkloadRegistry(
      path: scratch.path + "/addresses.json", trustDomain: "cluster.local", log: quietLog, isAddressFree: { _ in true })
  }

  func request(_ claim: WorkloadRegistry.Grant? = nil, name: String = "", process: Int64 = 0) throws -> WorkloadRequest
  {
    try WorkloadRequest(
      .with {
        $0.service = "web"
        $0.namespace = "shop"
        $0.serviceAccount = "web"
        $0.processID = process
        $0.name = claim?.lease.name ?? name
        $0.address = claim?.lease.address.host ?? ""
        $0.joinToken = claim?.token.text ?? ""
      })
  }

  @Test("a workload that joined proves its name by its own token, and only in the way it came")
  func claims() async throws {
    let registry = try registry()
    let joined = try await registry.register(request(), joinedBy: "join_token/a")
    let own = try await registry.register(request())
    #expect(await registry.source(of: joined.lease.name) == "join_token/a")
    #expect(await registry.source(of: own.lease.name) == nil)
    let again = try await registry.register(request(joined), joinedBy: "join_token/a")
    #expect(again.lease.address == joined.lease.address)
    for (claim, source) in [(joined, nil), (joined, "join_token/b"), (own, "join_token/a")] {
      await #expect(throws: RegistryError.wrongToken(claim.lease.name)) {
        try await registry.register(request(claim), joinedBy: source)
      }
    }
  }

  @Test("a process number that came over the network takes nobody's name")
  func processNumbers() async throws {
    let registry = try registry()
    let own = try await registry.register(request(process: 10))
    await #expect(throws: RegistryError.nameTaken(own.lease.name)) {
      try await registry.register(request(name: own.lease.name, process: 10), joinedBy: "join_token/a")
    }
  }

  @Test("ending what joined by a token ends its leases, its credentials and its claims, for the next controller, too")
  func ending() async throws {
    let registry = try registry()
    let joined = try await registry.register(request(), joinedBy: "join_token/a")
    let gone = try await registry.register(request(), joinedBy: "join_token/a")
    let other = try await registry.register(request(), joinedBy: "join_token/b")
    await registry.release(gone.lease.id)
    #expect(await registry.living(joinedBy: "join_token/a") == [joined.lease.name])
    #expect(try await registry.end(joinedBy: "join_token/a") == 1)
    #expect(await registry.authenticate(joined.token) == nil)
    #expect(await registry.authenticate(other.token)?.name == other.lease.name)
    for registry in [registry, try self.registry()] {
      for claim in [joined, gone] {
        await #expect(throws: RegistryError.wrongToken(claim.lease.name)) {
          try await registry.register(request(claim), joinedBy: "join_token/a")
        }
      }
    }
  }

  @Test("the address book forgets what joined before it forgets the owner's")
  func forgetting() {
    var book = AddressBook()
    func entry(_ registered: Int64, _ source: String?) -> AddressBook.Entry {
      AddressBook.Entry(
        address: "127.66.0.9", namespace: "shop", serviceAccount: "web", tokenHash: "x", registered: registered,
        joinedBy: source)
    }
    book.record(entry(1, nil), for: "old", living: [])
    for index in 1..<AddressBook.maximumEntries { book.record(entry(2, "join_token/a"), for: "w\(index)", living: []) }
    book.record(entry(3, nil), for: "new", living: [])
    #expect(book["old"] != nil && book["new"] != nil)
    #expect(book.entries.count == AddressBook.maximumEntries)
  }
}
