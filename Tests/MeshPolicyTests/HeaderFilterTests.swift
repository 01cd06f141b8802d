import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@Suite struct HeaderFilterTests {
  private func values(_ head: MessageHead, _ name: String) -> [String] {
    head.fields.filter { !$0.isRemoved && head.bytes($0.name).string.lowercased() == name }
      .map { head.bytes($0.value).string }
  }

  @Test("set overwrites every line, add appends a line, remove takes all lines, in any letter case") func actions() {
    let head = MessageHead()
    for (name, value) in [("X-Set", "1"), ("x-set", "2"), ("X-Add", "1"), ("X-Gone", "1"), ("x-gone", "2")] {
      head.append(name: name, value: value)
    }
    let filter = CompiledHeaderFilter(
      [
        HeaderFilter(
          direction: .request,
          set: [HeaderPair(name: "x-set", value: "3"), HeaderPair(name: "User-Agent", value: "a")],
          add: [HeaderPair(name: "x-add", value: "2")], remove: ["x-GONE"]),
        HeaderFilter(direction: .response, remove: ["x-add"]),
      ], direction: .request)
    filter.apply(to: head)
    #expect(values(head, "x-set") == ["3"])
    #expect(values(head, "x-add") == ["1", "2"])
    #expect(values(head, "x-gone") == [])
    #expect(head.value(.userAgent)?.string == "a")
    #expect(filter.refused.isEmpty)
  }

  @Test(
    "framing, connection, pseudo and mesh fields cannot be changed",
    arguments: [
      "Content-Length", "transfer-encoding", "Connection", "TE", "upgrade", ":path", "x-apus-service", "X-Apus-New",
      "bad name", "",
    ])
  func refused(_ name: String) {
    let filter = CompiledHeaderFilter(
      [
        HeaderFilter(
          direction: .request, set: [HeaderPair(name: name, value: "1")], add: [HeaderPair(name: name, value: "1")],
          remove: [name])
      ], direction: .request)
    #expect(filter.isEmpty)
    #expect(filter.refused == [name, name, name])
  }

  @Test("a value that would split the message is refused") func splitting() {
    let filter = CompiledHeaderFilter(
      [HeaderFilter(direction: .response, set: [HeaderPair(name: "x-a", value: "1\r\nx-b: 2")])], direction: .response)
    #expect(filter.isEmpty)
  }

  @Test("setting host changes the authority of a request and nothing of a response") func host() {
    let set = [HeaderPair(name: "Host", value: "new.example")]
    let head = MessageHead()
    head.authority = head.intern("old.example")
    head.append(.host, "old.example")
    CompiledHeaderFilter([HeaderFilter(direction: .request, set: set)], direction: .request).apply(to: head)
    #expect(head.bytes(head.authority).string == "new.example")
    #expect(head.value(.host) == nil)
    #expect(CompiledHeaderFilter([HeaderFilter(direction: .response, set: set)], direction: .response).isEmpty)
  }
}

@Suite struct ReuseRetryTests {
  private func allowed(
    retries: Int = 0, reused: Bool = true, response: Bool = false, body: UInt64 = 0, method: Method = .get,
    unprocessed: Bool = false
  ) -> Bool {
    ReuseRetry(
      retriesSoFar: retries, connectionWasReused: reused, responseBytesSeen: response, requestBodyBytesTaken: body,
      method: method, provablyUnprocessed: unprocessed
    ).isAllowed
  }

  @Test("an idempotent request without body bytes is repeated once on a fresh connection") func once() {
    #expect(allowed())
    #expect(allowed(method: .put))
    #expect(!allowed(retries: 1))
  }

  @Test("nothing is repeated after a response byte, a taken body byte, or on a fresh connection") func refused() {
    #expect(!allowed(response: true))
    #expect(!allowed(body: 1))
    #expect(!allowed(reused: false))
    #expect(!allowed(body: 1, unprocessed: true))
  }

  @Test("a POST is repeated only when the peer provably did not act on it") func post() {
    #expect(!allowed(method: .post))
    #expect(allowed(method: .post, unprocessed: true))
    #expect(allowed(reused: false, method: .post, unprocessed: true))
  }
}
