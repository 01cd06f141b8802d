import MeshCore
import MeshPolicy
import Testing

@Suite("Key sets") struct KeySetTests {
  private static let coordinate = TokenFixture.base64(1...32)

  private static func rsa(_ bits: Int = 2_048, exponent: [UInt8] = [1, 0, 1], more: String = "") -> String {
    let bytes = [UInt8(0x80)] + [UInt8](repeating: 0xFF, count: bits / 8 - 1)
    return
      #"{"kty":"RSA","n":"\#(TokenFixture.base64(bytes))","e":"\#(TokenFixture.base64(exponent))"\#(more)}"#
  }

  private static func curve(_ more: String = "", kind: String = "EC", name: String = "P-256") -> String {
    #"{"kty":"\#(kind)","crv":"\#(name)","x":"\#(coordinate)","y":"\#(coordinate)"\#(more)}"#
  }

  private static func set(_ keys: String...) throws -> TokenKeySet {
    try TokenKeySet(#"{"keys":[\#(keys.joined(separator: ","))]}"#.utf8)
  }

  @Test("keys of three kinds are read, with their id and algorithm")
  func kinds() throws {
    let set = try Self.set(
      Self.rsa(more: #","kid":"r","alg":"PS256","use":"sig""#), Self.curve(#","key_ops":["verify"]"#),
      Self.curve(kind: "OKP", name: "Ed25519"))
    #expect(set.keys.map(\.kind) == [.rsa, .p256, .ed25519] && set.refused.isEmpty)
    #expect(set.keys[0].id == Array("r".utf8) && set.keys[0].algorithm == .ps256)
  }

  @Test(
    "a key that cannot be trusted or used is left out, and the others stay",
    arguments: [
      (rsa(1_024), "RSA with 1024 bits is weak"), (rsa(16_384), "too large"), (rsa(exponent: [1]), "none of RSA"),
      (rsa(exponent: [1, 0, 0]), "none of RSA"), (rsa(exponent: [1, 0, 0, 0, 1]), "none of RSA"),
      (rsa(more: #","use":"enc""#), "its use"), (rsa(more: #","key_ops":["encrypt"]"#), "key_ops"),
      (rsa(more: #","alg":"HS256""#), "its alg"), (rsa(more: #","alg":"ES256""#), "its alg"),
      (rsa(more: #","d":"AQAB""#), "private key"), (rsa(more: #","kid":1"#), "its kid"),
      (#"{"kty":"oct","k":"c2VjcmV0"}"#, "shared secret"), (#"{"kty":"XYZ"}"#, "not known"), ("{}", "no kty"),
      ("1", "no kty"),
      (curve(name: "P-384"), "its crv"), (curve(kind: "OKP", name: "X25519"), "its crv"),
      (#"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}"#, "32 bytes"),
      (#"{"kty":"RSA","n":"=","e":"AQAB"}"#, "base64url"),
    ])
  func refusedKeys(key: String, reason: String) throws {
    let set = try Self.set(key, Self.curve())
    #expect(set.keys.count == 1 && set.refused.count == 1)
    #expect(set.refused[0].contains(reason), "\(set.refused)")
    #expect(throws: TokenKeySet.Failure.self) { try Self.set(key) }
  }

  @Test("a set that is none is refused whole", arguments: ["", "[]", "{}", #"{"keys":{}}"#, #"{"keys":[]}"#, "<html>"])
  func refusedSets(text: String) { #expect(throws: TokenKeySet.Failure.self) { try TokenKeySet(text.utf8) } }

  @Test("a set is limited in keys and bytes")
  func limits() throws {
    let many = Array(repeating: Self.curve(), count: TokenLimits.keys + 1).joined(separator: ",")
    #expect(throws: TokenKeySet.Failure.self) { try Self.set(many) }
    let space = String(repeating: " ", count: TokenLimits.keySetBytes)
    #expect(throws: TokenKeySet.Failure.self) { try TokenKeySet(#"{"keys":[\#(Self.curve())]}\#(space)"#.utf8) }
  }

  @Test("the token's algorithm and key id choose among keys of that kind, a few at most")
  func candidates() throws {
    let set = try Self.set(
      Self.rsa(more: #","kid":"a","alg":"RS256""#), Self.rsa(more: #","kid":"b""#), Self.curve(#","kid":"a""#),
      Self.rsa())
    let a = Array("a".utf8)
    #expect(set.candidates(.rs256, id: a) == [0, 3])
    #expect(set.candidates(.ps256, id: a) == [3])
    #expect(set.candidates(.rs256, id: nil) == [0, 1, 3])
    #expect(set.candidates(.es256, id: a) == [2])
    #expect(set.candidates(.es256, id: Array("b".utf8)) == [])
    #expect(set.candidates(.edDSA, id: nil) == [])
    let many = try Self.set(Array(repeating: Self.rsa(), count: 20).joined(separator: ","))
    #expect(many.candidates(.rs256, id: a).count == TokenLimits.candidates)
  }

  @Test("a fetched set is kept as long as its server says, within reason, and while no newer one can be had")
  func freshness() throws {
    var random = SeededRandom(seed: 1)
    var record = KeySetRecord()
    let set = try Self.set(Self.curve())
    func wait(_ age: TimeSpan?) -> TimeSpan { record.fetched(set, maxAge: age, &random).wait }
    let first = record.fetched(set, maxAge: .seconds(100), &random)
    #expect(first.isNews)
    let again = record.fetched(set, maxAge: .seconds(100), &random)
    #expect(!again.isNews && again.wait <= .seconds(100) && again.wait >= .seconds(90))
    let (none, silent, long) = (wait(.zero), wait(nil), wait(.seconds(1 << 31)))
    #expect(none >= .seconds(9) && silent >= .seconds(270) && long <= TokenLimits.maxAge.upperBound)
    let waits = (0..<10).map { _ in record.failed("away", &random).wait }
    #expect(waits[0] <= .seconds(1) && waits[9] <= .seconds(64) && waits[9] >= .seconds(32))
    #expect(record.keys == set && record.failure == "away")
  }

  @Test("unknown keys ask for a fetch now and then only")
  func asking() {
    var record = KeySetRecord()
    let start = Instant(nanoseconds: 1_000_000_000)
    let answers = [start, start + .seconds(9), start + TokenLimits.refreshInterval].map { record.mayAsk(now: $0) }
    #expect(answers == [true, false, true])
  }

  @Test(
    "Cache-Control says how long",
    arguments: [
      ("max-age=60", TimeSpan.seconds(60)), ("public, Max-Age=\"5\" , x", .seconds(5)), ("no-store, max-age=9", .zero),
      ("no-cache", .zero), ("private", nil), ("max-age=", nil), ("max-age=-1", nil), ("s-maxage=3", nil),
      ("max-age=99999999999999999999", .seconds(1 << 31)),
    ] as [(String, TimeSpan?)])
  func cacheControl(text: String, age: TimeSpan?) {
    #expect(Array(text.utf8).withUnsafeBytes { CacheControl.maxAge($0) } == age)
  }

  @Test("URLs of key sets")
  func urls() {
    let url = KeySetURL("HTTPS://Login.Example.com:8443/.well-known/jwks.json?x=1")
    #expect(url?.isTLS == true && url?.host == "login.example.com" && url?.port == 8443)
    #expect(url?.target == "/.well-known/jwks.json?x=1" && url?.authority == "login.example.com:8443")
    #expect(KeySetURL("http://[::1]:80")?.host == "::1" && KeySetURL("http://a?b")?.target == "/?b")
    #expect(KeySetURL("https://a/")?.port == 443 && KeySetURL("http://127.0.0.1/")?.isLoopback == true)
    for text in [
      "", "ftp://a/", "https://", "https:///x", "https://a b/", "https://u:p@a/", "https://a/#x", "https://a:0/",
      "https://a:70000/",
      "https://a/\r\nX: y", "https://é/", "//a/", "https://a..b/", "https://[::1",
    ] {
      #expect(KeySetURL(text) == nil, "\(text)")
    }
  }
}
