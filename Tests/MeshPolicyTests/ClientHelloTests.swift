import MeshPolicy
import Testing

/// Greetings of TLS clients, put together by hand.
enum Greeting {
  /// An extension with `type` and content behind their lengths.
  static func ext(_ type: UInt16, _ content: [UInt8]) -> [UInt8] { number(type) + vector(content) }

  static func serverName(_ name: String, type: UInt8 = 0) -> [UInt8] {
    ext(0, vector([type] + vector(Array(name.utf8))))
  }

  static let supportedVersions = ext(43, [2, 3, 4])

  /// The handshake message, its type and length included.
  static func message(_ extensions: [UInt8]?, session: Int = 32) -> [UInt8] {
    let body =
      [3, 3] + [UInt8](repeating: 7, count: 32) + [UInt8(session)] + [UInt8](repeating: 1, count: session)
      + vector([0x13, 0x01, 0x13, 0x02]) + [1, 0] + (extensions.map { vector($0) } ?? [])
    return [1, UInt8(body.count >> 16), UInt8(body.count >> 8 & 0xFF), UInt8(body.count & 0xFF)] + body
  }

  /// In records of at most `size` bytes.
  static func records(_ message: [UInt8], size: Int = 16_384) -> [UInt8] {
    stride(from: 0, to: message.count, by: size).flatMap { start in
      [22, 3, 1] + vector(Array(message[start..<min(start + size, message.count)]))
    }
  }

  static func named(_ name: String) -> [UInt8] { records(message(supportedVersions + serverName(name))) }

  private static func number(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }
  private static func vector(_ bytes: [UInt8]) -> [UInt8] { number(UInt16(bytes.count)) + bytes }
}

@Suite("Greetings of TLS clients")
struct ClientHelloTests {
  private let limit = 16 * 1024

  private func parse(_ bytes: [UInt8], limit: Int? = nil) -> ClientHello {
    bytes.withUnsafeBytes { ClientHello.parse($0, limit: limit ?? self.limit) }
  }

  @Test("the server name is found, in lower case, whatever stands around it")
  func names() {
    #expect(parse(Greeting.named("db.example.com")) == .complete(serverName: "db.example.com"))
    #expect(parse(Greeting.named("DB_1.Example.COM")) == .complete(serverName: "db_1.example.com"))
    let last = Greeting.message(Greeting.ext(51, [UInt8](repeating: 9, count: 1_216)) + Greeting.serverName("a"))
    #expect(parse(Greeting.records(last)) == .complete(serverName: "a"))
    #expect(parse(Greeting.records(last) + [23, 3, 3, 0, 1, 0]) == .complete(serverName: "a"))
    let longest = String(repeating: "abcdefghi.", count: 25) + "abc"
    #expect(parse(Greeting.named(longest)) == .complete(serverName: longest))
  }

  @Test("a client may give no name, and of TLS 1.2 no extension")
  func noName() {
    #expect(parse(Greeting.records(Greeting.message(Greeting.supportedVersions))) == .complete(serverName: nil))
    #expect(parse(Greeting.records(Greeting.message([]))) == .complete(serverName: nil))
    #expect(parse(Greeting.records(Greeting.message(nil, session: 0))) == .complete(serverName: nil))
  }

