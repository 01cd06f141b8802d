import MeshIdentity
import Testing

@Suite struct AuthorityStateTests {
  static func signer(_ name: String, root: String) -> AuthorityState.Signer {
    AuthorityState.Signer(
      id: name, chainPEM: "chain of \(name)", rootPEM: root, keyFile: "\(name).key.pem",
      rootKeyFile: "\(root).key.pem", source: .generated)
  }

  static let old = signer("old", root: "A")
  static let new = signer("new", root: "B")
  static let sibling = signer("sibling", root: "A")

  private func rotating(to signer: AuthorityState.Signer = new, pauses: Bool = false) throws -> AuthorityState {
    var state = AuthorityState(settled: Self.old)
    try state.begin(signer, pauses: pauses, now: 1)
    return state
  }

  private func workload(
    _ name: String, connected: Bool = true, trusts: Bool = true, holds: Bool = true
  ) -> WorkloadTrust {
    WorkloadTrust(name: name, isConnected: connected, trusts: trusts, holds: holds)
  }

  @Test("a root goes from trust over reissue and retire to its end, each step once everybody has confirmed")
  func root() throws {
    var state = try rotating()
    #expect(state.anchorsPEM == ["A", "B"] && state.signer == Self.old)
    #expect(state.advance([workload("a"), workload("b", trusts: false)], now: 2) == false)
    #expect(state.blockers([workload("a"), workload("b", trusts: false)]) == ["b"])
    #expect(state.advance([workload("a", holds: false)], now: 3) == true)
    #expect(state.rotation?.phase == .reissue && state.anchorsPEM == ["A", "B"] && state.signer == Self.new)
    #expect(state.advance([workload("a", holds: false)], now: 4) == false)
    #expect(state.advance([workload("a")], now: 5) == true)
    #expect(state.rotation?.phase == .retire && state.anchorsPEM == ["B"] && state.signer == Self.new)
    #expect(state.advance([workload("a", trusts: false)], now: 6) == false)
    #expect(state.advance([workload("a")], now: 7) == true)
    #expect(state.rotation == nil && state.settled == Self.new && state.anchorsPEM == ["B"])
    #expect(state.advance([workload("a")], now: 8) == false)
  }

  @Test("an issuer below the same root is replaced in one step, and its root stays the only anchor")
  func issuer() throws {
    var state = try rotating(to: Self.sibling)
    #expect(state.rotation?.phase == .reissue && state.anchorsPEM == ["A"] && state.signer == Self.sibling)
    #expect(state.advance([workload("a", holds: false)], now: 2) == false)
    #expect(state.advance([workload("a")], now: 3) == true)
    #expect(state.rotation == nil && state.settled == Self.sibling)
  }

  /// Every way through the machine: after any sequence of reports and words, no signer is in force that a confirmed member would
  /// not believe, and no anchor is gone that a member's leaf needs.
  @Test("no order of reports and words breaks a member")
  func exhaustive() throws {
    struct Member: Hashable { var anchors: Set<String>, leafRoot: String }
    struct World: Hashable { var state: AuthorityState, members: [Member] }
    func survey(_ world: World) -> [WorkloadTrust] {
      world.members.enumerated().map { index, member in
        workload(
          "\(index)", trusts: member.anchors == Set(world.state.anchorsPEM),
          holds: member.leafRoot == world.state.signer.rootPEM)
      }
    }
    var seen: Set<World> = []
    var queue = [
      World(state: try rotating(), members: Array(repeating: Member(anchors: ["A"], leafRoot: "A"), count: 2))
    ]
    while let world = queue.popLast() {
      guard seen.insert(world).inserted else { continue }
      for a in world.members {
        for b in world.members {
          #expect(a.anchors.contains(b.leafRoot), "\(world)")
        }
        // The controller shows a certificate of the issuer in force, and gives one to whoever joins.
        #expect(a.anchors.contains(world.state.signer.rootPEM), "\(world)")
      }
      for index in world.members.indices {
        var told = world
        told.members[index].anchors = Set(world.state.anchorsPEM)
        queue.append(told)
        var renewed = world
        renewed.members[index].leafRoot = world.state.signer.rootPEM
        queue.append(renewed)
      }
      var advanced = world
      if advanced.state.advance(survey(world), now: 1) { queue.append(advanced) }
      var back = world
      if (try? back.state.abort(now: 1)) != nil { queue.append(back) }
    }
    #expect(seen.contains { $0.state.rotation == nil && $0.state.settled == Self.new })
    #expect(seen.contains { $0.state.rotation == nil && $0.state.settled == Self.old })
    #expect(seen.count > 20)
  }

