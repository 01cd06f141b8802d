import Crypto

/// What a proxy proves its workload with: 32 random bytes in base64url. The controller keeps only the SHA-256 of it, so
/// that a copy of the state directory opens nothing.
package struct JoinToken: Hashable, Sendable {
  package let text: String

  package init(text: String) { self.text = text }

  package static func random() -> JoinToken {
    var random = SystemRandomNumberGenerator()
    let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
    return JoinToken(text: base64URL(bytes))
  }

  /// The hash in lower-case hexadecimal.
  package var hash: String {
    let digits = Array("0123456789abcdef")
    return SHA256.hash(data: Array(text.utf8)).reduce(into: "") { text, byte in
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
  }

  /// RFC 4648 section 5, without padding.
  private static func base64URL(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    var text = ""
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let value = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
      for position in 0...group.count {
        text.append(alphabet[Int(value >> (18 - 6 * UInt32(position)) & 63)])
      }
    }
    return text
  }
}
