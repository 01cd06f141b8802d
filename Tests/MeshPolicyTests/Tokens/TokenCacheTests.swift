import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@Suite("Verified tokens that are remembered") struct TokenCacheTests {
  private static func bytes<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try Array(text.utf8).withUnsafeBytes(body)
  }

  private static func insert(_ text: String, _ cache: TokenCache, verifier: UInt64 = 1) throws {
    let claims = try TokenFixture.claims(#"{"iss":"me","aud":"orders","exp":2000,"sub":"\#(text.prefix(8))"}"#)
    bytes(text) { bytes in
      cache.insert(
        VerifiedToken(
          bytes, hash: cache.hash(bytes), verifier: verifier, claims: claims, rule: 0,
          headers: [.init(header: "x-user", claim: "sub")]))
    }
  }

  private static func find(_ text: String, _ cache: TokenCache, verifier: UInt64 = 1) -> VerifiedToken? {
    bytes(text) { cache.find($0, hash: cache.hash($0), verifier: verifier) }
  }

  @Test("a token is found by all of its bytes and by who verified it")
  func finding() throws {
    var random = SeededRandom(seed: 3)
    let cache = TokenCache(&random)
    try Self.insert("token-a", cache)
    #expect(Self.find("token-a", cache)?.headers.first?.value == Array("token-a".utf8))
    #expect(Self.find("token-b", cache) == nil && Self.find("token-a", cache, verifier: 2) == nil)
    // Equal hashes are not enough.
    let hash = Self.bytes("token-a") { cache.hash($0) }
    #expect(Self.bytes("token-b") { cache.find($0, hash: hash, verifier: 1) } == nil)
    cache.remove(try #require(Self.find("token-a", cache)))
    #expect(Self.find("token-a", cache) == nil)
  }

  @Test("claims and payload are told in fields, the payload as it stands in the token") func writing() throws {
    let claims = try TokenFixture.claims(#"{"iss":"me","aud":"orders","exp":2000,"sub":"ada"}"#)
    let token = Self.bytes("head.payload.signature") { bytes in
      VerifiedToken(
        bytes, hash: 1, verifier: 1, claims: claims, rule: 0, headers: [.init(header: "x-user", claim: "sub")],
        payloadHeader: "x-claims")
    }
    let head = MessageHead()
    token.write(to: head)
    let fields = head.fields.map { "\(head.bytes($0.name).string): \(head.bytes($0.value).string)" }
    #expect(fields == ["x-user: ada", "x-claims: payload"])
  }

  @Test("neither tokens nor bytes grow beyond their limits, and the last one in is found")
  func limits() throws {
    var random = SeededRandom(seed: 3)
    let few = TokenCache(&random, tokens: 16, bytes: 1 << 20)
    for n in 0..<500 {
      try Self.insert("token-\(n)", few)
      #expect(few.count <= 16 && Self.find("token-\(n)", few) != nil)
    }
    let small = TokenCache(&random, tokens: 1_024, bytes: 1_000)
    for n in 0..<100 {
      try Self.insert("\(n)" + String(repeating: "x", count: 90), small)
      #expect(small.heldBytes <= 1_000)
    }
    try Self.insert(String(repeating: "y", count: 2_000), small)
    #expect(Self.find(String(repeating: "y", count: 2_000), small) == nil)
  }
}

@Suite("Places of tokens") struct TokenPlaceTests {
  private static func head(_ fields: [(String, String)], path: String = "/") -> MessageHead {
    let head = MessageHead()
    head.path = head.intern(string: path)
    for (name, value) in fields { head.append(name: name, value: value) }
    return head
  }

  private static func find(_ head: MessageHead, _ locations: [TokenLocation] = [.authorization]) throws -> String? {
    try TokenPlaces(locations).find(in: head)?.token.string
  }

  @Test(
    "what follows the scheme is a token",
    arguments: [
      ("Bearer abc", "abc"), ("bearer abc", "abc"), ("BEARER  \tabc ", "abc"), ("Bearer", ""), ("Bearer ", ""),
      ("Basic abc", nil), ("Bearerabc", nil), ("", nil), ("abc", nil),
    ] as [(String, String?)])
  func authorization(value: String, token: String?) throws {
    #expect(try Self.find(Self.head([("Authorization", value)])) == token)
  }

  @Test("other fields have the prefix as it is written, or none")
  func fields() throws {
    let head = Self.head([("X-Token", "t:abc"), ("X-Plain", " abc ")])
    #expect(try Self.find(head, [.header(name: "x-token", prefix: "t:")]) == "abc")
    #expect(try Self.find(head, [.header(name: "x-token", prefix: "T:")]) == nil)
    #expect(try Self.find(head, [.header(name: "x-plain", prefix: "")]) == "abc")
  }

  @Test("two tokens are refused wherever they stand")
  func several() {
    let all: [TokenLocation] = [.authorization, .parameter("t"), .cookie("c")]
    let heads = [
      Self.head([("authorization", "Bearer a"), ("authorization", "bearer b")]),
      Self.head([("authorization", "Bearer a"), ("cookie", "c=b")]), Self.head([], path: "/?t=a&t=b"),
      Self.head([("cookie", "c=a; c=b")]), Self.head([("cookie", "c=a"), ("cookie", "c=a")], path: "/"),
    ]
    for head in heads { #expect(throws: TokenRefusal.several) { try Self.find(head, all) } }
  }

  @Test(
    "a token is taken out, and nothing else",
    arguments: [
      ("/a?t=x", "/a"), ("/a?t=x&b=1", "/a?b=1"), ("/a?b=1&t=x", "/a?b=1"), ("/a?b=1&%74=x&c", "/a?b=1&c"),
      ("/a?b&&t=x", "/a?b&"),
    ])
  func removing(path: String, rest: String) throws {
    let places = TokenPlaces([.parameter("t")])
    let head = Self.head([], path: path)
    #expect(try places.find(in: head)?.token.string == "x")
    places.remove(0, from: head)
    #expect(head.bytes(head.path).string == rest)
  }

  @Test("cookies beside the token stay")
  func cookies() throws {
    let places = TokenPlaces([.cookie("t")])
    let head = Self.head([("cookie", "a=1; t=x; b=\"2\""), ("cookie", "c=3")])
    #expect(try places.find(in: head)?.token.string == "x")
    places.remove(0, from: head)
    let values = head.fields.filter { !$0.isRemoved }.map { head.bytes($0.value).string }
    #expect(Set(values) == ["a=1; b=\"2\"", "c=3"])
  }
}
