import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

private func request(_ path: String, method: String = "GET", headers: [(String, String)] = []) -> MessageHead {
  let head = MessageHead()
  head.method = Array(method.utf8).withUnsafeBytes { Method($0) }
  if head.method == .other { head.methodBytes = head.intern(string: method) }
  head.path = head.intern(string: path)
  head.authority = head.intern(string: "orders.shop")
  for (name, value) in headers { head.append(name: name, value: value) }
  return head
}

private func rule(_ name: String, _ matches: RouteMatch...) -> RouteRule {
  RouteRule(name: name, matches: matches, backends: [])
}

@Suite struct RouteExplanationTests {
  private static let rules = [
    rule(
      "testers", RouteMatch(path: .exact("/a"), method: "POST"),
      RouteMatch(
        path: .prefix("/a"), headers: [HeaderMatch(name: "x-version", value: .exact("two"))],
        queryParameters: [QueryMatch(name: "debug", value: .regularExpression("[01]"))])),
    rule("old", RouteMatch(path: .prefix("/old")), RouteMatch(path: .prefix("/older"))),
    rule("rest"),
  ]

  @Test("names the rule, its match, and the first condition that fails of every match before it") func refusals() {
    let explanation = RouteExplanation(Self.rules, request("/older/x"))
    #expect(explanation.rule == 1 && explanation.match == 1)
    #expect(
      explanation.refusals == [
        .init(rule: 0, match: 0, condition: .method("POST"), found: "GET"),
        .init(rule: 0, match: 1, condition: .path(.prefix("/a")), found: "/older/x"),
      ])
  }

  @Test(
    "tells what the request has in the place of what is wanted",
    arguments: [
      ("/a?debug=1", [], "x-version", nil as String?),
      ("/a?debug=1", [("X-Version", "one"), ("x-version", "two")], "x-version", "one,two"),
      ("/a?debug=2", [("x-version", "two")], "debug", "2"),
      ("/a?d=1", [("x-version", "two")], "debug", nil),
    ])
  func found(_ path: String, _ headers: [(String, String)], _ name: String, _ found: String?) throws {
    let explanation = RouteExplanation(Self.rules, request(path, headers: headers))
    #expect(explanation.rule == 2 && explanation.match == nil)
    let refusal = try #require(explanation.refusals.first { $0.match == 1 && $0.rule == 0 })
    switch refusal.condition {
    case .header(let header): #expect(header.name == name)
    case .query(let query): #expect(query.name == name)
    case .method, .path: Issue.record("\(refusal)")
    }
    #expect(refusal.found == found)
  }

  @Test("without a rule that matches every rule is refused") func none() {
    let explanation = RouteExplanation([Self.rules[1]], request("/", method: "PROPFIND"))
    #expect(explanation.rule == nil && explanation.refusals.map(\.match) == [0, 1])
    #expect(RouteExplanation([rule("m", RouteMatch(method: "PROPFIND"))], request("/", method: "PROPFIND")).match == 0)
  }

  @Test("agrees with the table of the proxies about random rules and requests") func agreement() {
    var random = SeededRandom(seed: 20)
    func pick<T>(_ list: [T]) -> T { list[Int(random.next() % UInt64(list.count))] }
    let paths: [PathMatch?] = [nil, .exact("/a"), .prefix("/a"), .prefix("/a/b"), .regularExpression("/[ab]/?.*")]
    for _ in 0..<2_000 {
      let rules = (0..<4).map { index in
        rule(
          "\(index)",
          RouteMatch(
            path: pick(paths), method: pick([nil, "GET", "PUT"]),
            headers: pick([[], [HeaderMatch(name: "x", value: .exact("1"))]])))
      }
      let head = request(
        pick(["/a", "/a/b", "/b", "/c"]), method: pick(["GET", "PUT"]), headers: pick([[], [("x", "1")]]))
      let explanation = RouteExplanation(rules, head)
      #expect(explanation.rule == RouteTable(rules).match(head))
      // Exactly the rules before it are refused.
      #expect(explanation.refusals.map(\.rule) == Array(0..<(explanation.rule ?? rules.count)))
    }
  }
}
