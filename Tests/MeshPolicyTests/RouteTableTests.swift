import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

private func request(
  _ path: String, method: Method = .get, authority: String = "orders", headers: [(String, String)] = []
) -> MessageHead {
  let head = MessageHead()
  head.method = method
  head.path = head.intern(string: path)
  head.authority = head.intern(string: authority)
  for (name, value) in headers { head.append(name: name, value: value) }
  return head
}

private func rule(_ matches: RouteMatch...) -> RouteRule {
  RouteRule(name: "test", matches: matches, backends: [])
}

@Suite struct RouteTableTests {
  @Test(
    "a prefix matches whole path elements only and ignores slashes at its end",
    arguments: [
      ("/abc", "/abc", true), ("/abc", "/abc/", true), ("/abc", "/abc/d", true), ("/abc", "/abcd", false),
      ("/abc/", "/abc", true), ("/abc/", "/abc/d", true), ("/abc/", "/abcd", false), ("/abc", "/ab", false),
      ("/", "/", true), ("/", "/anything", true), ("/", "*", true), ("/", "", true),
      ("/abc", "/abc?x=/y", true), ("/abc", "/abcd?x=/abc", false), ("/abc", "/ABC", false), ("/a/b", "/a/b/c", true),
      ("/a/b", "/a/bc", false),
    ])
  func prefix(_ pattern: String, _ path: String, _ matches: Bool) {
    let table = RouteTable([rule(RouteMatch(path: .prefix(pattern)))])
    #expect((table.match(request(path)) == 0) == matches)
  }

  @Test(
    "an exact path tolerates a query and nothing else",
    arguments: [
      ("/abc", true), ("/abc?q=1", true), ("/abc?", true), ("/abc/", false), ("/ab", false), ("/Abc", false),
    ])
  func exact(_ path: String, _ matches: Bool) {
    let table = RouteTable([rule(RouteMatch(path: .exact("/abc")))])
    #expect((table.match(request(path)) == 0) == matches)
  }

  @Test("the first rule that matches wins, whatever its kind") func order() {
    let table = RouteTable([
      rule(RouteMatch(path: .prefix("/a"), method: "POST")),
      rule(RouteMatch(path: .prefix("/a"))),
      rule(RouteMatch(path: .exact("/a/b"))),
      rule(),
    ])
    #expect(table.match(request("/a/b")) == 1)
    #expect(table.match(request("/a/b", method: .post)) == 0)
    #expect(table.match(request("/z")) == 3)
  }

  @Test("of many rules the same one matches as of few") func many() {
    var random = SeededRandom(seed: 7)
    let elements = ["", "a", "b", "ab", "c d", "a%2Fb", "ab/", "long-element-of-a-path"]
    func path(_ count: Int) -> String {
      (0..<count).map { _ in "/" + elements[Int(random.next() % UInt64(elements.count))] }.joined()
    }
    for _ in 0..<40 {
      let matches = (0..<(17 + Int(random.next() % 60))).map { _ -> RouteMatch in
        let text = path(Int(random.next() % 4))
        let method = random.next() % 3 == 0 ? "POST" : nil
        switch random.next() % 8 {
        case 0: return RouteMatch(path: .regularExpression("/a/.*"), method: method)
        case 1: return RouteMatch(path: random.next() % 4 == 0 ? nil : .exact("/none"), method: "DELETE")
        case 2, 3, 4: return RouteMatch(path: .prefix(text), method: method)
        default: return RouteMatch(path: .exact(text), method: method)
        }
      }
      let table = RouteTable(matches.map { rule($0) })
      // One at a time they stand in no index.
      let alone = matches.map { RouteTable([rule($0)]) }
      for _ in 0..<200 {
        let head = request(path(Int(random.next() % 5)), method: random.next() % 2 == 0 ? .get : .post)
        let expected = alone.firstIndex { $0.match(head) != nil }
        #expect(table.match(head) == expected, "\(head.bytes(head.path).string)")
      }
    }
  }

