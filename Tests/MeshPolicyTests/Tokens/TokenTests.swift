import MeshCore
import MeshPolicy
import Testing

@Suite("JSON Web Tokens") struct TokenTests {
  private static let good = #"{"iss":"me","aud":"orders","sub":"ada","exp":2000}"#

  private static func bytes(_ text: String) -> [UInt8]? {
    Array(text.utf8).withUnsafeBytes { Base64URL.decode($0) }
  }

  @Test("base64url has one text for some bytes (RFC 4648, section 10, and RFC 7515, appendix C)")
  func base64() {
    let vectors = [("", ""), ("Zg", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob"), ("Zm9vYmFy", "foobar")]
    for (text, plain) in vectors { #expect(Self.bytes(text) == Array(plain.utf8)) }
    #expect(Self.bytes("A-z_4ME") == [3, 236, 255, 224, 193])
    for text in ["Z", "Zg==", "Zm9v=", "Zh", "Zm9", "Z g", "Zg\n", "+/==", "AA+A", "AA/A", "Zm9vé"] {
      #expect(Self.bytes(text) == nil, "\(text)")
    }
  }

  @Test("a good token is read, with the key it names")
  func reading() throws {
    let text = TokenFixture.text(header: #"{"alg":"ES256","kid":"k","typ":"at+JWT","jku":"http://evil"}"#, Self.good)
    let token = try TokenFixture.read(text)
    #expect(token.algorithm == .es256 && token.keyID == Array("k".utf8) && token.issuer == Array("me".utf8))
    #expect(token.signature == [1, 2, 3] && text[token.signedCount] == UInt8(ascii: "."))
  }

  @Test(
    "headers are refused for what they ask",
    arguments: [
      (#"{"alg":"none"}"#, TokenRefusal.algorithm), (#"{"alg":"HS256"}"#, .algorithm),
      (#"{"alg":"rs256"}"#, .algorithm),
      (#"{"alg":"RS512"}"#, .algorithm), (#"{"alg":""}"#, .algorithm), (#"{"alg":1}"#, .malformed), ("{}", .malformed),
      (#"{"alg":"RS256","crit":[]}"#, .header), (#"{"alg":"RS256","b64":true}"#, .header),
      (#"{"alg":"RS256","typ":"logout+jwt"}"#, .header), (#"{"alg":"RS256","typ":1}"#, .malformed),
      (#"{"alg":"RS256","kid":""}"#, .malformed), (#"{"alg":"RS256","kid":null}"#, .malformed),
      (#"{"alg":"RS256","alg":"none"}"#, .malformed), (#"["alg"]"#, .malformed),
    ])
  func headers(header: String, refusal: TokenRefusal) {
    #expect(throws: refusal) { try TokenFixture.read(TokenFixture.text(header: header, Self.good)) }
  }

  @Test(
    "claims are refused for what they say",
    arguments: [
      (#"{"iss":"me","aud":"orders","exp":2000}"#, nil), (#"{"iss":"me","aud":["x","stock"],"exp":2000.9}"#, nil),
      (#"{"iss":"you","aud":"orders","exp":2000}"#, TokenRefusal.issuer), (#"{"aud":"orders","exp":2000}"#, .claims),
      (#"{"iss":1,"aud":"orders","exp":2000}"#, .claims), (#"{"iss":"me","aud":"orders"}"#, .claims),
      (#"{"iss":"me","aud":"orders","exp":"2000"}"#, .claims), (#"{"iss":"me","aud":"orders","exp":1e300}"#, .claims),
      (#"{"iss":"me","aud":"orders","exp":940}"#, .expired), (#"{"iss":"me","aud":"orders","exp":-1}"#, .expired),
      (#"{"iss":"me","aud":"orders","exp":941}"#, nil),
      (#"{"iss":"me","aud":"orders","exp":2000,"nbf":1061}"#, .notYetValid),
      (#"{"iss":"me","aud":"orders","exp":2000,"nbf":1060}"#, nil),
      (#"{"iss":"me","aud":"orders","exp":2000,"iat":1061}"#, .notYetValid),
      (#"{"iss":"me","aud":"orders","exp":2000,"nbf":"x"}"#, .claims), (#"{"iss":"me","exp":2000}"#, .audience),
      (#"{"iss":"me","aud":[],"exp":2000}"#, .audience), (#"{"iss":"me","aud":"order","exp":2000}"#, .audience),
      (#"{"iss":"me","aud":["orders",1],"exp":2000}"#, .claims), (#"{"iss":"me","aud":{},"exp":2000}"#, .claims),
      (#"{"iss":"me","aud":"orders","exp":2000,"sub":1}"#, .claims),
      (#"{"iss":"me","aud":"orders","exp":2000,"a.b":1,"a":{"b":2}}"#, .claims),
    ] as [(String, TokenRefusal?)])
  func judging(payload: String, refusal: TokenRefusal?) {
    do throws(TokenRefusal) {
      _ = try TokenFixture.claims(payload)
      #expect(refusal == nil)
    } catch {
      #expect(error == refusal)
    }
  }

  @Test("a token is good up to its end and the clocks' difference, and no longer")
  func time() throws {
    let claims = try TokenFixture.claims(#"{"iss":"me","aud":"orders","exp":2000,"nbf":1500}"#, now: 1_600)
    #expect(claims.notBefore == 1_440 && claims.expires == 2_060)
    try claims.checkTime(2_059)
    #expect(throws: TokenRefusal.expired) { try claims.checkTime(2_060) }
    #expect(throws: TokenRefusal.notYetValid) { try claims.checkTime(1_439) }
  }

  @Test("claims are found by the way to them, in lists and in words")
  func names() throws {
    let set = try TokenFixture.claims(
      #"""
      {"iss":"me","aud":["orders","x"],"exp":2000,"scope":"read  write","realm":{"roles":["a","b",{"c":1},null,true]},
       "https://example.com/tier":"gold","n":1.50,"empty":[],"gone":null}
      """#
    ).set
    #expect(set.values(of: "aud") == ["orders", "x"] && set.values(of: "scope") == ["read", "write"])
    #expect(set.values(of: "realm.roles") == ["a", "b", "true"] && set.values(of: "n") == ["1.50"])
    #expect(set.values(of: "https://example.com/tier") == ["gold"])
    for name in ["realm", "empty", "gone", "realm.roles.c", "sub", ""] {
      #expect(set.values(of: name) == [], "\(name)")
    }
  }

  @Test("a token cut anywhere, or with any byte changed, is refused or is another token, and never more")
  func everyByte() throws {
    let text = TokenFixture.text(header: #"{"alg":"EdDSA","kid":"k"}"#, Self.good)
    let whole = try TokenFixture.read(text)
    for count in 0..<text.count {
      if let cut = try? TokenFixture.read(Array(text[..<count])) { #expect(cut.signature != whole.signature) }
    }
    for (index, byte) in text.enumerated() {
      for other in [UInt8(0), 0x2E, 0x41, 0x3D, 0x7F, 0xFF] where other != byte {
        var changed = text
        changed[index] = other
        guard let token = try? TokenFixture.read(changed) else { continue }
        let signed = Array(changed[..<token.signedCount])
        #expect(signed != Array(text[..<whole.signedCount]) || token.signature != whole.signature)
      }
    }
  }

  @Test("random bytes are refused without harm")
  func noise() {
    var random = SeededRandom(seed: 5)
    for _ in 0..<2_000 {
      let text = (0..<Int(random.next() % 64)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      #expect((try? TokenFixture.read(text)) == nil)
      _ = try? JSONReader.read(text)
    }
  }
}

@Suite("JSON of tokens") struct JSONReaderTests {
  private static func read(_ text: String) throws -> JSONValue { try JSONReader.read(Array(text.utf8)) }

  @Test("every kind of value is read")
  func values() throws {
    let value = try Self.read(#" { "a" : [1, -0.5e+3, true, false, null], "\u0062": "\ud83d\ude00\n\/é" } "#)
    guard case .object(let members) = value else { return #expect(Bool(false)) }
    #expect(members.map(\.name) == [Array("a".utf8), Array("b".utf8)])
    #expect(value["b"]?.bytes == Array("😀\n/é".utf8))
    #expect(
      value["a"]
        == .array([.number(Array("1".utf8)), .number(Array("-0.5e+3".utf8)), .bool(true), .bool(false), .null]))
  }

  @Test(
    "what two readers could read differently is refused",
    arguments: [
      "", " ", "{", "}", "[1,]", #"{"a":1,}"#, #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, "01", "1.", ".5", "+1", "-",
      "1e",
      "nul", "True", "NaN", "Infinity", "'a'", #""a"#, #""\x""#, #""\u12""#, #""\ud800""#, #""\udc00""#,
      #""\ud800\u0041""#,
      "\"\n\"", "{a:1}", "[1]2", "[1] x", "/**/1", "\u{FEFF}1", #"{"a"1}"#, #"{1:1}"#, #"[1 2]"#, #""\u00G0""#,
    ])
  func refused(text: String) { #expect(throws: JSONError.self) { try Self.read(text) } }

  @Test("text that is not UTF-8 is refused")
  func encoding() {
    for bytes: [UInt8] in [[0x80], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82]] {
      #expect(throws: JSONError.invalidText) { try JSONReader.read([0x22] + bytes + [0x22]) }
    }
  }

  @Test("depth and number of values are limited")
  func limits() throws {
    func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
    _ = try Self.read(nested(TokenLimits.depth))
    #expect(throws: JSONError.tooDeep) { try Self.read(nested(TokenLimits.depth + 1)) }
    #expect(throws: JSONError.tooDeep) { try Self.read(nested(100_000)) }
    func many(_ count: Int) -> String { "[\(Array(repeating: "1", count: count).joined(separator: ","))]" }
    _ = try Self.read(many(TokenLimits.values - 1))
    #expect(throws: JSONError.tooManyValues) { try Self.read(many(TokenLimits.values)) }
  }
}
