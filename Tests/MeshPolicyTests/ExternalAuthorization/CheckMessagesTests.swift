import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

/// Bytes are those of Google's own library for the messages of `envoy.service.auth.v3`.
@Suite("Messages of external authorization") struct CheckMessagesTests {
  static func frame(_ message: [UInt8]) -> [UInt8] {
    [0] + (0..<4).map { UInt8(truncatingIfNeeded: message.count >> (24 - 8 * $0)) } + message
  }

  private typealias Change = AuthorizationVerdict.Change

  private static func change(_ name: String, _ value: String, _ action: Change.Action) -> Change {
    Change(name: Array(name.utf8), value: Array(value.utf8), action: action)
  }

  /// Denied with 418, a body, `X-Reason`, two cookies, and a `content-length` that is none of its business.
  static let denial: [UInt8] = [
    10, 2, 8, 7, 18, 101, 10, 3, 8, 162, 3, 18, 20, 10, 18, 10, 8, 88, 45, 82, 101, 97, 115, 111, 110, 18, 6, 116,
    101, 97, 112, 111, 116, 18, 19, 10, 17, 10, 10, 115, 101, 116, 45, 99, 111, 111, 107, 105, 101, 18, 3, 97, 61, 49,
    18, 19, 10, 17, 10, 10, 115, 101, 116, 45, 99, 111, 111, 107, 105, 101, 18, 3, 98, 61, 50, 18, 21, 10, 19, 10, 14,
    99, 111, 110, 116, 101, 110, 116, 45, 108, 101, 110, 103, 116, 104, 18, 1, 53, 26, 7, 110, 111, 116, 32, 121, 111,
    117,
  ]

  /// Allowed, with every kind of change.
  static let permission: [UInt8] = [
    10, 0, 26, 123, 18, 15, 10, 13, 10, 6, 120, 45, 117, 115, 101, 114, 18, 3, 97, 100, 97, 18, 17, 10, 11, 10, 6,
    120, 45, 114, 111, 108, 101, 18, 1, 97, 18, 2, 8, 1, 18, 17, 10, 13, 10, 8, 120, 45, 97, 98, 115, 101, 110, 116,
    18, 1, 110, 24, 1, 18, 18, 10, 14, 10, 9, 120, 45, 112, 114, 101, 115, 101, 110, 116, 18, 1, 112, 24, 3, 42, 13,
    65, 117, 116, 104, 111, 114, 105, 122, 97, 116, 105, 111, 110, 50, 18, 10, 16, 10, 9, 120, 45, 99, 104, 101, 99,
    107, 101, 100, 18, 3, 121, 101, 115, 58, 8, 10, 1, 116, 18, 3, 97, 32, 98, 66, 1, 107,
  ]

  private static func authorizer(_ fields: [String]? = nil, isRaw: Bool = false) -> ExternalAuthorizer {
    let service = ServicePort(service: ServiceName(name: "opa", namespace: "shop"), port: 80)
    return ExternalAuthorizer(
      service: service, wire: .grpc(.init(context: [.init(key: "k", value: "v")])), fields: fields,
      content: .init(maximumBytes: 8, isRaw: isRaw))
  }

  private static func head() -> MessageHead {
    let head = MessageHead()
    head.method = .post
    head.path = head.intern("/a?b=c")
    head.authority = head.intern("orders.shop")
    head.scheme = head.intern("http")
    for (name, value) in [
      ("X-A", "1"), ("Cookie", "c=1"), ("Connection", "close"), ("Host", "orders.shop"), ("x-a", "2"),
      ("x-envoy-auth-partial-body", "forged"), ("cookie", "d=2"),
    ] { head.append(name: name, value: value) }
    return head
  }

  private static func question() -> AuthorizationQuestion {
    func id(_ account: String) -> String { "spiffe://cluster.local/ns/shop/sa/\(account)" }
    var question = AuthorizationQuestion(
      source: .init(address: SocketAddress(ipv4: 0x7F00_0001, port: 4_321), principal: id("web")),
      destination: .init(
        address: SocketAddress(ipv4: 0x7F00_0001, port: 8_080), principal: id("orders"), service: "orders.shop"),
      unixMilliseconds: 12_345, contentLength: 2)
    question.body = Array("hi".utf8)
    return question
  }

