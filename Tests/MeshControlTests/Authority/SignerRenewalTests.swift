import Crypto
import Foundation
import MeshCore
import MeshIdentity
import SwiftASN1
import Synchronization
import Testing
import X509

@testable import MeshControl

/// The controller has its issuers signed by an authority outside, and renewed.
@Suite struct SignerRenewalTests {
  let scratch: StateScratch
  let clock = TestClock()
  let company: CompanyAuthority
  let metrics = ControllerMetrics()

  /// Keys are slow to make in debug builds.
  private static let shared = Result { try CompanyAuthority(now: TestClock.start) }

  init() throws {
    scratch = try StateScratch()
    company = try Self.shared.get()
    try AtomicFile.write(try company.rootPEM, to: scratch.path + "/roots.pem")
  }

  private var directory: String { scratch.path + "/ca" }

  /// What a company's signer does on a good day.
  private func good(_ wish: CompanyAuthority.Wish = .init()) -> FakeSigner.Answer {
    { [company, clock] order in try company.chain(for: order, wish, now: clock.now) }
  }

  private func keeper(
    _ signer: FakeSigner, trustsItsRoot: Bool = true, calls: AtomicFile.Calls = .init(synchronize: { _ in 0 })
  ) async throws -> AuthorityKeeper {
    let store = AuthorityStore(directory: directory, calls: calls)
    let keeper = try AuthorityKeeper(store: store, clock: clock.control, log: quietLog)
    await keeper.attach(
      ExternalAuthority(
        signer: signer, rootFile: trustsItsRoot ? scratch.path + "/roots.pem" : nil, leafLifetimeSeconds: 60),
      metrics: metrics)
    return keeper
  }

  /// Nobody is there to be waited for.
  private func finish(_ keeper: AuthorityKeeper) async throws {
    while try await keeper.advance(TrustSurvey([], number: await keeper.news.number)) {}
  }

  /// A mesh whose issuer is the signer's.
  private func settled(_ signer: FakeSigner) async throws -> AuthorityKeeper {
    let keeper = try await keeper(signer)
    await keeper.renewFromSigner()
    try await finish(keeper)
    #expect(await keeper.state.settled.source == .external)
    return keeper
  }

  private func result(_ name: String) -> UInt64 { metrics.value(.issuerRequests, name) }

  // MARK: - When

  @Test("a mesh with a signer goes over to it at once, by way of trust in both roots")
  func firstIssuance() async throws {
    let signer = FakeSigner(good())
    let keeper = try await keeper(signer)
    #expect(await keeper.renewalStanding.due == 0)
    await keeper.renewFromSigner()
    #expect(await keeper.state.rotation?.phase == .trust)
    #expect(keeper.holder.current.anchors.count == 2 && keeper.holder.current.anchors.contains(company.root))
    await keeper.renewFromSigner()
    try await finish(keeper)
    await keeper.renewFromSigner()
    #expect(signer.orders.count == 1, "neither while a rotation is under way nor after it")
    #expect(signer.orders[0].lifetimeSeconds == 90 * 86_400 && signer.orders[0].trustDomain == "cluster.local")
    #expect(keeper.holder.current.anchors == [company.root])
    #expect(keeper.holder.current.issuer.chain.map(\.publicKey).last == company.intermediate.publicKey)
    #expect(await keeper.state.settled.rootKeyFile == nil)
    #expect(result("issued") == 1)
  }

  @Test("an issuer of the signer is renewed after three fifths of the life that it had left, though it was dated back")
  func renewal() async throws {
    let signer = FakeSigner(good())
    let keeper = try await settled(signer)
    let first = keeper.holder.current.issuer.id
    let due = try #require(await keeper.renewalStanding.due)
    #expect((2160...2376).contains(due - Int64(TestClock.start.timeIntervalSince1970)))
    clock.move(to: due - 1)
    await keeper.renewFromSigner()
    #expect(signer.orders.count == 1)
    clock.move(to: due)
    await keeper.renewFromSigner()
    #expect(await keeper.state.rotation?.phase == .reissue, "nobody's trust changes")
    #expect(keeper.holder.current.anchors == [company.root])
    try await finish(keeper)
    #expect(keeper.holder.current.issuer.id != first)
    #expect(try Set(signer.keys).count == 2, "a key of its own")
  }

