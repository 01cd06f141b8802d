import MeshPolicy
import Testing

@Suite struct LinearRegexTests {
  @Test(
    "the whole value must match",
    arguments: [
      ("abc", "abc", true), ("abc", "abcd", false), ("abc", "xabc", false), ("", "", true), ("", "a", false),
      ("a|bc", "bc", true), ("a|bc", "ac", false), ("|a", "", true), ("a*", "aaa", true), ("a*", "", true),
      ("a+", "", false), ("ab?c", "ac", true), ("ab?c", "abbc", false), ("a.c", "a/c", true), ("a.c", "ac", false),
      ("(ab)+", "abab", true), ("(ab)+", "aba", false), ("(?:a|b)c", "bc", true), ("a{3}", "aaa", true),
      ("a{3}", "aa", false), ("a{2,}", "aaaaa", true), ("a{2,}", "a", false), ("a{1,2}", "aaa", false),
      ("a{0}", "", true), ("^abc$", "abc", true), ("(^a|b)c$", "ac", true), ("a^b", "ab", false), ("a$b", "ab", false),
      ("[a-c]+", "abc", true), ("[a-c]+", "abd", false), ("[^/]+", "a/b", false), ("[^/]+", "ab", true),
      ("[]a]", "]", true), ("[a-]", "-", true), ("[\\]]", "]", true), ("[[:digit:]]{3}", "123", true),
      ("[[:alpha:]_]+", "a_b", true), ("\\d+", "12a", false), ("\\w+", "a_9", true), ("\\s", "\t", true),
      ("\\D\\W\\S", "a-b", true), ("[\\d.]+", "1.2", true), ("\\.", "a", false), ("\\/x\\-y", "/x-y", true),
      ("a*?b", "aab", true), ("a+?", "", false), ("é+", "éé", true), ("/v[0-9]+(/.*)?", "/v12/a", true),
      ("(a*)*", "aaa", true), ("()*", "", true), ("((a?)+)+b", "aab", true), ("x{2,4}y", "xxxxy", true),
      ("x{2,4}y", "xxxxxy", false),
    ])
  func table(_ pattern: String, _ value: String, _ matches: Bool) throws {
    #expect(try LinearRegex(pattern).matches(value) == matches)
  }

  @Test(
    "an unsupported or broken pattern is refused with a reason",
    arguments: [
      ("(", "missing \")\""), (")", "unmatched \")\""), ("*a", "nothing to repeat"), ("a**", "a repeat of a repeat"),
      ("^*", "nothing to repeat"), ("[a", "missing \"]\""), ("[b-a]", "wrong order"), ("a{2,1}", "wrong order"),
      ("a{256}", "a repeat above 255"), ("a{", "expected a number"), ("(?=a)", "look-around"),
      ("\\1", "back-references"),
      ("\\b", "unknown escape"), ("a\\", "backslash at the end"), ("[[:foo:]]", "unknown class"), ("[é]", "ASCII"),
      ("[[.a.]]", "collating"), ("a{1", "expected \"}\""),
    ])
  func errors(_ pattern: String, _ reason: String) {
    let error = #expect(throws: RegexError.self) { try LinearRegex(pattern) }
    #expect(error?.reason.contains(reason) == true, "\(error?.description ?? "")")
  }

  @Test("the limits on length, nesting and written-out size hold") func limits() {
    let long = String(repeating: "a", count: LinearRegex.maximumPatternBytes + 1)
    let deep = String(repeating: "(", count: LinearRegex.maximumNesting + 1)
    for pattern in [long, deep, "((a{200}){200}){200}", "((((){255}){255}){255}){255}"] {
      #expect(throws: RegexError.self) { try LinearRegex(pattern) }
    }
    #expect(throws: Never.self) { try LinearRegex(String(repeating: "a", count: LinearRegex.maximumPatternBytes)) }
  }

  @Test(
    "patterns that make a backtracking matcher explode finish on a long value",
    arguments: [
      "(a*)*b", "(a|a)*b", "(a?){30}a{30}b", "(a|aa)+b", "(.*)(.*)(.*)(.*)(.*)b",
    ])
  func pathological(_ pattern: String) throws {
    // Backtracking would take more steps than there are atoms in the universe; this one takes bytes times instructions.
    #expect(try !LinearRegex(pattern).matches(String(repeating: "a", count: 5_000)))
  }
}
