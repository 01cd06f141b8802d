import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@Suite("What external authorizers change, and their answers in plain HTTP") struct VerdictTests {
  private static func request(_ path: StaticString = "/a", _ fields: [(String, String)] = []) -> MessageHead {
    let head = MessageHead()
    head.path = head.intern(path)
    head.authority = head.intern("orders.shop")
    for (name, value) in fields { head.append(name: name, value: value) }
    return head
  }

  private static func values(_ head: MessageHead, _ name: String) -> [String] {
    head.fields.filter { !$0.isRemoved && head.bytes($0.name).string.lowercased() == name }
      .map { head.bytes($0.value).string }
  }

  @Test("fields of a request are set, joined, added and removed as the answer says") func fields() throws {
    let head = Self.request(
      "/",
      [("X-User", "forged"), ("x-user", "again"), ("x-role", "b"), ("x-present", "o"), ("Authorization", "secret")])
    let verdict = try #require(CheckMessages.verdict(CheckMessagesTests.frame(CheckMessagesTests.permission)))
    verdict.apply(toRequest: head)
    #expect(Self.values(head, "x-user") == ["ada"] && Self.values(head, "x-role") == ["b", "a"])
    #expect(Self.values(head, "x-absent") == ["n"] && Self.values(head, "x-present") == ["p"])
    #expect(Self.values(head, "authorization") == [])
    let without = Self.request("/", [("x-absent", "mine")])
    verdict.apply(toRequest: without)
    #expect(Self.values(without, "x-absent") == ["mine"] && Self.values(without, "x-present") == [])
  }

  @Test(
    "parameters of the query go and come in any spelling",
    arguments: [
      ("/a", "/a?t=a%20b"), ("/a?", "/a?t=a%20b"), ("/a?k=1", "/a?t=a%20b"), ("/a?x=1&k=2&y", "/a?x=1&y&t=a%20b"),
      ("/a?%6b=1&%6B=2&K=3", "/a?K=3&t=a%20b"), ("/a?t=old&%74=older", "/a?t=a%20b"),
      ("/a?%zz=1&k+=2", "/a?%zz=1&k+=2&t=a%20b"),
    ])
  func query(_ before: String, _ after: String) throws {
    let head = MessageHead()
    head.path = head.intern(string: before)
    let verdict = try #require(CheckMessages.verdict(CheckMessagesTests.frame(CheckMessagesTests.permission)))
    verdict.apply(toRequest: head)
    #expect(head.bytes(head.path).string == after)
  }

  private static func authorizer(_ http: ExternalAuthorizer.HTTP, fields: [String]? = nil) -> ExternalAuthorizer {
    let service = ServicePort(service: ServiceName(name: "login", namespace: "shop"), port: 80)
    return ExternalAuthorizer(service: service, wire: .http(http), fields: fields)
  }

  private static func answer(_ status: UInt16, _ fields: [(String, String)] = []) -> MessageHead {
    let head = MessageHead()
    head.status = status
    for (name, value) in fields { head.append(name: name, value: value) }
    return head
  }

  @Test("by HTTP the question has the method, the path behind a prefix, authorization and the fields listed")
  func question() {
    let request = Self.request(
      "/a?b=c",
      [("Authorization", "x"), ("Cookie", "s=1"), ("X-Other", "y"), ("Connection", "close"), ("Content-Length", "9")])
    request.method = .put
    let head = MessageHead()
    CheckHTTP.write(
      request, Self.authorizer(.init(pathPrefix: "/check"), fields: ["cookie"]), bodyLength: 0, to: head)
    #expect(head.method == .put && head.bytes(head.path).string == "/check/a?b=c")
    #expect(head.bytes(head.authority).string == "orders.shop")
    let names = head.fields.map { head.bytes($0.name).string }
    #expect(names == ["authorization", "cookie", "content-length"] && head.value(.contentLength)?.string == "0")
  }

  @Test("200 allows; the fields of the list are the answer's, or nobody's") func allowed() throws {
    let authorizer = Self.authorizer(.init(requestFields: ["x-user", "x-groups"], responseFields: ["set-cookie"]))
    let answer = Self.answer(
      200,
      [
        ("X-User", "ada"), ("x-user", "ada2"), ("Set-Cookie", "a=1"),
        ("x-envoy-auth-headers-to-remove", "x-gone, x-out"),
      ])
    let verdict = try #require(CheckHTTP.verdict(answer, body: [], authorizer))
    let head = Self.request("/", [("x-user", "forged"), ("x-groups", "admins"), ("x-gone", "1"), ("x-out", "2")])
    verdict.apply(toRequest: head)
    #expect(Self.values(head, "x-user") == ["ada", "ada2"] && Self.values(head, "x-groups") == [])
    #expect(Self.values(head, "x-gone") == [] && Self.values(head, "x-out") == [])
    let response = Self.answer(200, [("set-cookie", "own=1")])
    verdict.apply(toResponse: response)
    #expect(Self.values(response, "set-cookie") == ["own=1", "a=1"])
  }

  @Test("other statuses deny, with the fields that the client may see; 5xx says nothing") func denied() throws {
    let answer = Self.answer(
      302, [("Location", "/login"), ("x-inner", "1"), ("x-told", "2"), ("Server", "s"), ("Connection", "close")])
    let all = try #require(CheckHTTP.verdict(answer, body: Array("go".utf8), Self.authorizer(.init())))
    #expect(!all.isAllowed && all.status == 302 && all.body == Array("go".utf8))
    #expect(all.responseChanges.map { String(decoding: $0.name, as: UTF8.self) } == ["location", "x-inner", "x-told"])
    let some = try #require(CheckHTTP.verdict(answer, body: [], Self.authorizer(.init(denialFields: ["x-told"]))))
    #expect(some.responseChanges.map { String(decoding: $0.name, as: UTF8.self) } == ["location", "x-told"])
    #expect(CheckHTTP.verdict(Self.answer(204), body: [], Self.authorizer(.init()))?.isAllowed == false)
    for status in [500, 503] as [UInt16] {
      #expect(CheckHTTP.verdict(Self.answer(status), body: [], Self.authorizer(.init())) == nil)
    }
    let long = [UInt8](repeating: 0x61, count: CheckHTTP.maximumAnswerBytes + 1)
    #expect(CheckHTTP.verdict(Self.answer(403), body: long, Self.authorizer(.init()))?.body == [])
  }
}