  @Test("however it is cut into reads and records, a greeting means the same", arguments: [1_000, 40, 7, 5])
  func cuts(recordBytes: Int) {
    let message = Greeting.message(Greeting.supportedVersions + Greeting.serverName("db.example.com"))
    let bytes = Greeting.records(message, size: recordBytes)
    for count in 0..<bytes.count { #expect(parse(Array(bytes[..<count])) == .incomplete, "after \(count) bytes") }
    #expect(parse(bytes) == .complete(serverName: "db.example.com"))
  }

  @Test("what does not begin as TLS does is told at its first bytes")
  func notTLS() {
    for text in ["GET / HTTP/1.1\r\n", "PRI * HTTP/2.0", "\u{0}", "SSH-2.0-x"] {
      #expect(parse(Array(text.utf8.prefix(1))) == .notTLS)
      #expect(parse(Array(text.utf8)) == .notTLS)
    }
    #expect(parse([22, 2]) == .notTLS)
    // SSL 2.0's.
    #expect(parse([0x80, 0x2E, 1, 3, 1]) == .notTLS)
  }

  @Test(
    "a greeting that breaks the format is malformed",
    arguments: [
      // Another message than a ClientHello, an empty record, another record in the middle.
      [22, 3, 1, 0, 4, 2, 0, 0, 0], [22, 3, 1, 0, 0], Array(Greeting.named("a.b")[..<20]),
    ] as [[UInt8]])
  func records(bytes: [UInt8]) {
    // The cut one is whole by its record's length, and goes on with an alert.
    let isCut = bytes.count == 20
    let all = isCut ? [22, 3, 1, 0, 15] + bytes[5...] + [21, 3, 1, 0, 2, 1, 0] : bytes
    #expect(parse(all) == .malformed)
  }

  @Test("so is one whose fields do not fit into each other")
  func fields() {
    let name = Greeting.serverName("a.b")
    let wrong: [[UInt8]] = [
      Greeting.message(name + name), Greeting.message(Greeting.ext(0, [])), Greeting.message(Greeting.ext(0, [0, 0])),
      Greeting.message(Greeting.serverName("a.b", type: 1)), Greeting.message(Greeting.ext(0, [0, 4, 0, 0, 1, 97, 9])),
      Greeting.message(Greeting.ext(0, [0, 8, 0, 0, 1, 97, 0, 0, 1, 98])), Greeting.message(Array(name.dropLast())),
      Greeting.message(name + [0]), Greeting.message(name, session: 33),
    ]
    for message in wrong { #expect(parse(Greeting.records(message)) == .malformed) }
    // Every field of the whole cut at its end, with a length of the message that agrees.
    let whole = Greeting.message(name)
    for count in 4..<whole.count {
      var cut = Array(whole[..<count])
      (cut[2], cut[3]) = (UInt8((count - 4) >> 8), UInt8((count - 4) & 0xFF))
      let isWithoutExtensions = count == whole.count - 2 - name.count
      #expect(
        parse(Greeting.records(cut)) == (isWithoutExtensions ? .complete(serverName: nil) : .malformed), "\(count)")
    }
  }

  @Test(
    "a name that is none is malformed",
    arguments: [
      "", ".", ".a", "a.", "a..b", "a b", "a\0b", "ä.example", "*.example", String(repeating: "a", count: 254),
    ])
  func wrongNames(name: String) { #expect(parse(Greeting.named(name)) == .malformed) }

  @Test("a greeting past the limit is told by its length, before it has come, and by its bytes")
  func tooLong() {
    let bytes = Greeting.named("db.example.com")
    #expect(parse(bytes, limit: bytes.count) == .complete(serverName: "db.example.com"))
    #expect(parse(bytes, limit: bytes.count - 1) == .tooLong)
    #expect(parse(Array(bytes[..<9]), limit: bytes.count - 6) == .tooLong)
    // Heads of records count, so small records do not make a greeting longer than it may be.
    let cut = Greeting.records(Greeting.message(Greeting.serverName("a.b")), size: 4)
    #expect(parse(cut, limit: cut.count) == .complete(serverName: "a.b"))
    #expect(parse(cut, limit: cut.count - 1) == .tooLong)
    #expect(parse(Greeting.records([1, 0, 0, 61] + [UInt8](repeating: 1, count: 61), size: 1)) == .malformed)
  }
}

@Suite("Rules by server name")
struct ServerNameTableTests {
  private func rule(_ name: String, _ serverNames: String...) -> RouteRule {
    RouteRule(name: name, serverNames: serverNames, backends: [])
  }

  @Test("the name goes first, then the longest wildcard, then the rule for every name; of equals the first")
  func precedence() throws {
    let rules = [
      rule("all", "*"), rule("com", "*.com"), rule("example", "*.example.com", "example.com"),
      rule("a", "a.example.com"),
      rule("late", "a.example.com", "*.example.com", "b.example.com"), rule("later", "*"), rule("no condition"),
    ]
    let table = try #require(ServerNameTable(rules))
    func find(_ name: String?) -> String? { table.rule(for: name).map { rules[$0].name } }
    #expect(find("a.example.com") == "a")
    #expect(find("b.example.com") == "late")
    #expect(find("c.example.com") == "example")
    #expect(find("x.y.a.example.com") == "example")
    #expect(find("example.com") == "example")
    #expect(find("examples.com") == "com")
    #expect(find("com") == "all")
    #expect(find(nil) == "all")
  }

  @Test("a wildcard does not cover the name behind its star, nor part of a label")
  func wildcards() throws {
    let table = try #require(ServerNameTable([rule("w", "*.example.com")]))
    #expect(table.rule(for: "a.example.com") == 0)
    for name in ["example.com", "aexample.com", "example.com.a", "com", "b"] { #expect(table.rule(for: name) == nil) }
    #expect(table.rule(for: nil) == nil)
  }

  @Test("without a rule that goes by names there is no table")
  func none() {
    #expect(ServerNameTable([]) == nil)
    #expect(ServerNameTable([rule("all")]) == nil)
  }
}