  @Test("an imported issuer is renewed by the signer in its time, a person's wish at once")
  func wishes() async throws {
    let signer = FakeSigner(good())
    let keeper = try await settled(signer)
    try await keeper.rotate(.newIssuer, pauses: false)
    try await finish(keeper)
    #expect(signer.orders.count == 2)
    await #expect(throws: RotationError.rootOfSigner) { try await keeper.rotate(.newRoot, pauses: false) }
    let csr = try await keeper.signingRequest()
    let chain = try company.chain(
      for: SigningOrder(requestPEM: csr, trustDomain: "", lifetimeSeconds: 1), now: clock.now)
    try await keeper.rotate(.imported(chainPEM: chain, keyPEM: nil), pauses: false)
    try await finish(keeper)
    await keeper.renewFromSigner()
    #expect(await keeper.state.settled.source == .imported && signer.orders.count == 2)
    clock.advance(2400)
    await keeper.renewFromSigner()
    #expect(signer.orders.count == 3)
  }

  @Test("a workload that is away does not hold up renewals: its leaf brings the issuer along that signed it")
  func absentWorkload() async throws {
    let signer = FakeSigner(good())
    let keeper = try await settled(signer)
    try await keeper.rotate(.newIssuer, pauses: false)
    let second = keeper.holder.current.issuer.id
    let away = [WorkloadTrust(name: "a", isConnected: false, trusts: false, holds: false)]
    #expect(try await !keeper.advance(TrustSurvey(away, number: await keeper.news.number)))
    await keeper.renewFromSigner()
    #expect(signer.orders.count == 2, "not due")
    clock.advance(2400)
    await keeper.renewFromSigner()
    #expect(signer.orders.count == 3)
    #expect(await keeper.state.rotation?.from.id == second)
    #expect(keeper.holder.current.issuer.id != second && keeper.holder.current.anchors == [company.root])
  }

  @Test("a rotation that was turned back is not begun again at once")
  func turnedBack() async throws {
    let signer = FakeSigner(good())
    let keeper = try await keeper(signer)
    await keeper.renewFromSigner()
    try await keeper.abort()
    clock.advance(3599)
    await keeper.renewFromSigner()
    #expect(signer.orders.count == 1)
    clock.advance(2)
    await keeper.renewFromSigner()
    #expect(signer.orders.count == 2)
  }

  // MARK: - Failures

  @Test("a signer that fails is asked again more and more rarely, and when it says; the issuer stays")
  func backOff() async throws {
    let signer = FakeSigner { _ in throw SignerError(.unavailable, "busy") }
    let keeper = try await keeper(signer)
    let before = await keeper.bundle
    var waits: [TimeInterval] = []
    for attempt in 1...12 {
      let from = clock.now
      repeat {
        await keeper.renewFromSigner()
        if signer.orders.count < attempt { clock.advance(0.5) }
      } while signer.orders.count < attempt
      waits.append(clock.now.timeIntervalSince(from))
    }
    #expect(waits[0] == 0 && waits[1] >= 1 && waits[1] <= 2.5)
    #expect(waits[11] >= 450 && waits[11] <= 900.5)
    #expect(await keeper.bundle == before)
    let trouble = try #require(await keeper.renewalStanding.trouble)
    #expect(trouble.failures == 12 && trouble.text == "busy")
    #expect(trouble.since == Int64(TestClock.start.timeIntervalSince1970))
    #expect(result("unavailable") == 12)

    signer.answer { _ in throw SignerError(.unavailable, "busy", retryAfter: .seconds(1200)) }
    clock.advance(901)
    await keeper.renewFromSigner()
    clock.advance(1199)
    await keeper.renewFromSigner()
    #expect(signer.orders.count == 13)
    clock.advance(1)
    signer.answer(good())
    await keeper.renewFromSigner()
    #expect(signer.orders.count == 14)
    #expect(await keeper.renewalStanding.trouble == nil)
    #expect(try Set(signer.keys).count == 1, "one key until it is signed")
  }

