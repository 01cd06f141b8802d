import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@Suite("Hash keys of requests") struct RequestKeyTests {
  private func head(_ path: String = "/", _ fields: [(String, String)] = []) -> MessageHead {
    let head = MessageHead()
    head.path = head.intern(string: path)
    for (name, value) in fields { head.append(name: name, value: value) }
    return head
  }

  private func key(_ source: HashSource, _ head: MessageHead) -> UInt64? {
    RequestKey(source).find(in: head, client: SocketAddress(ipv4: 0x0A00_0001, port: 5))
  }

  @Test("a header's values make the key, whatever its letter case; without one there is none")
  func header() {
    let source = HashSource.header("x-user")
    let ada = key(source, head("/", [("X-User", "ada")]))
    #expect(ada != nil)
    #expect(ada == key(source, head("/other", [("x-a", "1"), ("x-user", "ada")])))
    #expect(ada != key(source, head("/", [("x-user", "eve")])))
    #expect(key(source, head()) == nil)
    #expect(key(source, head("/", [("x-user", "")])) == nil)
    // Two lines are the list that another proxy would make of them.
    let two = key(source, head("/", [("x-user", "a"), ("x-user", "b")]))
    #expect(two == key(source, head("/", [("x-user", "a,b")])))
    #expect(two != key(source, head("/", [("x-user", "ab")])))
    let removed = head("/", [("x-user", "ada")])
    removed.removeField(at: 0)
    #expect(key(source, removed) == nil)
  }

  @Test("a cookie is found in any line and place, with or without quotes")
  func cookie() {
    let source = HashSource.cookie(AffinityCookie(name: "id"))
    let known = key(source, head("/", [("cookie", "id=x1")]))
    #expect(known != nil)
    for list in ["a=b; id=x1", "a=b;id=x1; c=d", "id=\"x1\"", "xid=2; id=x1", "id; id=x1"] {
      #expect(key(source, head("/", [("cookie", list)])) == known, "\(list)")
    }
    #expect(key(source, head("/", [("cookie", "a=b"), ("cookie", "id=x1")])) == known)
    for list in ["", "id", "id=", "ID=x1", "xid=x1", "a=id=x1", ";;;", "id=\"\""] {
      #expect(key(source, head("/", [("cookie", list)])) == nil, "\(list)")
    }
  }

  @Test("the query parameter and the client's address make keys")
  func others() {
    let query = HashSource.query("user")
    #expect(key(query, head("/?user=ada")) == key(query, head("/x?a=b&user=ada&user=eve")))
    #expect(key(query, head("/?user=")) == nil)
    #expect(key(query, head("/user=ada")) == nil)
    let address = RequestKey(.sourceAddress)
    let client = SocketAddress(ipv4: 0x0A00_0001, port: 1)
    let key = address.find(in: head(), client: client)
    #expect(key != nil)
    #expect(key == address.find(in: head(), client: SocketAddress(ipv4: 0x0A00_0001, port: 2)))
    #expect(key != address.find(in: head(), client: SocketAddress(ipv4: 0x0A00_0002, port: 1)))
    #expect(address.find(in: head(), client: nil) == nil)
  }

  @Test("a request that brings an issued cookie back has the key of the first request")
  func issued() {
    let cookie = AffinityCookie(name: "id", lifetime: .seconds(90), path: "/shop")
    let issued = IssuedCookie(cookie, draw: 0xAB)
    #expect(issued.field == "id=00000000000000ab; Max-Age=90; Path=/shop; HttpOnly")
    #expect(key(.cookie(cookie), head("/", [("cookie", "id=00000000000000ab")])) == issued.key)
    let session = AffinityCookie(name: "s", path: "")
    #expect(IssuedCookie(session, draw: .max).field == "s=ffffffffffffffff; HttpOnly")
  }

  @Test("hashes are the same in every version")
  func stable() {
    var hash = StableHash()
    for byte in "apus".utf8 { hash.add(byte) }
    #expect(hash.value == Self.hashOfApus)
  }

  private static let hashOfApus: UInt64 = 6_658_024_586_500_083_674
}

@Suite("Limits of a backend") struct BackendLimitsTests {
  @Test("the workers' parts add up to the limit, and every worker has one", arguments: 1...8)
  func share(_ workers: Int) {
    for limit in 1...40 as ClosedRange<UInt32> {
      let parts = (0..<workers).map { BackendLimits.share(of: limit, worker: $0, of: workers) }
      #expect(parts.reduce(0, +) == max(Int(limit), workers))
      #expect(parts.allSatisfy { $0 >= 1 })
      #expect((parts.max() ?? 0) - (parts.min() ?? 0) <= 1)
    }
    #expect(BackendLimits.share(of: nil, worker: 0, of: workers) == .max)
  }
}
