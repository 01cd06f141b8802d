import Foundation
import MeshAPI
import MeshCore
import MeshIdentity
import MeshPolicy
import SwiftProtobuf
import Synchronization
import Testing

@testable import MeshControl

@Suite struct AuthorityKeeperTests {
  let scratch: StateScratch

  init() throws { scratch = try StateScratch() }

  /// What members were told, and what the disk held at that moment.
  private final class Members: Sendable {
    private let told = Mutex<[(AuthorityKeeper.NumberedBundle, stored: AuthorityState)]>([])
    let store: AuthorityStore

    init(_ store: AuthorityStore) { self.store = store }

    func hear(_ news: AuthorityKeeper.NumberedBundle) {
      guard let stored = try? store.loadOrCreate(now: Date()) else { return }
      told.withLock { $0.append((news, stored)) }
    }

    var bundles: [TrustBundle] { told.withLock { $0.map(\.0.bundle) } }
    var numbers: [UInt64] { told.withLock { $0.map(\.0.number) } }
    var storedSigners: [String] { told.withLock { $0.map(\.stored.signer.id) } }
  }

  private var store: AuthorityStore { AuthorityStore(directory: scratch.path + "/ca") }

  private func keeper() async throws -> (AuthorityKeeper, Members) {
    let members = Members(store)
    let keeper = try AuthorityKeeper(store: store, clock: .system, log: quietLog)
    await keeper.start { members.hear($0) }
    return (keeper, members)
  }

  private let ready = [WorkloadTrust(name: "a", isConnected: true, trusts: true, holds: true)]
  private let waiting = [WorkloadTrust(name: "a", isConnected: true, trusts: false, holds: false)]

  private func advance(_ keeper: AuthorityKeeper, _ seen: [WorkloadTrust]) async throws -> Bool {
    try await keeper.advance(TrustSurvey(seen, number: await keeper.news.number))
  }

  private func anchorCount(_ bundle: TrustBundle) -> Int {
    bundle.anchorsPEM.components(separatedBy: "BEGIN CERTIFICATE").count - 1
  }

  @Test("members hear of each step of a rotation after it is on disk, and sign by it from then on")
  func steps() async throws {
    let (keeper, members) = try await keeper()
    let old = await keeper.bundle
    try await keeper.rotate(.newRoot, pauses: false)
    #expect(try await !advance(keeper, waiting))
    while try await advance(keeper, ready) {}
    #expect(members.bundles.map(anchorCount) == [2, 2, 1, 1])
    #expect(members.bundles.map(\.signer).first == old.signer && members.bundles[1].signer != old.signer)
    #expect(members.storedSigners == members.bundles.map(\.signer))
    #expect(members.numbers == [1, 2, 3, 4])
    #expect(keeper.holder.current.issuer.id == members.bundles.last?.signer)
    #expect(await keeper.state.rotation == nil)
  }

  @Test("the next controller goes on where the last one ended, in every phase")
  func resumption() async throws {
    var (keeper, _) = try await keeper()
    try await keeper.rotate(.newRoot, pauses: false)
    var phases: [AuthorityState.Phase?] = []
    while await keeper.state.rotation != nil {
      phases.append(await keeper.state.rotation?.phase)
      let before = await keeper.bundle
      (keeper, _) = try await self.keeper()
      #expect(await keeper.bundle == before)
      _ = try await advance(keeper, ready)
    }
    #expect(phases == [.trust, .reissue, .retire])
  }

  @Test("what was seen of an earlier bundle moves nothing")
  func outdatedSurvey() async throws {
    let (keeper, _) = try await keeper()
    let early = TrustSurvey(ready, number: await keeper.news.number)
    try await keeper.rotate(.newRoot, pauses: true)
    #expect(try await !keeper.advance(early))
    await #expect(throws: RotationError.changed) { try await keeper.release(early, leaveAbsent: false) }
    #expect(await keeper.state.rotation?.phase == .trust)
    try await keeper.release(TrustSurvey(ready, number: await keeper.news.number), leaveAbsent: false)
    #expect(await keeper.state.rotation?.phase == .reissue)
  }

