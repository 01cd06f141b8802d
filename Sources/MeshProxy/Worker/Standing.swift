/// Who comes first while the loop has too much to do: clients that are known, and do not ask for much at once.
///
/// A client is known by an answer it has waited for. A storm of new connections, or one connection that asks for a hundred things at once or takes
/// back what it asked for, makes many sockets ready together; in the kernel's queue they would stand before the one socket of a client that
/// has been here all along. Those who stand back go on at the ends of turns (`Worker.longTurn`), in turn, some of them in every one.
struct Standing {
  /// Requests at once past which they stand back.
  static let many = 8

  private var isKnown = false

  mutating func answered() { isKnown = true }

  /// A request ended early, by its client or by our refusal.
  mutating func gaveUp() { isKnown = false }

  func standsBack(requests: Int = 1) -> Bool { !isKnown || requests > Self.many }
}