  @Test("a question is the message that Google's library writes, in a frame of gRPC") func requests() {
    let frame = CheckMessages.request(Self.question(), head: Self.head(), Self.authorizer())
    var expected: [UInt8] = [10, 225, 2, 10, 57, 10, 16, 10, 14, 18, 9]
    expected += Array("127.0.0.1".utf8) + [24, 225, 33, 34, 37]
    expected += Array("spiffe://cluster.local/ns/shop/sa/web".utf8)
    expected += [18, 73, 10, 16, 10, 14, 18, 9]
    expected += Array("127.0.0.1".utf8) + [24, 144, 63, 18, 11]
    expected += Array("orders.shop".utf8) + [34, 40]
    expected += Array("spiffe://cluster.local/ns/shop/sa/orders".utf8)
    expected += [34, 208, 1, 10, 8, 8, 12, 16, 192, 144, 193, 164, 1, 18, 195, 1, 18, 4]
    expected += Array("POST".utf8)
    for (name, value) in [
      (":method", "POST"), (":path", "/a?b=c"), (":authority", "orders.shop"), (":scheme", "http"), ("x-a", "1,2"),
      ("cookie", "c=1; d=2"), ("x-envoy-auth-partial-body", "false"),
    ] { expected += Self.entry(name, value) }
    expected += [34, 6] + Array("/a?b=c".utf8)
    expected += [42, 11] + Array("orders.shop".utf8)
    expected += [50, 4] + Array("http".utf8)
    expected += [72, 2, 82, 8] + Array("HTTP/1.1".utf8)
    expected += [90, 2, 104, 105, 82, 6, 10, 1, 107, 18, 1, 118]
    #expect(frame == Self.frame(expected))
  }

  private static func entry(_ key: String, _ value: String) -> [UInt8] {
    var entry: [UInt8] = [26, UInt8(4 + key.utf8.count + value.utf8.count), 10, UInt8(key.utf8.count)]
    entry += Array(key.utf8)
    entry += [18, UInt8(value.utf8.count)]
    entry += Array(value.utf8)
    return entry
  }

  @Test("only the fields that are listed are told, and bytes that are no text are mended or sent as bytes")
  func choice() {
    let head = Self.head()
    head.append(name: "x-strange", value: "placeholder")
    head.append(name: "x-latin", value: "\u{FFFD}")
    var question = Self.question()
    question.body = [0xFF, 0x00]
    question.contentLength = nil
    let some = CheckMessages.request(question, head: head, Self.authorizer(["x-strange"]))
    #expect(some.contains(Self.entry("x-strange", "placeholder")) && !some.contains(Self.entry("x-a", "1,2")))
    // The replacement character in place of the broken byte; minus one for an unknown length.
    #expect(some.contains([90, 4, 0xEF, 0xBF, 0xBD, 0x00]))
    #expect(some.contains([72, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]))
    let raw = CheckMessages.request(question, head: head, Self.authorizer(isRaw: true))
    #expect(raw.contains([98, 2, 0xFF, 0x00]))
    // Of a connection nothing is told but its ends.
    let connection = CheckMessages.request(question, head: nil, Self.authorizer())
    #expect(!connection.contains(Array("orders.shop\u{32}".utf8)) && connection.count < 200)
  }

