import MeshCore
import MeshHTTP

/// A change of the path that leaves the query as it is (Gateway API, HTTPPathModifier), ready to apply.
///
/// Slashes at the end of the matched prefix and of its replacement do not count. The result always begins with a slash.
struct CompiledPathModifier: Sendable {
  /// The prefix to take away, without slashes at its end; nil: the whole path.
  private let matched: [UInt8]?
  private let replacement: [UInt8]

  init(_ modifier: PathModifier) {
    switch modifier {
    case .full(let path):
      matched = nil
      replacement = Self.path(path)
    case .prefix(let prefix, let text):
      matched = Self.trimmed(Array(prefix.utf8))
      replacement = Self.trimmed(Self.path(text))
    }
  }

  /// The new path with the old query, stored in `head`. Nil for what names no path, as `*` and the authority of CONNECT,
  /// and for a path that does not have the prefix.
  func path(of head: MessageHead) -> MessageHead.Slice? {
    let whole = head.path
    let old = head.target.path
    guard old.count > 0, old[0] == UInt8(ascii: "/") else { return nil }
    var start = old.count
    if let matched {
      guard matched.withUnsafeBytes({ old.hasElementPrefix($0) }) else { return nil }
      start = matched.count
    }
    let rest = MessageHead.Slice(offset: Int(whole.offset) + start, length: Int(whole.length) - start)
    if replacement.isEmpty, start < old.count { return rest }
    let first = replacement.isEmpty ? head.intern("/") : replacement.withUnsafeBytes { head.intern($0) }
    // Goes right behind, so that both make one range.
    head.intern(head.bytes(rest))
    return MessageHead.Slice(offset: Int(first.offset), length: Int(first.length) + Int(rest.length))
  }

  /// `text` as a path: with a slash in front, and with what would end a path or a request line percent-encoded.
  private static func path(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = text.hasPrefix("/") || text.isEmpty ? [] : [UInt8(ascii: "/")]
    for byte in text.utf8 {
      let isPlain = byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "?") && byte != UInt8(ascii: "#")
      if isPlain {
        bytes.append(byte)
      } else {
        let digits = Array("0123456789ABCDEF".utf8)
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return bytes
  }

  private static func trimmed(_ path: [UInt8]) -> [UInt8] {
    var path = path
    while path.last == UInt8(ascii: "/") { path.removeLast() }
    return path
  }
}