  @Test("those who hold leases hear of other anchors")
  func holders() async throws {
    let (keeper, _) = try await keeper()
    let changes = keeper.holder.changes()
    try await keeper.rotate(.newRoot, pauses: false)
    var iterator = changes.makeAsyncIterator()
    #expect(await iterator.next() != nil)
    #expect(keeper.holder.current.anchors.count == 2)
  }

  @Test("what is revoked is in the bundle at once, outlives the controller, and can be taken back")
  func revocation() async throws {
    let (keeper, members) = try await keeper()
    let web = SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "web")
    var change = AuthorityKeeper.Change()
    change.identities = [web.description]
    change.serials = ["0F:A2"]
    try await keeper.revoke(change)
    #expect(members.bundles.last?.deniedIdentities == [web.description])
    #expect(members.bundles.last?.deniedSerials == ["0fa2"])
    #expect(await keeper.isDenied(web))
    let (next, _) = try await self.keeper()
    #expect(await next.isDenied(web))
    let revoked = await keeper.bundle
    #expect(await next.bundle.contentHash == revoked.contentHash)
    try await next.restore(change)
    #expect(await !next.isDenied(web))
    #expect(await next.bundle.deniedSerials.isEmpty)
    #expect(await next.bundle.contentHash != revoked.contentHash)
    change.identities = ["shop/web"]
    await #expect(throws: RevocationError.noIdentity("shop/web")) { try await next.revoke(change) }
    #expect(await next.revocations.isEmpty, "all of a change or nothing")
  }

  @Test("a controller does not start over revocations that it cannot read")
  func damagedRevocations() async throws {
    _ = try await keeper()
    try AtomicFile.write("{", to: scratch.path + "/ca/revocations.json")
    await #expect(throws: ControlPlaneError.self) { try await keeper() }
  }

  @Test("a generated issuer is due after two thirds of its life, one that would gain nothing never is")
  func renewal() async throws {
    func isDue(after seconds: TimeInterval, _ maker: AuthorityMaker) async throws -> Bool {
      let scratch = try StateScratch()
      let start = Date(timeIntervalSince1970: 1_800_000_000)
      let store = AuthorityStore(directory: scratch.path + "/ca", maker: maker)
      _ = try store.loadOrCreate(now: start)
      let clock = ControlClock(wall: { start.addingTimeInterval(seconds) }, monotonic: { Instant(nanoseconds: 0) })
      return try await AuthorityKeeper(store: store, clock: clock, log: quietLog).isIssuerDue()
    }
    let maker = AuthorityMaker(rootLifetime: 10_000, issuerLifetime: 3000)
    #expect(try await !isDue(after: 1900, maker))
    #expect(try await isDue(after: 2100, maker))
    #expect(try await !isDue(after: 2100, AuthorityMaker(rootLifetime: 3000, issuerLifetime: 3000)))
  }

  @Test("a proxy's report counts for the stream that it came on, and no longer")
  func reports() async throws {
    let hub = DiscoveryHub()
    var session = DiscoverySession(workload: "web-1", namespace: "shop")
    _ = try session.receive(.with { $0.hello = .init() })
    let report = Apus_V1_IdentityReport.with {
      $0.serial = "0fa2"
      $0.signer = "00ff"
      $0.trustHash = 7
    }
    #expect(try session.receive(.with { $0.identity = report }) == false)
    let (first, _) = await hub.open(workload: "web-1")
    await hub.record(session, of: first)
    #expect(await hub.statuses["web-1"]?.identity == ReportedIdentity(serial: "0fa2", signer: "00ff", trustHash: 7))
    _ = await hub.open(workload: "web-1")
    #expect(await hub.statuses["web-1"]?.identity == nil)
    await hub.record(session, of: first)
    #expect(await hub.statuses["web-1"]?.identity == nil, "an older stream does not speak for the proxy")
  }
}
