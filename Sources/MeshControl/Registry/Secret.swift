import Crypto

/// Random secrets as text, and what is kept of them.
package enum Secret {
  /// 32 random bytes in base64url (RFC 4648 section 5) without padding: 43 characters.
  package static func random() -> String {
    var random = SystemRandomNumberGenerator()
    return base64URL((0..<32).map { _ in UInt8.random(in: 0...255, using: &random) })
  }

  /// SHA-256 in lower-case hexadecimal. No salt and no slow hash: there are 2^256 secrets to try.
  package static func hash(of text: String) -> String {
    let digits = Array("0123456789abcdef")
    return SHA256.hash(data: Array(text.utf8)).reduce(into: "") { text, byte in
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
  }

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