  @Test("a path longer than any rule's finds its prefix, and one as long as a prefix its exact rule") func lengths() {
    let few = (0..<20).map { rule(RouteMatch(path: .exact("/other/\($0)"))) }
    let table = RouteTable(
      few + [
        rule(RouteMatch(path: .exact("/ab"))), rule(RouteMatch(path: .prefix("/xy"))),
        rule(RouteMatch(path: .exact(""))),
      ])
    #expect(table.match(request("/ab")) == 20)
    #expect(table.match(request("/xy" + String(repeating: "/z", count: 10_000))) == 21)
    #expect(table.match(request("/xyz")) == nil)
    #expect(table.match(request("")) == 22)
  }

  @Test("without a matching rule there is no index") func noMatch() {
    #expect(RouteTable([rule(RouteMatch(path: .exact("/a")))]).match(request("/b")) == nil)
    #expect(RouteTable([]).match(request("/b")) == nil)
  }

  @Test("any alternative of a rule is enough, all conditions of an alternative are needed") func alternatives() {
    let table = RouteTable([
      rule(
        RouteMatch(path: .exact("/a"), headers: [HeaderMatch(name: "x-env", value: .exact("test"))]),
        RouteMatch(path: .exact("/b"), method: "PUT"))
    ])
    #expect(table.match(request("/a")) == nil)
    #expect(table.match(request("/a", headers: [("X-Env", "test")])) == 0)
    #expect(table.match(request("/b")) == nil)
    #expect(table.match(request("/b", method: .put)) == 0)
  }

  @Test("a method outside the common ones is compared by its bytes") func otherMethod() {
    let table = RouteTable([rule(RouteMatch(method: "PURGE"))])
    let head = request("/", method: .other)
    head.methodBytes = head.intern("PURGE")
    #expect(table.match(head) == 0)
    head.methodBytes = head.intern("purge")
    #expect(table.match(head) == nil)
  }

  @Test(
    "header names ignore letter case, values do not, and absent fields never match",
    arguments: [
      ("user-agent", "User-Agent", "curl", true), ("x-canary", "X-CANARY", "curl", true),
      ("user-agent", "user-agent", "Curl", false), ("x-canary", "x-canary2", "curl", false),
      ("x-canary", "x-canary", "", false),
    ])
  func headers(_ wanted: String, _ name: String, _ value: String, _ matches: Bool) {
    let table = RouteTable([rule(RouteMatch(headers: [HeaderMatch(name: wanted, value: .exact("curl"))]))])
    #expect((table.match(request("/", headers: [(name, value)])) == 0) == matches)
  }

  @Test("lines of one name are compared joined by commas") func joinedLines() {
    let table = RouteTable([rule(RouteMatch(headers: [HeaderMatch(name: "x-a", value: .exact("1,2"))]))])
    #expect(table.match(request("/", headers: [("x-a", "1"), ("X-A", "2")])) == 0)
    #expect(table.match(request("/", headers: [("x-a", "1")])) == nil)
    let removed = request("/", headers: [("x-a", "0"), ("x-a", "1"), ("x-a", "2")])
    removed.removeField(at: 0)
    #expect(table.match(removed) == 0)
  }

  @Test("only the first condition on a name counts") func repeatedCondition() {
    let table = RouteTable([
      rule(
        RouteMatch(headers: [
          HeaderMatch(name: "x-a", value: .exact("1")), HeaderMatch(name: "X-A", value: .exact("2")),
        ]))
    ])
    #expect(table.match(request("/", headers: [("x-a", "1")])) == 0)
  }

  @Test("a condition on host reads the authority") func host() {
    let table = RouteTable([rule(RouteMatch(headers: [HeaderMatch(name: "host", value: .exact("shop"))]))])
    #expect(table.match(request("/", authority: "shop")) == 0)
    #expect(table.match(request("/", authority: "orders", headers: [("host", "shop")])) == nil)
  }

  @Test(
    "a query condition reads the first parameter of its name, undecoded and case-sensitive",
    arguments: [
      ("/?animal=whale", true), ("/?a=b&animal=whale&animal=x", true), ("/p?animal=whale&", true),
      ("/?animal=x&animal=whale", false), ("/?ANIMAL=whale", false), ("/?animal=Whale", false),
      ("/?animal=wh%61le", false),
      ("/?animal=whaledolphin", false), ("/?xanimal=whale", false), ("/?animal", false), ("/?animalwhale", false),
      ("/animal=whale", false), ("/", false), ("/?", false), ("*", false), ("", false),
    ])
  func query(_ target: String, _ matches: Bool) {
    let table = RouteTable([rule(RouteMatch(queryParameters: [QueryMatch(name: "animal", value: .exact("whale"))]))])
    #expect((table.match(request(target)) == 0) == matches)
  }