  @Test("with pauses each step waits for a word, which is refused while it would break somebody")
  func words() throws {
    var state = try rotating(pauses: true)
    #expect(state.advance([workload("a")], now: 2) == false)
    #expect(throws: RotationError.wouldBreak(["b"], absent: [])) {
      try state.release([workload("a"), workload("b", trusts: false)], leaveAbsent: false)
    }
    try state.release([workload("a")], leaveAbsent: false)
    #expect(
      state.advance([workload("a", trusts: false)], now: 3) == false,
      "a word does not count against a report that came after it")
    #expect(state.advance([workload("a")], now: 4) == true)
    #expect(state.advance([workload("a")], now: 5) == false, "one word, one step")
    try state.release([workload("a")], leaveAbsent: false)
    #expect(state.advance([workload("a")], now: 6) == true)
    #expect(state.rotation?.phase == .retire)
    #expect(state.advance([workload("a")], now: 7) == true, "the end needs no word")
  }

  @Test("workloads that are away stop a rotation until somebody leaves them behind; those that are there cannot be")
  func absent() throws {
    var state = try rotating()
    let away = workload("b", connected: false)
    #expect(state.advance([workload("a"), away], now: 2) == false)
    #expect(throws: RotationError.wouldBreak(["b"], absent: ["b"])) {
      try state.release([workload("a"), away], leaveAbsent: false)
    }
    #expect(throws: RotationError.wouldBreak(["c"], absent: ["b"])) {
      try state.release([workload("c", trusts: false), away], leaveAbsent: true)
    }
    try state.release([workload("a"), away], leaveAbsent: true)
    #expect(state.advance([workload("a"), away], now: 3) == true)
    #expect(state.advance([workload("a"), away], now: 4) == false, "for one step")
  }

  @Test("a rotation is turned back by the same safe way, until the old root is being dropped")
  func abort() throws {
    var early = try rotating()
    try early.abort(now: 2)
    #expect(early == AuthorityState(settled: Self.old))

    var late = try rotating()
    #expect(late.advance([], now: 2) == true)
    try late.abort(now: 3)
    #expect(late.signer == Self.old && late.anchorsPEM == ["B", "A"], "leaves of the new issuer are still about")
    #expect(late.advance([workload("a", holds: false)], now: 4) == false)
    #expect(late.advance([workload("a")], now: 5) == true)
    #expect(late.anchorsPEM == ["A"])
    #expect(late.advance([workload("a")], now: 6) == true)
    #expect(late.settled == Self.old)
    #expect(late.rotation == nil)

    var last = try rotating()
    #expect(last.advance([], now: 2) == true)
    #expect(last.advance([], now: 3) == true)
    #expect(throws: RotationError.tooLate) { try last.abort(now: 4) }
  }

  @Test("one rotation at a time, and none to the same issuer")
  func refusals() throws {
    var state = try rotating()
    #expect(throws: RotationError.underWay(.trust)) { try state.begin(Self.sibling, pauses: false, now: 2) }
    var settled = AuthorityState(settled: Self.old)
    #expect(throws: RotationError.sameIssuer) { try settled.begin(Self.old, pauses: false, now: 2) }
    #expect(throws: RotationError.notUnderWay) { try settled.abort(now: 2) }
    #expect(throws: RotationError.notUnderWay) { try settled.release([], leaveAbsent: false) }
  }
}
