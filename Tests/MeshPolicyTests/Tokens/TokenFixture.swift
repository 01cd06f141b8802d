import MeshCore
import MeshPolicy

/// Tokens whose signatures nobody looks at: what is below the cryptography.
enum TokenFixture {
  static func base64(_ bytes: some Sequence<UInt8>) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    var text: [UInt8] = []
    var word: UInt32 = 0
    var bits: UInt32 = 0
    for byte in bytes {
      word = word << 8 | UInt32(byte)
      bits += 8
      while bits >= 6 {
        bits -= 6
        text.append(alphabet[Int(word >> bits & 63)])
      }
    }
    if bits > 0 { text.append(alphabet[Int(word << (6 - bits) & 63)]) }
    return String(decoding: text, as: UTF8.self)
  }

  static func text(header: String = #"{"alg":"RS256"}"#, _ payload: String, signature: [UInt8] = [1, 2, 3]) -> [UInt8] {
    Array("\(base64(header.utf8)).\(base64(payload.utf8)).\(base64(signature))".utf8)
  }

  static func read(_ text: [UInt8]) throws(TokenRefusal) -> UnverifiedToken {
    let result: Result<UnverifiedToken, TokenRefusal> = text.withUnsafeBytes { text in
      do throws(TokenRefusal) { return .success(try UnverifiedToken(text)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  static let rule = TokenIssuer(policy: "shop/users", issuer: "me", audiences: ["orders", "stock"], keys: .inline(""))

  static func claims(
    _ payload: String, now: Int64 = 1_000, _ rule: TokenIssuer = rule
  ) throws(TokenRefusal) -> TokenClaims {
    try TokenClaims(try read(text(payload)), rule, now: now)
  }
}