  @Test("what a signer signs wrongly is refused, with the reason; issuer and keys stay", arguments: Mistake.all)
  func wrongChain(_ mistake: Mistake) async throws {
    let keeper = try await settled(FakeSigner(good()))
    let inForce = keeper.holder.current.issuer
    let signer = FakeSigner(try mistake.answer(company, inForce, clock))
    await keeper.attach(
      ExternalAuthority(signer: signer, rootFile: scratch.path + "/roots.pem", leafLifetimeSeconds: 60),
      metrics: metrics)
    do {
      try await keeper.rotate(.newIssuer, pauses: false)
      Issue.record("taken: \(mistake)")
    } catch {
      #expect("\(error)".contains(mistake.text), "\(mistake)")
    }
    #expect(result("unusable") == 1)
    #expect(await keeper.state.rotation == nil && keeper.holder.current.issuer.id == inForce.id)
    // The next controller finds them whole.
    let next = try await self.keeper(signer)
    #expect(next.holder.current.issuer.id == inForce.id)
    await next.renewFromSigner()
    #expect(signer.orders.count == 1)
  }

  @Test("a root that nobody has named is not trusted, whoever signs with it")
  func foreignRoot() async throws {
    let keeper = try await keeper(FakeSigner(good()), trustsItsRoot: false)
    await keeper.renewFromSigner()
    let trouble = try #require(await keeper.renewalStanding.trouble)
    #expect(trouble.text.contains("Company") && trouble.text.contains("--signer-root"))
    #expect(keeper.holder.current.anchors.count == 1 && keeper.holder.current.anchors != [company.root])
  }

  @Test("the signer's next root comes in by the file, and the mesh goes over to it step by step")
  func nextRoot() async throws {
    let signer = FakeSigner(good())
    let keeper = try await settled(signer)
    let next = try CompanyAuthority("Company 2", now: clock.now)
    signer.answer { [clock] order in try next.chain(for: order, now: clock.now) }
    await #expect(throws: SignerError.self) { try await keeper.rotate(.newIssuer, pauses: false) }
    try AtomicFile.write(try next.rootPEM + company.rootPEM, to: scratch.path + "/roots.pem")
    try await keeper.rotate(.newIssuer, pauses: false)
    #expect(await keeper.state.rotation?.phase == .trust)
    #expect(keeper.holder.current.anchors == [company.root, next.root])
    try await finish(keeper)
    #expect(keeper.holder.current.anchors == [next.root])
  }

  @Test("who is quicker than the signer wins, and the signer is not blamed")
  func overtaken() async throws {
    let signer = FakeSigner(good())
    let keeper = try await settled(signer)
    signer.answer { [company, clock] order in
      try await keeper.rotate(
        .imported(
          chainPEM: company.chain(
            for: SigningOrder(requestPEM: keeper.signingRequest(), trustDomain: "", lifetimeSeconds: 1), now: clock.now),
          keyPEM: nil), pauses: true)
      await #expect(throws: RotationError.underWay(.reissue)) { try await keeper.rotate(.newIssuer, pauses: false) }
      return try company.chain(for: order, now: clock.now)
    }
    await #expect(throws: RotationError.underWay(.reissue)) { try await keeper.rotate(.newIssuer, pauses: false) }
    #expect(await keeper.renewalStanding.trouble == nil)
    #expect(await keeper.state.signer.source == .imported)
  }

  @Test("the signer has one request at a time")
  func oneRequest() async throws {
    let signer = FakeSigner(good())
    let keeper = try await settled(signer)
    signer.answer { [company, clock] order in
      await #expect(throws: RotationError.signerIsAsked) { try await keeper.rotate(.newIssuer, pauses: false) }
      return try company.chain(for: order, now: clock.now)
    }
    try await keeper.rotate(.newIssuer, pauses: false)
    #expect(signer.orders.count == 2)
  }

  // MARK: - Crashes

