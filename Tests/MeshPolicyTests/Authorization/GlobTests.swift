import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@Suite("Wildcards of authorization") struct GlobTests {
  /// Through a rule, as patterns of a path are used.
  private static func matches(_ pattern: PathPattern, _ path: String) -> Bool {
    let rule = AuthorizationRule(operations: [AuthorizationOperation(paths: Selection([pattern]))])
    let policy = AuthorizationPolicy(name: "p", action: .allow, rules: [rule])
    let head = MessageHead()
    head.path = head.intern(string: path)
    let call = AuthorizationCall(caller: CallerFacts(identity: nil, address: nil), request: head)
    return Authorizer(Authorization(policies: [policy])).decide(call).verdict == .allow
  }

  /// The definition, tried in every way there is.
  private static func reference(_ pattern: ArraySlice<Character>, _ text: ArraySlice<Character>) -> Bool {
    guard let first = pattern.first else { return text.isEmpty }
    guard first == "*" else { return text.first == first && reference(pattern.dropFirst(), text.dropFirst()) }
    let isDouble = pattern.dropFirst().first == "*"
    let rest = pattern.dropFirst(isDouble ? 2 : 1)
    for length in 0...text.count {
      if !isDouble, text.prefix(length).contains("/") { return false }
      if reference(rest, text.dropFirst(length)) { return true }
    }
    return false
  }

  @Test("a glob matches what its definition says", arguments: 1...4 as ClosedRange<UInt64>)
  func random(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let parts = ["*", "**", "a", "b", "/"]
    var found = 0
    for _ in 0..<5_000 {
      var pattern = "/"
      for _ in 0..<random.next(below: 8) {
        let part = parts[Int(random.next(below: 5))]
        // Three in a row would be another pattern.
        if part.hasPrefix("*"), pattern.hasSuffix("*") { continue }
        pattern += part
      }
      let path = "/" + (0..<random.next(below: 9)).map { _ in ["a", "b", "/"][Int(random.next(below: 3))] }.joined()
      let expected = Self.reference(Array(pattern)[...], Array(path)[...])
      #expect(Self.matches(.glob(pattern), path) == expected, "\(pattern) \(path)")
      if expected { found += 1 }
    }
    #expect(found > 200)
  }

  @Test("the time for a hostile path grows with it and not with its square") func hostile() {
    let pattern = PathPattern.glob("/" + String(repeating: "a*", count: 60) + "b")
    #expect(!Self.matches(pattern, "/" + String(repeating: "a", count: 8_000)))
    let over = PathPattern.glob("/" + String(repeating: "**a", count: 60) + "b")
    #expect(!Self.matches(over, "/" + String(repeating: "a/", count: 4_000)))
  }
}