  @Test("a parameter without a value is an empty one, and all conditions of an alternative are needed")
  func queryConditions() {
    let empty = QueryMatch(name: "flag", value: .exact(""))
    let version = QueryMatch(name: "v", value: .regularExpression("[0-9]+"))
    let table = RouteTable([
      rule(RouteMatch(path: .exact("/a"), queryParameters: [version, empty])),
      rule(RouteMatch(queryParameters: [version, QueryMatch(name: "v", value: .exact("never"))])),
      rule(RouteMatch(queryParameters: [empty])),
    ])
    #expect(table.match(request("/a?flag&v=12")) == 0)
    #expect(table.match(request("/a?flag=&v=12")) == 0)
    #expect(table.match(request("/a?v=12")) == 1)
    #expect(table.match(request("/a?flag&v=x")) == 2)
    #expect(table.match(request("/a?flag=1")) == nil)
  }

  @Test("regular expressions must cover the whole path or value") func regex() {
    let table = RouteTable([
      rule(RouteMatch(path: .regularExpression("/v[0-9]+/.*"))),
      rule(RouteMatch(headers: [HeaderMatch(name: "x-v", value: .regularExpression("a|b"))])),
    ])
    #expect(table.match(request("/v12/x?y")) == 0)
    #expect(table.match(request("/x/v12/x")) == nil)
    #expect(table.match(request("/", headers: [("x-v", "b")])) == 1)
    #expect(table.match(request("/", headers: [("x-v", "ab")])) == nil)
  }

  @Test("a rule whose pattern does not compile captures nothing and is reported") func invalidPattern() {
    let table = RouteTable([rule(RouteMatch(path: .regularExpression("("))), rule()])
    #expect(table.match(request("/")) == 1)
    #expect(table.invalidPatterns.map(\.pattern) == ["("])
  }
}

@Suite struct WeightedPickTests {
  @Test(
    "after any number of picks every share is within five requests of its weight, wherever the draws begin",
    arguments: [
      [90, 10], [1, 1, 1], [99, 1], [5, 0, 5], [1000, 3000, 6000], [4_294_967_295, 4_294_967_295, 1] as [UInt32],
    ])
  func shares(_ weights: [UInt32]) {
    var random = SeededRandom(seed: 7)
    let pick = WeightedPick(weights)
    let total = weights.reduce(0.0) { $0 + Double($1) }
    for _ in 0..<20 {
      var draws = EvenDraws(start: random.next())
      var counts = [Int](repeating: 0, count: weights.count)
      for n in 1...5_000 {
        counts[pick.pick(draws.next()) ?? 0] += 1
        for (weight, count) in zip(weights, counts) {
          let off = abs(Double(count) - Double(n) * Double(weight) / total)
          if off >= 5 { Issue.record("off by \(off) after \(n)") }
        }
      }
      for (weight, count) in zip(weights, counts) where weight == 0 { #expect(count == 0) }
    }
  }

  @Test("every second draw is as even as all of them: a caller that alternates kinds of requests splits each by weight")
  func alternating() {
    let pick = WeightedPick([50, 30, 20])
    var draws = EvenDraws(start: 3)
    var counts = [0, 0, 0]
    for _ in 0..<1_000 {
      counts[pick.pick(draws.next()) ?? 0] += 1
      _ = draws.next()
    }
    for (count, share) in zip(counts, [500, 300, 200]) { #expect(abs(count - share) < 10) }
  }

  @Test("nothing is drawn when there is no weight") func zero() {
    func pick(_ weights: [UInt32]) -> Int? { WeightedPick(weights).pick(1 << 63) }
    #expect(pick([0, 0]) == nil)
    #expect(pick([]) == nil)
    #expect(pick([0, 3, 0]) == 1)
  }
}
