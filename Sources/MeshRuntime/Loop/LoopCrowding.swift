import MeshCore

/// How far a loop is behind, judged by how long its turns are. Pure.
struct LoopCrowding {
  /// For so long after a long turn, some connections stand behind the others (`Connection.standsBack`).
  private static let crowdedTime = TimeSpan.milliseconds(100)
  private static let largestAcceptShare = 1_024

  /// New connections that a listener may take in a turn: fewer while turns are long, since each brings more work for a loop that has
  /// too much already. They wait in the kernel's queue instead, behind the connections that are being served.
  private(set) var acceptShare = Self.largestAcceptShare
  private var lastLongTurn: Instant?

  func isCrowded(_ now: Instant) -> Bool {
    guard let lastLongTurn else { return false }
    return now - lastLongTurn < Self.crowdedTime
  }

  /// The share is halved by a long turn, doubled by a short one.
  mutating func turnEnded(wasLong: Bool, _ now: Instant) {
    if wasLong {
      acceptShare = max(1, acceptShare / 2)
      lastLongTurn = now
    } else if acceptShare < Self.largestAcceptShare {
      acceptShare *= 2
    }
  }
}
