import MeshCore

/// Origins that a policy names: `*`, `scheme://host[:port]`, or one whose host begins with `*`, which stands for at least one
/// label. Letter case does not count, nor does a port that the scheme implies: browsers send neither.
struct OriginPattern: Sendable {
  private let before: [UInt8]
  /// What follows the wildcard; nil without one.
  private let after: [UInt8]?
  let matchesAll: Bool

  init(_ text: String) {
    matchesAll = text == "*"
    var text = Substring(text)
    for (scheme, port) in [("http://", ":80"), ("https://", ":443")]
    where text.lowercased().hasPrefix(scheme) && text.hasSuffix(port) { text.removeLast(port.utf8.count) }
    let star = text.firstIndex(of: "*")
    before = Array(text[..<(star ?? text.endIndex)].utf8)
    after = star.map { Array(text[text.index(after: $0)...].utf8) }
  }

  func matches(_ origin: UnsafeRawBufferPointer) -> Bool {
    if matchesAll { return true }
    return before.withUnsafeBytes { before in
      guard let after else { return origin.equalsIgnoringCase(before) }
      return after.withUnsafeBytes { after in
        let labels = origin.count - before.count - after.count
        guard labels > 0, origin.slice(0, before.count).equalsIgnoringCase(before),
          origin.slice(before.count + labels, after.count).equalsIgnoringCase(after)
        else { return false }
        // Nothing but labels: a wildcard must not reach over a port or into another URI part.
        return origin.slice(before.count, labels).allSatisfy(\.isHostnameByte)
      }
    }
  }
}