  @Test("an issuer that ended while no controller ran is made anew before anything else")
  func revival() async throws {
    let signer = FakeSigner(good())
    let old = try await settled(signer).holder.current.issuer
    clock.advance(4000)
    let keeper = try await keeper(signer)
    #expect(clock.now > old.notAfter)
    try await keeper.revive()
    #expect(keeper.holder.current.issuer.notAfter > clock.now && signer.orders.count == 2)
  }

  @Test("without a signer that can be asked, or under another root, nothing is revived in the signer's name")
  func noRevival() async throws {
    let settled = try await settled(FakeSigner(good()))
    clock.advance(4000)
    let other = try CompanyAuthority("Company 2", now: clock.now)
    try AtomicFile.write(try other.rootPEM, to: scratch.path + "/roots.pem")
    let keeper = try await keeper(FakeSigner { [clock] order in try other.chain(for: order, now: clock.now) })
    await #expect(throws: SignerError.self) { try await keeper.revive() }
    #expect(await keeper.state == settled.state, "members could not follow while nobody signs")
  }

  @Test("an issuer of the mesh's own that has ended is made anew here, and the signer is asked after that")
  func revivalHere() async throws {
    _ = try AuthorityStore(directory: directory, maker: AuthorityMaker(issuerLifetime: 1000))
      .loadOrCreate(now: clock.now)
    clock.advance(2000)
    let signer = FakeSigner(good())
    let keeper = try await keeper(signer)
    try await keeper.revive()
    #expect(keeper.holder.current.issuer.notAfter > clock.now && signer.orders.isEmpty)
    try await finish(keeper)
    await keeper.renewFromSigner()
    #expect(signer.orders.count == 1)
  }

  @Test("a renewal that is cut off at any system call is found whole, and goes on with the same key")
  func crashAnywhere() async throws {
    var cuts = 0
    for allowed in 0... {
      let fresh = try SignerRenewalTests()
      let signer = FakeSigner(fresh.good())
      let settled = try await fresh.settled(signer)
      let before = settled.holder.current.issuer.id
      fresh.clock.advance(2400)
      let crash = CrashingCalls(after: allowed)
      try await fresh.keeper(signer, calls: crash.calls).renewFromSigner()
      guard crash.happened else { break }
      cuts += 1
      let next = try await fresh.keeper(signer)
      // Whatever was cut off: what is in force has its key, and is the old issuer or the new one.
      if await next.state.rotation == nil { #expect(next.holder.current.issuer.id == before, "cut \(allowed)") }
      await next.renewFromSigner()
      try await fresh.finish(next)
      let last = await next.state
      #expect(last.settled.id != before && last.settled.source == .external, "cut \(allowed)")
      let asked = try signer.keys.dropFirst()
      #expect(Set(asked).count == 1, "cut \(allowed): one key, however often it was asked")
    }
    #expect(cuts > 5)
  }

  @Test("a pending key that is in force is not asked for again")
  func usedKey() async throws {
    let signer = FakeSigner(good())
    let keeper = try await settled(signer)
    let inForce = try #require(try AtomicFile.read(directory + "/" + (await keeper.state.settled.keyFile)))
    try AtomicFile.write(inForce, to: directory + "/pending-signer.key.pem")
    try await keeper.rotate(.newIssuer, pauses: false)
    #expect(try Set(signer.keys).count == 2)
    let keys = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".key.pem") }
    #expect(Set(keys) == (await keeper.state.keyFiles), "and is gone")
  }
}

/// Lets `allowed` system calls happen; every later one fails, as for a process that is gone.
private final class CrashingCalls: Sendable {
  private let left: Mutex<Int>

  init(after allowed: Int) { left = Mutex(allowed) }

  var happened: Bool { left.withLock { $0 < 0 } }

  var calls: AtomicFile.Calls {
    AtomicFile.Calls(
      write: { [self] in next() ? Glibc.write($0, $1.baseAddress, $1.count) : -1 },
      // The order of the calls is what counts here; whether they reach a disk would cost seconds.
      synchronize: { [self] _ in next() ? 0 : -1 },
      rename: { [self] in next() ? Glibc.rename($0, $1) : -1 })
  }

  private func next() -> Bool {
    let lives = left.withLock { left in
      left -= 1
      return left >= 0
    }
    if !lives { errno = EIO }
    return lives
  }
}
