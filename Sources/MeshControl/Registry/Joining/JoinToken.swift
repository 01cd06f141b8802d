/// A join token as its holder has it: `apus1.ID.SECRET`. The id is public: it stands in lists and logs. The prefix lets scanners of
/// leaked secrets find it.
package struct JoinToken: Hashable, Sendable {
  package static let prefix = "apus1."
  /// Longer texts are refused unread.
  package static let maximumBytes = 128

  package let id: String
  package let secret: String

  package init(id: String, secret: String) {
    self.id = id
    self.secret = secret
  }

  /// Nil for what has not the form of one.
  package init?(_ text: String) {
    guard text.utf8.count <= Self.maximumBytes, text.hasPrefix(Self.prefix) else { return nil }
    let parts = text.dropFirst(Self.prefix.count).split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, Self.isID(parts[0]), !parts[1].isEmpty else { return nil }
    self.init(id: String(parts[0]), secret: String(parts[1]))
  }

  package static func random(isTaken: (String) -> Bool) -> JoinToken {
    // No vowels, no look-alikes: ids are read out loud.
    let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
    while true {
      let id = String((0..<8).map { _ in alphabet.randomElement() ?? "x" })
      if !isTaken(id) { return JoinToken(id: id, secret: Secret.random()) }
    }
  }

  package var text: String { "\(Self.prefix)\(id).\(secret)" }

  private static func isID(_ text: Substring) -> Bool {
    text.utf8.count == 8 && text.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) }
  }
}