  @Test("an answer that denies has its status, fields and body; fields that HTTP could not carry are left out")
  func denials() throws {
    let verdict = try #require(CheckMessages.verdict(Self.frame(Self.denial)))
    #expect(!verdict.isAllowed && verdict.status == 418 && verdict.body == Array("not you".utf8))
    #expect(
      verdict.responseChanges == [
        Self.change("x-reason", "teapot", .set), Self.change("set-cookie", "a=1", .append),
        Self.change("set-cookie", "b=2", .append),
      ])
    // Any other status than OK denies, and so does `denied_response` beside OK.
    #expect(CheckMessages.verdict(Self.frame([10, 2, 8, 16]))?.isAllowed == false)
    #expect(CheckMessages.verdict(Self.frame([10, 0, 18, 0]))?.isAllowed == false)
    #expect(CheckMessages.verdict(Self.frame([10, 0, 18, 4, 10, 2, 8, 100]))?.status == 403)
  }

  @Test("an answer that allows changes the request and the client's answer") func permissions() throws {
    let verdict = try #require(CheckMessages.verdict(Self.frame(Self.permission)))
    #expect(verdict.isAllowed)
    #expect(
      verdict.requestChanges == [
        Self.change("x-user", "ada", .set), Self.change("x-role", "a", .append),
        Self.change("x-absent", "n", .addIfAbsent), Self.change("x-present", "p", .overwriteIfPresent),
      ])
    #expect(verdict.removals == [Array("authorization".utf8)])
    #expect(verdict.responseChanges == [Self.change("x-checked", "yes", .append)])
    #expect(verdict.query.set == [.init(name: [116], value: Array("a b".utf8))] && verdict.query.removals == [[107]])
    #expect(CheckMessages.verdict(Self.frame([10, 0])) == AuthorizationVerdict(isAllowed: true))
  }

  @Test(
    "an answer that says nothing, or what cannot be done, is none",
    arguments: [
      [], [26, 0, 42, 0], [10, 0, 26, 8, 18, 6, 10, 4, 10, 2, 97, 58], [10, 0, 26, 6, 42, 4, 104, 111, 115, 116], [255],
      [10, 0, 26, 4, 42, 2, 116, 101],
    ] as [[UInt8]])
  func nothing(_ message: [UInt8]) { #expect(CheckMessages.verdict(Self.frame(message)) == nil) }

  @Test("an answer that is cut anywhere is none, and never allows more than the whole") func broken() {
    for message in [Self.denial, Self.permission] {
      let frame = Self.frame(message)
      for end in frame.indices { #expect(CheckMessages.verdict(Array(frame[..<end])) == nil) }
      #expect(CheckMessages.verdict(frame + [0]) == nil && CheckMessages.verdict([1] + frame.dropFirst()) == nil)
    }
    // Cut inside, with a length that fits. The first four bytes say no, the first two of the other yes, each by itself.
    for end in 0..<Self.denial.count {
      #expect(CheckMessages.verdict(Self.frame(Array(Self.denial[..<end])))?.isAllowed != true)
    }
    for end in 3..<Self.permission.count {
      #expect(CheckMessages.verdict(Self.frame(Array(Self.permission[..<end]))) == nil)
    }
  }

  @Test("too many changes are none") func limits() {
    let one: [UInt8] = [42, 1, 97]
    func answer(_ count: Int) -> [UInt8] {
      let parts = Array(repeating: one, count: count).flatMap(\.self)
      return Self.frame([10, 0, 26, UInt8(parts.count & 0x7F) | 0x80, UInt8(parts.count >> 7)] + parts)
    }
    #expect(CheckMessages.verdict(answer(CheckMessages.maximumChanges))?.removals.count == CheckMessages.maximumChanges)
    #expect(CheckMessages.verdict(answer(CheckMessages.maximumChanges + 1)) == nil)
  }

  @Test("bytes of chance never allow unless they say so, and never crash", arguments: 0..<50 as Range<UInt64>)
  func noise(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    for _ in 0..<200 {
      let bytes = (0..<random.next(below: 40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      if CheckMessages.verdict(Self.frame(bytes))?.isAllowed == true {
        #expect(bytes.contains(10) || bytes.contains(26))
      }
      var mutated = Self.denial
      mutated[random.next(below: mutated.count)] = UInt8(truncatingIfNeeded: random.next())
      _ = CheckMessages.verdict(Self.frame(mutated))
    }
  }
}
