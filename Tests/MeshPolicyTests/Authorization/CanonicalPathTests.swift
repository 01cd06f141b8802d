import MeshCore
import MeshPolicy
import Testing

@Suite("Paths as rules and applications see them") struct CanonicalPathTests {
  private static func canonical(_ path: String) -> CanonicalPath {
    Array(path.utf8).withUnsafeBytes { CanonicalPath.of($0) }
  }

  @Test(
    "ordinary paths stay as they are",
    arguments: [
      "/", "/a", "/a/b", "/a/", "/a.b/c~d", "/a-b_c", "/.well-known/x", "/a%20b", "/caf%C3%A9", "/a%25", "/a%25zz",
      "/...", "/a/..b",
      "/a?x=//../%2f;", "/?a", "*", "/$a!b'(c)*+,=:@&", "/%E2%82%AC/%F0%9F%90%A6",
    ])
  func unchanged(_ path: String) { #expect(Self.canonical(path) == .unchanged) }

  @Test(
    "other spellings of a path become the one",
    arguments: [
      ("//a", "/a"), ("/a//b", "/a/b"), ("/a///", "/a/"), ("/./a", "/a"), ("/a/.", "/a/"), ("/a/./b", "/a/b"),
      ("/a/../b", "/b"),
      ("/a/b/..", "/a/"), ("/%61dmin", "/admin"), ("/%41", "/A"), ("/a/%2e%2e/b", "/b"), ("/a/%2E/b", "/a/b"),
      ("/a/.%2e/b", "/b"),
      ("/caf%c3%a9", "/caf%C3%A9"), ("/a%7eb", "/a~b"), ("/a|b", "/a%7Cb"), ("/a%7cb", "/a%7Cb"),
      ("/a\"<>", "/a%22%3C%3E"),
      ("/a%3fb", "/a%3Fb"), ("/a%23b", "/a%23b"), ("/a%21", "/a!"), ("//a?q=//", "/a?q=//"), ("/a/../?..", "/?.."),
      ("/%2a", "/*"),
    ])
  func rewritten(_ path: String, _ expected: String) {
    let wanted: CanonicalPath = path == expected ? .unchanged : .rewritten(Array(expected.utf8))
    #expect(Self.canonical(path) == wanted)
  }

  @Test(
    "what can be read in more than one way is refused",
    arguments: [
      ("/a%2fb", CanonicalPath.Problem.encodedSlash), ("/a%2Fb", .encodedSlash), ("/a\\b", .backslash),
      ("/a%5cb", .backslash),
      ("/a%5C..%5Cb", .backslash), ("/a;x=1", .pathParameter), ("/a/..;/b", .pathParameter), ("/a%3bx", .pathParameter),
      ("/a%00", .controlCharacter), ("/%00/admin", .controlCharacter), ("/a%0d%0ab", .controlCharacter),
      ("/a%7f", .controlCharacter),
      ("/%c0%ae%c0%ae/a", .invalidUTF8), ("/%c0%af", .invalidUTF8), ("/%e0%80%af", .invalidUTF8),
      ("/%ff", .invalidUTF8),
      ("/%c3", .invalidUTF8), ("/%c3/%a9", .invalidUTF8), ("/%ed%a0%80", .invalidUTF8), ("/%c3x%a9", .invalidUTF8),
      ("/%252e%252e/a", .doubleEncoding), ("/%252fa", .doubleEncoding), ("/%25%32e", .doubleEncoding),
      ("/%2", .brokenEncoding),
      ("/%", .brokenEncoding),
      ("/%zz", .brokenEncoding), ("/%u002e", .brokenEncoding), ("/..", .aboveRoot), ("/a/../../b", .aboveRoot),
      ("/%2e%2e/a", .aboveRoot),
      ("a", .notAbsolute), ("?a", .notAbsolute), ("", .notAbsolute),
    ])
  func refused(_ path: String, _ problem: CanonicalPath.Problem) { #expect(Self.canonical(path) == .refused(problem)) }

  @Test("a canonical path is canonical, and has one spelling", arguments: 1...4 as ClosedRange<UInt64>)
  func idempotent(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let pieces = [
      "/", "/", "/", ".", "..", "a", "B", "%2e", "%2E", "%61", "%41", "%2f", "%C3%A9", "%c3%a9", "%25", "%252e", ";",
      "|", "%7C", "%", "?",
      "%00", "\\", "~", "%7e", "%FF", "é", "2e",
    ]
    var kept = 0
    for _ in 0..<5_000 {
      let path = "/" + (0..<random.next(below: 9)).map { _ in pieces[Int(random.next(below: pieces.count))] }.joined()
      let result: String
      switch Self.canonical(path) {
      case .refused: continue
      case .unchanged: result = path
      case .rewritten(let bytes): result = String(decoding: bytes, as: UTF8.self)
      }
      kept += 1
      #expect(Self.canonical(result) == .unchanged, "\(path)")
      let only = result.prefix { $0 != "?" }
      #expect(!only.contains("//") && !(only + "/").contains("/./") && !(only + "/").contains("/../"), "\(path)")
      #expect(!only.contains(";") && !only.contains("\\") && !only.lowercased().contains("%2f"), "\(path)")
    }
    #expect(kept > 500)
  }

  @Test("a policy's path is one that a request's can be") func policies() {
    #expect(CanonicalPath.isCanonical("/a/b"))
    for path in ["a", "/a//b", "/a?b", "/a;b", "/%61", "/a/..", "*", ""] {
      #expect(!CanonicalPath.isCanonical(path), "\(path)")
    }
    #expect(CanonicalPath.canonical("/a//b") == "/a/b")
    #expect(CanonicalPath.canonical("/a;b") == nil)
  }
}
